"""The operator's keys: one press, one event; the terminal is given back as it was."""

from __future__ import annotations

import os
import pty
import termios
from collections.abc import Iterator

import pytest

from edgeguard.console import Keys
from edgeguard.types import Event


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    outside, inside = pty.openpty()
    yield outside, inside
    for descriptor in (outside, inside):
        try:
            os.close(descriptor)
        except OSError:  # a test closed it
            continue


def test_every_key_is_its_event_and_unknown_keys_are_nothing(terminal: tuple[int, int]) -> None:
    outside, inside = terminal
    with Keys(inside) as keys:
        assert keys.active
        assert keys.poll() == []
        os.write(outside, b"aTr?xs")
        assert keys.poll() == [Event.ARM, Event.TAKE, Event.RELEASE, Event.RESET, Event.STOP]
        assert not keys.quit
        os.write(outside, b"q")
        assert keys.poll() == []
        assert keys.quit


def test_the_terminal_is_given_back_as_it_was_even_after_an_error(terminal: tuple[int, int]) -> None:
    _, inside = terminal
    before = termios.tcgetattr(inside)
    with pytest.raises(KeyError), Keys(inside):
        assert termios.tcgetattr(inside) != before
        raise KeyError
    assert termios.tcgetattr(inside) == before


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    try:
        with Keys(reading) as keys:
            os.write(writing, b"t")
            assert keys.poll() == []
            assert not keys.active
        monkeypatch.setattr("sys.stdin", None)
        with Keys() as keys:
            assert not keys.active
    finally:
        os.close(reading)
        os.close(writing)


def test_a_terminal_that_went_away_ends_the_session(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, inside = terminal
    with Keys(inside) as keys:
        monkeypatch.setattr("edgeguard.console.keys.select.select", lambda *_: ([inside], [], []))
        monkeypatch.setattr("edgeguard.console.keys.os.read", lambda *_: b"")
        assert keys.poll() == []
        assert keys.quit


def test_a_terminal_that_fails_ends_the_session(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, inside = terminal

    def fail(*_: object) -> bytes:
        raise OSError(5, "input/output error")

    with Keys(inside) as keys:
        monkeypatch.setattr("edgeguard.console.keys.select.select", lambda *_: ([inside], [], []))
        monkeypatch.setattr("edgeguard.console.keys.os.read", fail)
        assert keys.poll() == []
        assert keys.quit
