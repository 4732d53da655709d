"""link ping and link provision: a clear word about the line, with and without somebody at its other end."""

from __future__ import annotations

import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeguard.link import PingReport
from edgeguard.link.status import LinkStatus

Call = Callable[..., Any]


@pytest.fixture
def linked(call: Call, project: Any) -> Any:
    """The project with a device key and a line in its policy."""
    call("link", "provision", project.root / "guard" / "keys" / "link.key")
    project.change_policy("log: {flush: 1s}", "log: {flush: 1s}\nlink: {key: keys/link.key}\nftti: 2s")
    return project


def test_a_device_key_is_made_once_and_for_its_owner_only(call: Call, tmp_path: Path) -> None:
    said = call("link", "provision", tmp_path / "a.key")
    assert (said.code, stat.S_IMODE((tmp_path / "a.key").stat().st_mode)) == (0, 0o600)
    assert call("link", "provision", tmp_path / "a.key").code == 2


def test_a_port_that_is_not_there_is_a_clear_message(call: Call, linked: Any) -> None:
    said = call("link", "ping", "/dev/ttyNONE", "--policy", linked.policy)
    assert (said.code, said.err.count("\n"), "/dev/ttyNONE" in said.err) == (2, 1, True)


def test_nobody_at_the_other_end_is_a_clear_message(call: Call, linked: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
        said = call("link", "ping", port, "--policy", linked.policy, "--seconds", 0.1)
    assert (said.code, "no answer from the microcontroller" in said.err) == (2, True)


def test_a_measured_line_is_printed(call: Call, linked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    status = LinkStatus("open", "silent", 1.0, 0.0005, 10, 10, 0, 0, {}, "not armed")
    report = PingReport(3, 0.0004, 0.0005, 0.0006, status)
    monkeypatch.setattr("edgeguard.link.ping", lambda _link, _seconds: report)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
        said = call("link", "ping", port, "--policy", linked.policy)
    assert said.out.startswith("3 round trips: min 0.40 ms, p50 0.50 ms")


def test_a_policy_without_a_device_key_needs_one_named(call: Call, project: Any, tmp_path: Path) -> None:
    said = call("link", "ping", "/dev/ttyNONE", "--policy", project.policy)
    assert (said.code, "names no device key" in said.err) == (2, True)
    call("link", "provision", tmp_path / "a.key")
    said = call("link", "ping", "/dev/ttyNONE", "--policy", project.policy, "--key", tmp_path / "a.key")
    assert (said.code, "/dev/ttyNONE" in said.err) == (2, True)
