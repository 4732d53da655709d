"""A policy and verdicts to show."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console, RenderableType

from edgeguard.decision.table import Table
from edgeguard.program import Program, SignalSpec
from edgeguard.types import (
    Answer,
    Authority,
    Command,
    GateDecision,
    Mode,
    Reading,
    Status,
    Verdict,
)


@pytest.fixture
def program() -> Program:
    inf = float("inf")
    ranges = {"certainty": (0.0, 1.0), "novelty": (0.0, inf), "speed": (0.0, 60.0), "heat": (-inf, inf)}
    return Program(
        name="sign-gate",
        version=7,
        digest="00" * 32,
        signals=tuple(SignalSpec(name, "primary", low, high, 0.1) for name, (low, high) in ranges.items()),
        table=Table(()),
        when=lambda _values, _healthy: (),
        clear=lambda _values, _healthy: (),
        choose=lambda _values, _healthy: -1,
        fallback=(),
        envelope=(),
        thresholds={"certainty": 0.8, "novelty": 4.0},
    )


@pytest.fixture
def make() -> Callable[..., Verdict]:
    def made(number: int = 0, **changes: Any) -> Verdict:
        given: dict[str, Any] = {
            "number": number,
            "frame": number,
            "at": 10.0 + number * 0.02,
            "mode": Mode.NOMINAL,
            "authority": Authority.MODEL,
            "gate": GateDecision.ALLOW,
            "command": Command({"brake": 0.25}),
            "readings": (
                Reading("certainty", 0.9, 0.01, Status.PASS),
                Reading("novelty", 9.0, 0.01, Status.SUSPECT),
                Reading("speed", None, 0.5, Status.STALE),
                Reading("heat", float("nan"), 0.0, Status.FAIL),
                Reading("undeclared", 0.5, 0.0, Status.UNKNOWN),
            ),
            "answer": Answer(number, 10.0, 1, "stop", 0.97, (0.03, 0.97), "ab" * 32),
        }
        return Verdict(**(given | changes))

    return made


@pytest.fixture
def draw() -> Callable[[RenderableType], str]:
    def drawn(what: RenderableType) -> str:
        out = io.StringIO()
        Console(file=out, force_terminal=True, color_system=None, width=120, legacy_windows=False).print(what)
        return out.getvalue()

    return drawn
