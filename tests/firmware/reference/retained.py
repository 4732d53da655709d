"""The microcontroller's memory of a reset a second time: two records in turn, and where a start begins from them.

As `core.py`: for N traces at once, integer exact. The formula of the check is the C's own: no other reads this memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tests.firmware.reference.layout import Records
from tests.firmware.reference.soundness import sound_table
from tests.firmware.reference.words import (
    ALL_LATCHES,
    Latch,
    Mask,
    Mode,
    Reason,
    Source,
    Table,
    Times,
)

Words = npt.NDArray[np.uint32]
HALF_CIRCLE = np.uint32(2**31)


def begin(table: Table, kind: np.dtype[Any], retained: Records | None, now: Times) -> Records:
    """States after a reset. `kind`: `Layout.state`; `retained`: (N,), or nothing at all; `now`: (N,) us."""
    state = np.zeros(len(now), kind)
    state["stepped_us"] = state["slewed_us"] = now
    state["channel"]["target"] = state["channel"]["output"] = table["actuator"]["safe"]
    state["channel"]["source"] = Source.SAFE_STATE
    if retained is not None:
        _resume(table, state, retained)
    if not sound_table(table):
        state["channel"]["output"] = table["actuator"]["safe"]
        state["mode"] = Mode.LOCKOUT
        state["reason"] = Reason.TABLE_INVALID
    return state


def _resume(table: Table, state: Records, retained: Records) -> None:
    """Outputs and latches as they were, where a sound record says so."""
    record, kept = latest(retained)
    limits = table["actuator"]
    held = np.clip(record["output"], limits["min"], limits["max"])
    state["channel"]["output"] = np.where(kept[:, None], held, state["channel"]["output"])
    state["latches"] = np.where(kept, record["latches"] & ALL_LATCHES, 0)
    reset = kept & (record["mode"] == Mode.ENABLED)
    state["latches"][reset] |= np.uint8(Latch.RESET)
    state["reason"] = np.where(reset, Reason.RESET, Reason.BOOTED)


def latest(retained: Records) -> tuple[Records, Mask]:
    """The newest sound record of each trace, and whether there is one."""
    first, second = retained["record"][:, 0], retained["record"][:, 1]
    a, b = (record["check"] == check_of(record) for record in (first, second))
    second_is_later = second["turn"] - first["turn"] < HALF_CIRCLE  # modulo 2**32
    return np.where(b & (second_is_later | ~a), second, first), a | b


def retain(state: Records, retained: Records) -> Records:
    """Retained memory after the state was written to it: over the record that is not the newest."""
    after: Records = retained.copy()
    record, kept = latest(retained)
    turn = np.where(kept, record["turn"] + np.uint32(1), np.uint32(0)).astype(np.uint32)
    new = np.zeros(len(state), record.dtype)
    new["turn"] = turn
    new["output"] = state["channel"]["output"]
    new["mode"], new["latches"] = state["mode"], state["latches"]
    new["check"] = check_of(new)
    after["record"][np.arange(len(state)), turn % 2] = new
    return after


def check_of(record: Records) -> Words:
    """FNV-1a over the words of a record: turn, outputs, mode, latches, the two spare bytes."""
    words = [record["turn"], *record["output"].T, record["mode"], record["latches"], *record["spare"].T]
    check = np.full(len(record), 2_166_136_261, np.uint32)
    for word in words:
        check = (check ^ word.astype(np.int64).astype(np.uint32)) * np.uint32(16_777_619)
    return check


def lock(state: Records, reasons: npt.NDArray[np.uint8], latches: npt.NDArray[np.uint8]) -> Records:
    """The states after a lock from outside: LOCKOUT until the next reset."""
    after: Records = state.copy()
    after["mode"] = Mode.LOCKOUT
    after["reason"] = reasons
    after["latches"] |= latches
    after["channel"]["in_time"] = 0
    return after
