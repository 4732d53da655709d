"""How late it is, from a clock that may be wrong or missing and a floor that only signed times ever raised.

Pure: no clock is read here, and no clock ever raises the floor.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeguard.admission.trust import Moment

if TYPE_CHECKING:
    from edgeguard.admission.floor import Floor

RELEASED = 1_767_225_600.0
"""Start of the year of this release (2026-01-01, Unix s): a clock that shows less was never set."""


def moment(floor: Floor | None, clock: str, wall: float | None) -> Moment | None:
    """Return how late it is; None: that is not known, and what is dated must be refused.

    `clock`: a policy's `admission.clock`, `system` or `none`. `wall`: what the clock shows (Unix s), if there is one.
    """
    vouched = floor.time if floor is not None else 0.0
    if clock != "system" or wall is None or not math.isfinite(wall):
        return Moment(vouched, exact=False) if vouched > 0.0 else None
    if wall < RELEASED and vouched <= 0.0:
        return None
    return Moment(max(wall, vouched))
