"""The operator's keys: one key press, one event, read without waiting.

Puts the terminal into single-key mode and always gives it back as it was. Where the input is no terminal there are no
keys, and nothing is read.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from edgeguard.types import Event

if TYPE_CHECKING:
    from typing_extensions import Self

KEYS: Mapping[str, Event] = {
    "a": Event.ARM,
    "t": Event.TAKE,
    "r": Event.RELEASE,
    "x": Event.RESET,
    "s": Event.STOP,
}
QUIT = "q"


class Keys:
    """Single-key input, to be used in a `with` block."""

    def __init__(self, descriptor: int | None = None) -> None:
        """`descriptor`: of a terminal; None: standard input."""
        self._fd = _stdin() if descriptor is None else descriptor
        self._saved: list[int | list[bytes | int]] | None = None
        self.quit = False
        """The operator asked to end."""

    @property
    def active(self) -> bool:
        """Whether keys are read."""
        return self._saved is not None

    def __enter__(self) -> Self:
        if self._fd >= 0 and os.isatty(self._fd):
            self._saved = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd, termios.TCSANOW)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._saved is not None:
            with suppress(termios.error):  # the terminal has gone, and its settings with it
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)
            self._saved = None

    def poll(self) -> list[Event]:
        """Return the events of all keys pressed since the last call, in order. Unknown keys are nothing."""
        events: list[Event] = []
        while self._saved is not None and select.select([self._fd], [], [], 0.0)[0]:
            try:
                pressed = os.read(self._fd, 64)
            except OSError:
                pressed = b""
            if not pressed:  # the terminal has gone
                self._saved = None
                self.quit = True
            for key in pressed.decode("ascii", errors="replace").lower():
                self.quit = self.quit or key == QUIT
                if key in KEYS:
                    events.append(KEYS[key])
        return events


def _stdin() -> int:
    try:
        return sys.stdin.fileno()
    except (OSError, ValueError, AttributeError):
        return -1
