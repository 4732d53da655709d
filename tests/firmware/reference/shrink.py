"""A difference between the machines, and its smallest form: one step, every field that does not matter at its plainest.

`literal` prints it as Python that a test can hold; `restored` makes arrays of that again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tests.firmware.reference.layout import Layout, Records

Shown = dict[str, dict[str, int]]
"""For `before`, `inputs` and `now`: every field that is not 0."""


class Difference(NamedTuple):
    """One call after which the machines differ: of a step, everything that it takes, each of one entry."""

    call: str
    layout: Layout | None
    table: Any
    before: Any
    inputs: Any
    now: Any
    fields: tuple[str, ...]
    """What differs: `field: reference / C`."""


def shrink(found: Difference, again: Callable[[Records, Records, Records], bool]) -> Difference:
    """The difference with every field at 0 that can be without its going away. `again(before, inputs, now)`: is there
    one still?"""
    parts = [found.before.copy(), found.inputs.copy(), found.now.copy()]
    changed = True
    while changed:
        changed = False
        for part in (1, 0):
            for path in _paths(parts[part].dtype):
                trial = [p.copy() for p in parts]
                put_at(trial[part], path, 0)
                if differ(trial[part], parts[part]).any() and again(*trial):
                    parts, changed = trial, True
    return found._replace(before=parts[0], inputs=parts[1], now=parts[2])


def literal(found: Difference) -> str:
    """The step as a Python literal: for `restored`."""
    if found.layout is None:
        return f"{found.call}: {', '.join(found.fields)}"
    shown: Shown = {
        "before": {name: value for name, value in flat(found.before[0]) if value},
        "inputs": {name: value for name, value in flat(found.inputs[0]) if value},
        "now": {"us": int(found.now[0])},
    }
    return f"{shown!r}  # {'; '.join(found.fields)}"


def restored(layout: Layout, shown: Shown) -> tuple[Records, Records, Records]:
    """State, inputs and time of a literal, each of one entry."""
    before, inputs = np.zeros(1, layout.state), np.zeros(1, layout.inputs)
    for record, part in ((before, "before"), (inputs, "inputs")):
        for name, value in shown[part].items():
            put(record, name, value)
    return before, inputs, np.array([shown["now"]["us"]], np.uint64)


Path = tuple[tuple[str, ...], tuple[int, ...]]
"""Names of the fields, outermost first, and the index into the array they lead to."""


def _paths(kind: np.dtype[Any]) -> list[Path]:
    """Where each number of a record is, in the order of `flat`."""
    return [path for path, _ in _walk(np.zeros(1, kind)[0], (), ())]


def one_of(rng: np.random.Generator, record: Any) -> tuple[Path, Any]:
    """Where a number of the record is, drawn, and the number."""
    numbers = _walk(record, (), ())
    return numbers[int(rng.integers(len(numbers)))]


def put_at(record: Records, path: Path, value: int) -> None:
    """Set the number at that place in the first entry."""
    names, index = path
    place: Any = record
    for name in names:
        place = place[name]
    at = (0, *index)
    place[at] = value


def put(records: Records, name: str, value: int) -> None:
    """Set the number of that name, as of `flat`, in the first entry."""
    paths = {_name(path): path for path in _paths(records.dtype)}
    put_at(records, paths[name], value)


def flat(record: Any) -> list[tuple[str, int]]:
    """Every number of a record by its name, as `channel[0].output`."""
    return [(_name(path), int(value)) for path, value in _walk(record, (), ())]


def _name(path: Path) -> str:
    names, index = path
    return ".".join(names) + "".join(f"[{i}]" for i in index)


def _walk(record: Any, names: tuple[str, ...], index: tuple[int, ...]) -> list[tuple[Path, Any]]:
    if record.dtype.names:
        return [found for name in record.dtype.names for found in _walk(record[name], (*names, name), index)]
    if record.shape:
        return [((names, i), record[i]) for i in np.ndindex(record.shape)]
    return [((names, index), record)]


def differ(ours: Records, theirs: Records) -> npt.NDArray[np.bool_]:
    """Which entries are not the same, byte by byte."""
    return np.asarray((_bytes(ours) != _bytes(theirs)).any(axis=1))


def _bytes(records: Records) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(records).view(np.uint8).reshape(len(records), -1)
