"""Verdicts to log and explain, made from what a test wants to differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgeguard.types import (
    Answer,
    Authority,
    Cause,
    Command,
    GateDecision,
    Mode,
    Reading,
    Status,
    Verdict,
)

Make = Callable[..., Verdict]

UNSURE = Cause(
    rule="unsure",
    line=31,
    text="certainty < calibrated.certainty",
    demands=Authority.RULES,
    since=12.3,
    values={"certainty": 0.3123},
    thresholds={"certainty": 0.8123},
    clears="certainty > calibrated.certainty for 5 frames",
)


@pytest.fixture
def unsure() -> Cause:
    return UNSURE


@pytest.fixture
def make() -> Make:
    def made(number: int = 0, **changes: Any) -> Verdict:
        given: dict[str, Any] = {
            "number": number,
            "frame": number,
            "at": 10.0 + number * 0.02,
            "mode": Mode.NOMINAL,
            "authority": Authority.MODEL,
            "gate": GateDecision.ALLOW,
            "command": Command({"brake": 0.25}),
            "causes": (),
            "readings": (
                Reading("certainty", 0.9, 0.01, Status.PASS),
                Reading("speed", None, 0.5, Status.STALE),
            ),
            "answer": Answer(number, 10.0, 1, "stop", 0.97, (0.03, 0.97), "ab" * 32),
            "digests": {"policy": "cd" * 32},
        }
        return Verdict(**(given | changes))

    return made


@pytest.fixture
def degraded(make: Make) -> Verdict:
    return make(
        141,
        at=12.82,
        mode=Mode.DEGRADED,
        authority=Authority.RULES,
        gate=GateDecision.SUBSTITUTE,
        causes=(UNSURE,),
    )
