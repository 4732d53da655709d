"""The operator's page on a terminal, the keys, and the plain lines where there is no terminal.

Shows verdicts and hands key presses on as events. It decides nothing, and the guard works the same without it.
"""

from __future__ import annotations

from edgeguard.console.keys import Keys
from edgeguard.console.screen import LiveScreen, PlainScreen, Screen, open_screen
from edgeguard.console.several import TableScreen
from edgeguard.console.thumbnail import thumbnail
from edgeguard.console.view import Extra, View

__all__ = [
    "Extra",
    "Keys",
    "LiveScreen",
    "PlainScreen",
    "Screen",
    "TableScreen",
    "View",
    "open_screen",
    "thumbnail",
]
