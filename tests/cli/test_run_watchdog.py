"""The service manager hears the truth: ready after the first step, alive only while steps are done."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeguard.watchdog import Watchdog

ROOT = Path(__file__).parents[2]
Listen = Callable[[], list[str]]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.setblocking(False)
        yield end


def heard(manager: socket.socket) -> list[str]:
    """Every message that lies there, as lines."""
    lines: list[str] = []
    while True:
        try:
            lines += manager.recv(4096).decode().split("\n")
        except BlockingIOError:
            return lines


def watchdog(manager: socket.socket, timeout: float = float("inf")) -> Watchdog:
    return Watchdog(manager.getsockname(), timeout)


def test_it_is_ready_with_the_first_step_and_alive_twice_in_the_watchdog_s_time(
    manager: socket.socket,
) -> None:
    dog = watchdog(manager, 1.25)
    assert heard(manager) == []
    dog.stepped(10.0, healthy=True, status="front: model (nominal)")
    assert heard(manager) == ["STATUS=front: model (nominal)", "READY=1", "WATCHDOG=1"]
    alive = []
    for i in range(1, 101):
        dog.stepped(10.0 + i / 32, healthy=True, status="front: model (nominal)")
        alive += [i / 32] * len(heard(manager))
    assert alive == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    dog.stopping()
    assert heard(manager) == ["STOPPING=1"]
    dog.close()


def test_an_unhealthy_loop_is_silent_and_never_ready(manager: socket.socket) -> None:
    dog = watchdog(manager, 1.0)
    dog.stepped(10.0, healthy=False, status="front: failed")
    dog.stepped(20.0, healthy=False, status="front: failed")
    assert heard(manager) == ["STATUS=front: failed"]
    dog.close()


def test_without_a_watchdog_it_is_only_ready_and_tells_its_status(manager: socket.socket) -> None:
    dog = watchdog(manager)
    for i in range(100):
        dog.stepped(float(i), healthy=True, status="a\nREADY=1" if i > 50 else "b")
    assert heard(manager) == ["STATUS=b", "READY=1", "WATCHDOG=1", "STATUS=a READY=1"]
    dog.close()


def test_a_manager_that_does_not_listen_holds_nothing_up_and_is_told_again(manager: socket.socket) -> None:
    dog = watchdog(manager, 0.01)
    for i in range(2000):  # far more than the socket holds
        dog.stepped(float(i), healthy=True, status="s")
    assert "READY=1" in heard(manager)
    dog.stepped(3000.0, healthy=True, status="s")
    assert heard(manager) == ["WATCHDOG=1"]
    dog.close()
    dog.close()
    dog.stepped(4000.0, healthy=True, status="t")
    assert heard(manager) == []


def test_a_manager_that_comes_late_still_hears_that_it_is_ready(tmp_path: Path) -> None:
    dog = Watchdog(str(tmp_path / "late"), 1.0)
    dog.stepped(1.0, healthy=True, status="s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "late"))
        end.setblocking(False)
        dog.stepped(1.02, healthy=True, status="s")
        assert heard(end) == ["READY=1", "WATCHDOG=1"]
    dog.close()


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(f"\0edgeguard-test-{os.getpid()}")
        end.setblocking(False)
        dog = Watchdog(f"@edgeguard-test-{os.getpid()}")
        dog.stopping()
        assert heard(end) == ["STOPPING=1"]
        dog.close()


@pytest.mark.parametrize(
    ("environment", "pause"),
    [
        ({"WATCHDOG_USEC": "1000000"}, 0.4),
        ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}, 0.4),
        ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, float("inf")),
        ({"WATCHDOG_USEC": "0"}, float("inf")),
        ({"WATCHDOG_USEC": "soon"}, float("inf")),
        ({}, float("inf")),
    ],
)
def test_the_watchdog_s_time_comes_from_the_environment_which_no_child_sees(
    manager: socket.socket, environment: dict[str, str], pause: float
) -> None:
    environment["NOTIFY_SOCKET"] = manager.getsockname()
    dog = Watchdog.from_environment(environment)
    assert dog._pause == pytest.approx(pause)
    assert environment == {}
    dog.stopping()
    assert heard(manager) == ["STOPPING=1"]
    dog.close()


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234"])
def test_without_a_manager_nothing_is_said(address: str) -> None:
    dog = Watchdog.from_environment({"NOTIFY_SOCKET": address})
    dog.stepped(1.0, healthy=True, status="s")
    dog.stopping()
    assert dog._socket is None
    dog.close()


@pytest.mark.process
def test_a_run_as_a_service_is_ready_alive_and_says_when_it_ends(
    project: Any, manager: socket.socket
) -> None:
    args = [str(arg) for arg in project.run("--source", f"second={project.pictures}", "--fps", 1)]
    environment = {**os.environ, "NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "200000"}
    done = subprocess.Popen(
        [sys.executable, "-m", "edgeguard", *args],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    lines: list[str] = []
    while lines.count("WATCHDOG=1") < 4:
        assert select.select([manager], [], [], 60.0)[0], lines
        lines += heard(manager)
    os.kill(done.pid, signal.SIGTERM)
    _, err = done.communicate(timeout=60)
    lines += heard(manager)
    assert (done.returncode, err) == (0, b"")
    assert lines.count("READY=1") == 1
    assert lines.index("READY=1") < lines.index("WATCHDOG=1")
    assert lines[-1] == "STOPPING=1"
    assert any(line.startswith("STATUS=") and "second: model (nominal)" in line for line in lines)
