"""The verbs of the line: a clear word about it, with and without somebody at its other end, and keys made once."""

from __future__ import annotations

import io
import json
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from edgeguard.cli.app import invoke
from edgeguard.link import LinkStatus, PingReport, Sample
from edgeguard.link.messages import REFUSALS

Call = Callable[..., Any]
STATUS = LinkStatus("open", "silent", 1.0, 0.0005, 10, 10, 0, 0, {"brake": 1.0}, "booted")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextmanager
def nobody() -> Iterator[str]:
    """A port at whose other end nobody says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def linked(call: Call, project: Any) -> Any:
    """The project with a device key and a line in its policy."""
    call("link", "provision", project.root / "guard" / "keys" / "arm-7")
    project.change_policy(
        "log: {flush: 1s}", "log: {flush: 1s}\nlink: {key: keys/arm-7.device-key}\nftti: 2s"
    )
    return project


def test_keys_are_made_once_and_only_their_fingerprints_are_told(call: Call, tmp_path: Path) -> None:
    said = call("link", "provision", tmp_path / "a")
    made = [tmp_path / f"a.{kind}" for kind in ("device-key", "operator-key", "provision.bin")]
    assert (said.code, [stat.S_IMODE(path.stat().st_mode) for path in made]) == (0, [0o600] * 3)
    keys = [path.read_text().split()[-1] for path in made[:2]]
    assert [key in said.out for key in keys] == [False, False]
    assert [sha256(bytes.fromhex(key)).hexdigest()[:16] in said.out for key in keys] == [True, True]
    again = call("link", "provision", tmp_path / "a")
    assert (again.code, again.err.count("\n"), "file exists" in again.err) == (2, 1, True)


def test_a_port_that_is_not_there_is_a_clear_message(call: Call, linked: Any) -> None:
    said = call("link", "ping", "/dev/ttyNONE", "--policy", linked.policy)
    assert (said.code, said.err.count("\n"), "/dev/ttyNONE" in said.err) == (2, 1, True)


def test_nobody_at_the_other_end_is_a_clear_message(call: Call, linked: Any) -> None:
    with nobody() as port:
        said = call("link", "ping", port, "--policy", linked.policy, "--seconds", 0.1)
    assert (said.code, "no answer from the microcontroller" in said.err) == (2, True)


@pytest.mark.parametrize(("lost", "code"), [(0, 0), (1, 5)])
def test_a_measured_line_is_printed_and_a_lossy_one_is_a_finding(
    call: Call, linked: Any, monkeypatch: pytest.MonkeyPatch, lost: int, code: int
) -> None:
    report = PingReport(3, 0.0004, 0.0005, 0.0006, 0.0007, lost, 0, 0, STATUS)
    monkeypatch.setattr("edgeguard.link.ping", lambda _link, _seconds: report)
    with nobody() as port:
        said = call("link", "ping", port, "--policy", linked.policy)
    assert said.out.startswith(
        "3 round trips: min 0.40 ms, p50 0.50 ms, p99 0.60 ms, max 0.70 ms; mode silent"
    )
    assert (said.code, f"{lost} lost, 0 checksum errors" in said.out) == (code, True)


def watched(monkeypatch: pytest.MonkeyPatch, *statuses: LinkStatus, interrupted: bool = False) -> None:
    def samples(_link: object, _seconds: float) -> Iterator[Sample]:
        for number, status in enumerate(statuses, 1):
            yield Sample(number / 2, status, 50.0, 60.0)
        if interrupted:
            raise KeyboardInterrupt

    monkeypatch.setattr("edgeguard.link.monitor", samples)


def test_monitor_prints_a_line_a_look_and_ends_well_with_ctrl_c(
    call: Call, linked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = replace(STATUS, stopped=True, latches=("stop",), ready=True, refusal="latched", rejected=4)
    waiting = replace(STATUS, state="waiting", reason="waiting for the microcontroller")
    watched(monkeypatch, waiting, STATUS, stopped, replace(STATUS, round_trip=None), interrupted=True)
    with nobody() as port:
        said = call("link", "monitor", port, "--policy", linked.policy)
    assert (said.code, said.out.splitlines()) == (
        0,
        [
            "no session (waiting): waiting for the microcontroller",
            "silent (booted)  brake 1.000  round trip 0.50 ms  50 out/s 60 in/s  0 rejected  0 checksum errors 0 lost",
            (
                "silent (booted)  EMERGENCY STOP pressed  latched: stop  ready to arm  brake 1.000  round trip 0.50 "
                "ms  50 out/s 60 in/s  4 rejected (latched)  0 checksum errors 0 lost"
            ),
            "silent (booted)  brake 1.000  round trip none  50 out/s 60 in/s  0 rejected  0 checksum errors 0 lost",
        ],
    )


def test_monitor_prints_lines_that_a_program_can_read(
    call: Call, linked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(monkeypatch, replace(STATUS, latches=("stop", "reset")), STATUS)
    with nobody() as port:
        said = call("link", "monitor", port, "--policy", linked.policy, "--json", "--seconds", 1)
    first, second = (json.loads(line) for line in said.out.splitlines())
    assert (first["at"], first["state"], first["mode"], first["latches"]) == (
        0.5,
        "open",
        "silent",
        ["stop", "reset"],
    )
    assert (second["outputs"], second["round_trip"], second["sent_per_s"]) == ({"brake": 1.0}, 0.0005, 50.0)


def test_monitor_on_a_terminal_keeps_to_one_line(linked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, STATUS)
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    with nobody() as port:
        assert invoke(["link", "monitor", port, "--policy", str(linked.policy)]) == 0
    assert screen.getvalue().startswith("\r\x1b[2Ksilent (booted)")
    assert screen.getvalue().count("\n") == 1


def test_monitor_of_a_line_with_nobody_there_says_so(call: Call, linked: Any) -> None:
    with nobody() as port:
        said = call("link", "monitor", port, "--policy", linked.policy, "--seconds", 0.1)
    assert (said.code, said.out) == (0, "no session (waiting): waiting for the microcontroller\n")


def test_a_policy_without_a_device_key_needs_one_named(call: Call, project: Any, tmp_path: Path) -> None:
    said = call("link", "ping", "/dev/ttyNONE", "--policy", project.policy)
    assert (said.code, "names no device key" in said.err) == (2, True)
    call("link", "provision", tmp_path / "a")
    said = call(
        "link", "ping", "/dev/ttyNONE", "--policy", project.policy, "--key", tmp_path / "a.device-key"
    )
    assert (said.code, "/dev/ttyNONE" in said.err) == (2, True)


def test_page_explains_every_refusal_that_can_come_over_the_line() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()
    rows = [row.split(" | ") for row in page.splitlines() if row.startswith("| `") and row.count(" | ") == 2]
    told = {
        int(code): name.strip("`| ")
        for row in rows
        if row[1].replace(", ", "").isdigit()
        for name, code in zip(row[0].split(", "), row[1].split(", "), strict=True)
    }
    # 0 is none; 9 is the core's own and cannot be reached over the line
    assert told == {code: name for code, name in REFUSALS.items() if code not in (0, 9)}
