"""The worker's own view of the file system: what was named is there, read-only; everything else is not there at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeguard.isolation.sandbox import kernel, views

Confined = Callable[..., dict[str, Any]]
ALONE = "seccomp,landlock"
"""Without these two the view has to hold by itself."""

LOOK = """
jail = Jail(keep=(1, 2), readable={readable!r}, gpu={gpu})
found = enter(jail)
def seen(path):
    return outcome(lambda: os.close(os.open(path, os.O_RDONLY)))
tell(state=found.layers["mounts"], files=found.layers["files"])
"""


def look(*readable: str, gpu: bool = False) -> str:
    return LOOK.format(readable=("/usr/lib", "/dev/null", *readable), gpu=gpu)


def needs_it(told: dict[str, Any]) -> None:
    if "state" not in told:
        pytest.fail(told["stderr"])
    if told["state"] != "on":
        pytest.skip(f"this machine lets nobody mount: {told['state']}")


def test_only_what_was_named_is_there(confined: Confined, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").write_text("a")
    (tmp_path / "file").write_text("b")
    (tmp_path / "other").write_text("c")
    mine, file, other = (str(tmp_path / name) for name in ("mine", "file", "other"))
    told = confined(
        look(mine, file, mine + "/a", "/nonexistent")
        + f"""
tell(mine=seen({mine!r} + "/a"), file=seen({file!r}), other=seen({other!r}), passwd=seen("/etc/passwd"))
tell(beside=sorted(os.listdir({str(tmp_path)!r})), top=sorted(os.listdir("/")), root=seen("/root"), run=seen("/run"))
tell(host=outcome(lambda: os.listdir("/proc")))
""",
        without=ALONE,
    )
    needs_it(told)
    assert told["files"] == "on (own mounts)"
    assert (told["mine"], told["file"]) == ("done", "done")
    assert {told[name] for name in ("other", "passwd", "root", "run", "host")} == {"FileNotFoundError"}
    assert told["beside"] == ["file", "mine"]
    assert set(told["top"]) == {"usr", "dev", tmp_path.parts[1]}


def test_nothing_in_it_can_be_written(confined: Confined, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    tmp_path.chmod(0o777)
    (tmp_path / "a").chmod(0o666)
    for folder in (*tmp_path.parents,)[:-2]:
        if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o555)
    told = confined(
        look(str(tmp_path))
        + f"""
def errno_of(act):
    try:
        act()
    except OSError as error:
        return error.strerror
tell(file=errno_of(lambda: open({str(tmp_path / "a")!r}, "r+")))
tell(new=errno_of(lambda: os.mkdir({str(tmp_path / "b")!r})))
tell(top=errno_of(lambda: os.mkdir("/b")), flags=os.statvfs("/").f_flag & os.ST_RDONLY)
""",
        without=ALONE,
    )
    needs_it(told)
    assert (told["file"], told["new"]) == ("Read-only file system", "Read-only file system")
    assert told["top"] in {"Read-only file system", "Permission denied"}
    assert told["flags"]


def test_the_host_sees_no_change(confined: Confined) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    needs_it(confined(look(), without=ALONE))
    assert Path("/proc/self/mountinfo").read_text() == before


def test_a_host_whose_mounts_are_shared_sees_no_change_either() -> None:
    """As on every machine that systemd started: a mount would spread from a worker of root's to the whole machine."""
    unshare = shutil.which("unshare")
    if unshare is None or os.getuid() != 0:
        pytest.skip("needs `unshare`, as root, to lay out such a machine")
    root = str(Path(__file__).parents[3])
    worker = (
        f"import sys; sys.path.insert(0, {root!r}); import os; from edgeguard.isolation.sandbox import Jail, enter; "
        "os.write(1, enter(Jail(keep=(1, 2))).layers['mounts'].encode())"
    )
    host = (
        "import subprocess, sys; read = lambda: open('/proc/self/mountinfo').read(); before = read(); "
        f"told = subprocess.run([sys.executable, '-I', '-c', {worker!r}], capture_output=True).stdout.decode(); "
        "print(told, before == read(), 'shared:' in before)"
    )
    done = subprocess.run(
        [unshare, "--mount", "--propagation", "shared", sys.executable, "-I", "-c", host],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount: {done.stderr}")
    state, same, shared = done.stdout.rsplit(maxsplit=2)
    assert (same, shared) == ("True", "True")
    assert state == "on" or "Operation not permitted" in state


def test_a_device_can_be_driven_and_no_other_is_there(confined: Confined) -> None:
    told = confined(
        """
from edgeguard.isolation.sandbox import namespaces, privileges, views
state = namespaces.separate()["namespaces"]
tell(state=views.narrow(("/usr/lib",), ("/dev/null", "/dev/nvidia-nonexistent")) if state == "on" else state)
tell(device=outcome(lambda: os.close(os.open("/dev/null", os.O_RDWR))), there=sorted(os.listdir("/dev")))
"""
    )
    needs_it(told)
    assert (told["device"], told["there"]) == ("done", ["null"])


def test_root_leaves_early_since_the_view_shows_what_a_closed_folder_would_hide(
    confined: Confined, tmp_path: Path
) -> None:
    if os.getuid() != 0:
        pytest.skip("this test's process is not root")
    (tmp_path / "closed" / "open").mkdir(parents=True)
    (tmp_path / "closed" / "open" / "a").write_text("a")
    (tmp_path / "closed").chmod(0o700)
    inner = str(tmp_path / "closed" / "open")
    told = confined(
        look(inner) + f"tell(user=os.getuid(), layer=found.layers['user'], a=seen({inner!r} + '/a'))",
        without=ALONE,
    )
    needs_it(told)
    assert told["user"] != 0
    assert (told["layer"].startswith("on (user "), told["a"]) == (True, "done")


def test_where_nobody_may_mount_it_says_so_and_landlock_stands_alone(confined: Confined) -> None:
    told = confined(
        """
from edgeguard.isolation.sandbox import kernel
real = kernel.syscall
def refused(name, *arguments):
    if name in ("mount", "pivot_root", "mount_setattr"):
        raise PermissionError(1, "Operation not permitted")
    return real(name, *arguments)
kernel.syscall = refused
found = enter(Jail(keep=(1, 2)))
tell(mounts=found.layers["mounts"], files=found.layers["files"], landlock=found.layers["landlock"])
tell(namespaces=found.layers["namespaces"])
"""
    )
    if told["namespaces"] == "on":
        assert told["mounts"] == "Operation not permitted"
    assert (told["files"] == "on (Landlock)") == (told["landlock"] == "on")


@pytest.mark.parametrize("broken", ["mount", "mount_setattr", "pivot_root", "umount2"])
def test_a_view_that_was_begun_and_not_finished_counts_for_nothing(broken: str, confined: Confined) -> None:
    told = confined(
        f"""
from edgeguard.isolation.sandbox import kernel
real = kernel.syscall
def refused(name, *arguments):
    if name == {broken!r}:
        raise PermissionError(1, "Operation not permitted")
    return real(name, *arguments)
kernel.syscall = refused
found = enter(Jail(keep=(1, 2)))
tell(mounts=found.layers["mounts"], level=int(seal(Jail(keep=(1, 2))).level), files=found.layers["files"])
""",
        without="landlock",
    )
    assert told["mounts"] != "on"
    assert told["level"] == 2
    assert told["files"].startswith("Landlock: left out by EDGEGUARD_SANDBOX_WITHOUT; own mounts: ")


def test_a_path_inside_another_is_shown_once() -> None:
    assert views._existing(["/usr/lib", "/usr", "/usr/bin", "/dev/null", "/", "/nonexistent"]) == [
        "/dev/null",
        "/usr",
    ]


def test_the_view_is_built_where_it_covers_nothing_that_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "in").mkdir(parents=True)
    second.mkdir()
    (tmp_path / "link").symlink_to(first / "in")
    monkeypatch.setattr(views, "_STARTS", (str(tmp_path / "none"), str(first), str(second)))
    assert views._start([str(first / "in")]) == str(second)
    assert views._start([str(tmp_path / "link")]) == str(second)
    assert views._start([str(first)]) == str(second)
    assert views._start(["/usr"]) == str(first)
    with pytest.raises(OSError, match="no folder to build"):
        views._start([str(first), str(second)])


def test_it_can_be_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernel.WITHOUT, "mounts")
    assert views.narrow((), ()) == "left out by EDGEGUARD_SANDBOX_WITHOUT"
