"""Tables that no policy gives, for both machines: one number of a sound one changed to what stands at an edge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.firmware.reference.layout import Records
from tests.firmware.reference.shrink import one_of, put_at

EDGES = (
    0,
    1,
    2,
    3,
    4,
    5,
    8,
    9,
    999,
    1_000,
    1_001,
    10**7,
    10**7 + 1,
    2 * 10**9,
    2 * 10**9 + 1,
    2**31 - 2,
    2**31 - 1,
)


def changed(rng: np.random.Generator, table: Any) -> Records:
    """The table, as an array of one entry, with one of its numbers changed; that may leave it as sound as it was."""
    copy = np.zeros(1, table.dtype)
    copy[0] = table
    path, number = one_of(rng, table)
    bounds = np.iinfo(number.dtype)
    marks = [*EDGES, *(-edge for edge in EDGES), -(2**31), 2**32 - 1, int(number) - 1, int(number) + 1, 255]
    marks += [int(table[field]) for field in ("lost_us", "degraded_us", "sensors", "rules")]
    fits = [mark for mark in marks if bounds.min <= mark <= bounds.max and mark != int(number)]
    put_at(copy, path, fits[int(rng.integers(len(fits)))])
    return copy


def many(rng: np.random.Generator, table: Any, count: int) -> Iterator[Any]:
    """So many changed tables, one record each."""
    for _ in range(count):
        yield changed(rng, table)[0]
