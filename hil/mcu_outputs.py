"""What really drove the actuators, as a running microcontroller reports it: for rigs that compare and plot.

A reader thread follows the firmware's own records. Nothing here sends anything to the microcontroller.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class OutputRecord(NamedTuple):
    """What drove one actuator at one time: `at` in s of CLOCK_MONOTONIC, the clock of `time.monotonic()`."""

    at: float
    actuator: str
    value: float
    mode: str


class Recorder:
    """Follows lines `time_us actuator value mode`. Base of the microcontrollers that really run."""

    def __init__(self) -> None:
        self._records: list[OutputRecord] = []
        self._latest: dict[str, OutputRecord] = {}
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None
        self._offset = 0.0
        self._last_us = -1

    def outputs_now(self) -> Mapping[str, float]:
        """Newest output of every actuator, in its unit."""
        with self._lock:
            return {name: record.value for name, record in self._latest.items()}

    @property
    def mode(self) -> str:
        """Newest mode, or `unknown` before the first record."""
        with self._lock:
            return self._records[-1].mode if self._records else "unknown"

    def records(self) -> tuple[OutputRecord, ...]:
        """Every record so far, in order."""
        with self._lock:
            return tuple(self._records)

    def forget(self) -> None:
        """Drop the records so far: for campaigns that run for hours."""
        with self._lock:
            del self._records[:-1]

    def _follow(self, stream: Iterable[str], *, foreign_clock: bool) -> None:
        """Read records until the stream ends. `foreign_clock`: their times are not on this machine's clock."""
        self._reader = threading.Thread(
            target=self._read, args=(stream, foreign_clock), name="mcu-outputs", daemon=True
        )
        self._reader.start()

    def _stop_following(self) -> None:
        if self._reader is not None:
            self._reader.join(timeout=2.0)

    def _read(self, stream: Iterable[str], foreign_clock: bool) -> None:  # noqa: FBT001 - a thread's argument
        for line in stream:
            parts = line.split()
            if len(parts) != 4:
                continue
            try:
                us, value = int(parts[0]), float(parts[2])
            except ValueError:  # garbled on its way, as by a fault that a rig made
                continue
            if foreign_clock:
                self._tune(us)
            record = OutputRecord(us / 1e6 + self._offset, parts[1], value, parts[3])
            with self._lock:
                self._records.append(record)
                self._latest[record.actuator] = record

    def _tune(self, us: int) -> None:
        """Take the smallest delay seen as none: a record is never dated earlier than it was made."""
        seen = time.monotonic() - us / 1e6
        rebooted = us < self._last_us
        self._offset = seen if self._last_us < 0 or rebooted else min(self._offset, seen)
        self._last_us = us
