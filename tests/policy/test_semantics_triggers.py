"""Clauses S4.1 to S4.6 of `docs/reference/policy-semantics.md`: rules, relations and faults become triggers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from edgeguard.decision.table import Span, Truth
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.document import parse
from edgeguard.types import Authority

POLICY = """\
edgeguard: 1
policy: {name: parts, version: 1}
frame: {period: 100ms}
signals:
  contrast: {from: frame, range: [0, 9], max_age: 1s, on_fault: human, within: 2s, otherwise: rules}
  told: {from: context, range: [0, 9], max_age: 1s}
redundancy:
  - {id: close, agree: [contrast, told], tolerance: 0.5, then: rules, for: 300ms}
  - {id: moving, if: told > 1.0, expect: contrast > 1.0, then: rules, mode: audit}
rules:
  - {id: bare, when: told > 5.0, then: safe_state}
  - {id: quiet, when: told > 5.0, then: human, within: 1s, mode: warn}
  - {id: long, when: told > 5.0, for: 3 frames, clear: {when: told < 1.0}, then: rules, latch: true}
  - {id: short, when: told > 5.0, for: 3 frames, clear: {when: told < 1.0, for: 200ms}, then: rules}
envelope: {brake: {min: 0, max: 1, safe: 1}}
"""


def test_parts_that_a_file_does_not_state_are_those_of_the_page() -> None:  # S4.1 to S4.6
    program = compile_policy(parse(POLICY.encode(), file="parts.yaml"), base=Path())
    rows = {row.id: row for row in (*program.table.rules, *program.watched)}
    assert [row.id for row in program.table.rules] == [
        "bare",
        "long",
        "short",
        "close",
        "signal:contrast",
        "signal:told",
    ]
    assert [row.id for row in program.watched] == ["quiet", "moving"]
    spans = {name: (row.hold, row.clear) for name, row in rows.items()}
    assert spans == {
        "bare": (Span(), Span(frames=1)),
        "quiet": (Span(), Span(frames=1)),
        "long": (Span(frames=3), Span(frames=3)),
        "short": (Span(frames=3), Span(seconds=0.2)),
        "close": (Span(seconds=0.3), Span(seconds=0.3)),
        "moving": (Span(), Span(frames=1)),
        "signal:contrast": (Span(), Span(frames=5)),
        "signal:told": (Span(), Span(seconds=0.5)),
    }
    demands = {name: (row.then, row.within, row.otherwise) for name, row in rows.items() if row.within}
    assert demands == {
        "quiet": (Authority.HUMAN, 1.0, Authority.SAFE_STATE),
        "signal:contrast": (Authority.HUMAN, 2.0, Authority.RULES),
    }
    assert rows["signal:told"].then is Authority.SAFE_STATE
    assert [name for name, row in rows.items() if row.latch] == ["long"]


@pytest.mark.parametrize(
    ("seen", "told", "when", "clear"),
    [
        # bare, long, short, close, signal:contrast, signal:told, quiet, moving
        (2.0, 2.0, "FFFFFFFF", "TFFTTTTT"),
        (2.0, 2.5, "FFFFFFFF", "TFFTTTTT"),
        (0.0, 6.0, "TTTTFFTT", "FFFFTTFF"),
        (0.0, 0.0, "FFFFFFFF", "TTTTTTTT"),
        (None, 6.0, "TTTXXFTX", "FFFXXTFX"),
        (2.0, None, "XXXXFXXX", "XXXXTXXX"),
    ],
)
def test_conditions_of_every_kind_of_trigger_are_those_of_the_page(
    seen: float | None, told: float | None, when: str, clear: str
) -> None:  # S4.3 to S4.6
    program = compile_policy(parse(POLICY.encode(), file="parts.yaml"), base=Path())
    values = [math.nan if value is None else value for value in (seen, told)]
    healthy = [value is not None for value in (seen, told)]
    letters = {Truth.TRUE: "T", Truth.FALSE: "F", Truth.FAULT: "X"}
    assert "".join(letters[truth] for truth in program.when(values, healthy)) == when
    assert "".join(letters[truth] for truth in program.clear(values, healthy)) == clear
