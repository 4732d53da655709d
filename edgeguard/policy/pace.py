"""How often each signal is computed, and so how long it may not tell of anything new. Arithmetic over declared times.

A signal that is not computed keeps its value and its time, and ages like any other.
"""

from __future__ import annotations

import math

from edgeguard.policy.looks import home, taken_from, workers
from edgeguard.policy.schema import Policy

FRAME_PERIOD = 0.05
"""Seconds between new frames when the policy does not say (`frame: {period: ...}`)."""


def frame_period(policy: Policy) -> float:
    """Seconds between two new frames."""
    return policy.frame.period if policy.frame else FRAME_PERIOD


def deadline(policy: Policy, name: str) -> float:
    """The longest time (s) that a worker of the signal's looks may take; 0 where the host runs them all."""
    given = workers(policy)
    homes = (home(policy, look) for look in taken_from(policy, name))
    return max((given[where].deadline for where in homes if where in given), default=0.0)


def waiting(policy: Policy, name: str) -> float:
    """The longest time (s) from a frame with a fault to the first one whose signal `name` can show it."""
    pace = policy.schedule.get(name)
    if pace is None:
        return 0.0
    if pace.background:
        return oldest(policy, name)
    return ((pace.every or 1) - 1) * frame_period(policy)


def oldest(policy: Policy, name: str) -> float:
    """The age (s) that a scheduled signal reaches while all goes well, just before it is computed again."""
    pace, period, limit = policy.schedule.get(name), frame_period(policy), deadline(policy, name)
    if pace is not None and pace.background:  # asked, answered, seen with the next frame, and all of it again
        return 2.0 * (limit + period)
    return (pace.every or 1 if pace else 1) * period + limit


def frames_held(policy: Policy, name: str) -> int:
    """How many frames one computed value may stand for; 1 where it is computed on every frame."""
    pace = policy.schedule.get(name)
    if pace is None:
        return 1
    if pace.background:
        return 1 + math.floor(deadline(policy, name) / frame_period(policy))
    return pace.every or 1
