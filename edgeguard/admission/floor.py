"""What a device remembers of what it admitted, as a protocol: for each place the newest version, which only ever rises.

A place is `policy` or a role of the policy. No file here: `edgeguard.device` keeps a floor over a power cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Floor(Protocol):
    """A memory that cannot be turned back. `strength`: `memory`, `file` or `tpm`."""

    @property
    def strength(self) -> str:
        """How well it lasts: `memory` not over a restart, `file` over one, `tpm` also over an old copy of the disk."""

    @property
    def time(self) -> float:
        """The latest time (Unix s) that an admitted signature vouched for; 0: none did."""

    def at(self, place: str) -> int:
        """The newest version that was ever admitted in this place; 0: none was."""

    def raise_to(self, versions: Mapping[str, int], time: float = 0.0) -> None:
        """Remember newer versions, and a later time; lower ones change nothing. Durable when it returns.

        Raises:
            AdmissionError: `floor-damaged`, it cannot be written.
        """


class MemoryFloor:
    """A floor for tests and desks: forgets with the process."""

    strength = "memory"

    def __init__(self, versions: Mapping[str, int] | None = None, time: float = 0.0) -> None:
        self._versions = dict(versions or {})
        self._time = time

    @property
    def time(self) -> float:
        """See `Floor`."""
        return self._time

    def at(self, place: str) -> int:
        """See `Floor`."""
        return self._versions.get(place, 0)

    def raise_to(self, versions: Mapping[str, int], time: float = 0.0) -> None:
        """See `Floor`."""
        for place, version in versions.items():
            self._versions[place] = max(version, self.at(place))
        self._time = max(self._time, time)
