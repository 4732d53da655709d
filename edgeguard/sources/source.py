"""What the loop needs of anything that gives frames, and nothing more."""

from __future__ import annotations

from typing import Protocol

from edgeguard.types import Frame


class Source(Protocol):
    """Where frames come from. `name`: for people. `ended`: no frame will ever come again."""

    name: str
    ended: bool
    trouble: str
    """Why there is no picture at the moment; empty when all is well."""

    def poll(self, now: float) -> Frame | None:
        """Return the newest frame not handed out before, None when there is none. `now`: s, monotonic."""
        ...

    def close(self) -> None:
        """Let go of files, devices and threads."""
        ...
