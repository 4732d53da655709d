"""Landlock: everything that a version can take away is taken, and only what the caller names may be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeguard.isolation.sandbox import landlock, paths

Confined = Callable[..., dict[str, Any]]


@pytest.fixture
def version() -> int:
    try:
        return landlock.abi()
    except OSError as error:
        pytest.skip(f"this kernel has no Landlock: {error}")


@pytest.mark.parametrize(
    ("abi", "files", "network", "scopes"),
    [
        (1, 0x1FFF, 0, 0),
        (2, 0x3FFF, 0, 0),
        (3, 0x7FFF, 0, 0),
        (4, 0x7FFF, 3, 0),
        (5, 0xFFFF, 3, 0),
        (6, 0xFFFF, 3, 3),
        (7, 0xFFFF, 3, 3),
        (99, 0xFFFF, 3, 3),
    ],
)
def test_every_right_of_a_version_is_taken(abi: int, files: int, network: int, scopes: int) -> None:
    assert landlock.handled(abi) == (files, network, scopes)


@pytest.mark.parametrize("pretended", [1, 2, 3, 4, 5, 6])
def test_an_older_version_is_used_as_far_as_it_goes(pretended: int, version: int, confined: Confined) -> None:
    if pretended > version:
        pytest.skip(f"this kernel's is version {version}")
    told = confined(
        f"""
from edgeguard.isolation.sandbox import landlock, privileges
landlock.abi = lambda: {pretended}
privileges.no_new_privs()
found = landlock.restrict(("/usr/lib",), ())
tell(**found, reads=outcome(lambda: open("/etc/passwd").close()), makes=outcome(lambda: os.mkdir("/tmp/edgeguard-x")))
"""
    )
    assert (told["landlock"], told["reads"], told["makes"]) == ("on", "PermissionError", "PermissionError")
    assert (told["network"] == "on") == (pretended >= 4)
    assert (told["signals"] == "on") == (pretended >= 6)
    assert told["network"] == "on" or f"version {pretended}, which cannot" in told["network"]


def test_only_the_named_folders_are_read(version: int, confined: Confined, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").write_text("a")
    (tmp_path / "other").write_text("b")
    told = confined(
        f"""
from edgeguard.isolation.sandbox import landlock, privileges
privileges.no_new_privs()
landlock.restrict(({str(tmp_path / "mine")!r}, "/nonexistent", {str(tmp_path / "mine" / "a" / "x")!r}), ())
tell(
    mine=outcome(lambda: open({str(tmp_path / "mine" / "a")!r}).close()),
    listed=outcome(lambda: os.listdir({str(tmp_path / "mine")!r})),
    written=outcome(lambda: open({str(tmp_path / "mine" / "a")!r}, "r+").close()),
    other=outcome(lambda: open({str(tmp_path / "other")!r}).close()),
    parent=outcome(lambda: os.listdir({str(tmp_path)!r})),
)
"""
    )
    assert (told["mine"], told["listed"]) == ("done", "done")
    assert {told[name] for name in ("written", "other", "parent")} == {"PermissionError"}


def test_it_keeps_a_worker_that_loads_from_the_network_and_the_host_by_itself(
    version: int, confined: Confined
) -> None:
    """The second fence: this is without any system call filter."""
    if version < 6:
        pytest.skip(f"this kernel's Landlock is version {version}")
    told = confined(
        f"""
import socket, signal
from edgeguard.isolation.sandbox import landlock, privileges
privileges.no_new_privs()
landlock.restrict(("/usr/lib",), ())
with socket.socket() as line:
    tell(connect=outcome(lambda: line.connect(("127.0.0.1", 9))), bind=outcome(lambda: line.bind(("127.0.0.1", 0))))
tell(signal=outcome(lambda: os.kill({os.getpid()}, 0)))
"""
    )
    assert {told["connect"], told["bind"], told["signal"]} == {"PermissionError"}


def test_a_device_may_be_driven_and_nothing_beside_it(version: int, confined: Confined) -> None:
    told = confined(
        """
from edgeguard.isolation.sandbox import landlock, privileges
privileges.no_new_privs()
landlock.restrict(("/usr/lib",), ("/dev/null",))
tell(device=outcome(lambda: os.close(os.open("/dev/null", os.O_RDWR))))
tell(other=outcome(lambda: os.close(os.open("/dev/zero", os.O_RDWR))))
"""
    )
    assert (told["device"], told["other"]) == ("done", "PermissionError")


def test_what_a_loader_reads_holds_no_data_of_the_host() -> None:
    root = Path(__file__).parents[3]
    folders = {Path(path) for path in paths.loader_paths()}
    assert folders.isdisjoint({Path("/"), Path("/etc"), Path("/home"), Path("/root"), Path("/proc"), root})
    assert root / "edgeguard" in folders
    assert not any(name in str(path) for path in folders for name in ("keys", "policies", "/proc/self"))


def test_without_a_gpu_no_device_is_let_in() -> None:
    assert paths.device_paths(gpu=False) == ()
    assert "/dev/nvidiactl" in paths.device_paths(gpu=True)
