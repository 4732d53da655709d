"""bubblewrap and a systemd scope go in front of a worker where they work, and say why where they do not."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeguard.isolation.sandbox import Jail, Level, wrap, wrapping

ROOT = Path(__file__).parents[3]
WORKER = """
import sys; sys.path.insert(0, sys.argv[1])
import json, os
from edgeguard.isolation.sandbox import Jail, enter, seal
line = int(sys.argv[2])
jail = Jail(keep=(line,))
view = {"folders": sorted(os.listdir("/")), "processes": [n for n in os.listdir("/proc") if n.isdigit()]}
enter(jail)
found = seal(jail)
os.write(line, json.dumps({"level": int(found.level), "layers": dict(found.layers), **view}).encode())
"""


@pytest.fixture
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a host that is not root, as it should be, sees it."""
    monkeypatch.setattr(os, "geteuid", lambda: 4711)


@pytest.fixture(autouse=True)
def tools_are_tried_anew() -> Iterator[None]:
    wrapping._bubblewrap_works.cache_clear()
    wrapping._scope_works.cache_clear()
    yield
    wrapping._bubblewrap_works.cache_clear()
    wrapping._scope_works.cache_clear()


def behind_bubblewrap(without: str = "") -> dict[str, Any]:
    end, line = os.pipe()
    command = [sys.executable, "-I", "-c", WORKER, str(ROOT), str(line)]
    found = wrap(command, Jail())
    if found.tools[wrapping.BUBBLEWRAP] != "on":
        pytest.skip(found.tools[wrapping.BUBBLEWRAP])
    environment = {"PATH": os.environ.get("PATH", ""), "EDGEGUARD_SANDBOX_WITHOUT": without}
    done = subprocess.run(found.command, pass_fds=(line,), env=environment, capture_output=True, check=False)
    os.close(line)
    with os.fdopen(end, "rb") as stream:
        said = stream.read()
    assert done.returncode == 0, done.stderr.decode()
    told: dict[str, Any] = json.loads(said)
    return told


@pytest.mark.usefixtures("ordinary_user")
def test_behind_bubblewrap_a_worker_sees_no_file_or_process_of_the_host() -> None:
    told = behind_bubblewrap()
    needed = {Path(path).parts[1] for path in (sys.prefix, sys.base_prefix, str(ROOT))}
    assert set(told["folders"]) <= needed | {"dev", "etc", "lib", "lib64", "opt", "proc", "sys", "usr"}
    assert len(told["processes"]) <= 2
    assert told["layers"]["namespaces"] == "on (bubblewrap)"


@pytest.mark.usefixtures("ordinary_user")
def test_bubblewraps_view_stands_in_for_landlock() -> None:
    told = behind_bubblewrap("landlock")
    assert told["layers"]["mounts"] == "on (bubblewrap)"
    assert told["layers"]["files"] == "on (own mounts)"
    assert told["level"] == Level.STRICT


def test_a_root_host_gets_no_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = wrap(["true"], Jail())
    assert found.command == ("true",)
    assert "root" in found.tools[wrapping.BUBBLEWRAP]


@pytest.mark.usefixtures("ordinary_user")
def test_a_tool_that_is_not_installed_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("pathlib.Path.is_dir", lambda _: True)
    found = wrap(["work"], Jail(memory=1 << 30))
    assert found.command == ("work",)
    assert found.tools == {
        "bubblewrap": "`bwrap` is not installed",
        "scope": "`systemd-run` is not installed",
    }


@pytest.mark.usefixtures("ordinary_user")
def test_a_tool_that_does_not_work_here_is_left_out_with_its_own_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: no permissions to create a new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = wrap(["work"], Jail())
    assert found.command == ("work",)
    assert found.tools["bubblewrap"] == (
        "`bwrap` does not work here: bwrap: no permissions to create a new namespace"
    )


@pytest.mark.usefixtures("ordinary_user")
def test_a_scope_holds_the_workers_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapping, "_scope_works", functools.cache(lambda: "on"))
    monkeypatch.setattr(wrapping, "_bubblewrap_works", functools.cache(lambda: "on"))
    command = wrap(["work"], Jail(memory=1 << 30)).command
    assert command[:2] == ("systemd-run", "--user")
    assert "MemoryMax=1073741824" in command
    assert command.index("bwrap") > command.index("systemd-run")
    assert command[-2:] == ("--", "work")


@pytest.mark.parametrize("level", [Level.OFF, Level.PROCESS, Level.FILTERED])
def test_below_strict_nothing_goes_in_front(level: Level) -> None:
    found = wrap(["work"], Jail(level=level))
    assert found.command == ("work",)
    assert set(found.tools.values()) == {"not asked for"}


@pytest.mark.usefixtures("ordinary_user")
def test_bubblewrap_can_be_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEGUARD_SANDBOX_WITHOUT", "bubblewrap")
    assert wrap(["work"], Jail()).tools["bubblewrap"] == "left out by EDGEGUARD_SANDBOX_WITHOUT"


@pytest.mark.usefixtures("ordinary_user")
def test_no_folder_is_bound_over_one_that_is_bound_already() -> None:
    jail = Jail(readable=("/usr", "/usr/lib", "/usr/local/cuda", "/opt/x", "/proc/cpuinfo", "/dev/null", "/"))
    options = wrapping._bubblewrap(jail)
    bound = [options[i + 1] for i, word in enumerate(options) if word == "--ro-bind-try"]
    assert "/usr" in bound
    assert "/opt/x" in bound
    assert not {"/usr/lib", "/usr/local/cuda", "/proc/cpuinfo", "/dev/null", "/"} & set(bound)
