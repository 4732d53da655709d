"""A compiled policy as one JSON value: what the page's own engine evaluates. Nothing in it is rounded or left out.

JSON has no infinities: open ends and unlimited rates are null. Positions in `reads` are those of `signals`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from edgeguard.decision.table import RuleRow, Span
from edgeguard.desk.page.facts import number
from edgeguard.policy import DraftPolicy
from edgeguard.policy.describe import Json, actuator
from edgeguard.policy.expr import tree
from edgeguard.program import Program

_UNARY: Mapping[str, str] = {"!": "not", "-": "neg"}
_ALWAYS: Json = ["literal", True, "true"]


def table(draft: DraftPolicy) -> dict[str, Json]:
    """Everything that the decision takes: signals, rows with their trees, fallback, envelope and times (s)."""
    program, document = draft.program, draft.document
    trees = {trigger.id: (trigger.when, trigger.clear) for trigger in document.triggers}
    index = {spec.name: i for i, spec in enumerate(program.signals)}
    encode = _Encoder(index, program.thresholds).node
    rows: list[Json] = []
    for row in (*program.table.rules, *program.watched):
        when, clear = trees.get(row.id, (None, None))
        rows.append(
            {
                **_row(row),
                "when": None if when is None else encode(when),
                "clear_when": None if clear is None else encode(clear),
            }
        )
    conditions = [document.conditions.get(("fallback", i, "when")) for i in range(len(program.fallback))]
    return {
        "name": program.name,
        "period": program.period,
        "frame_period": program.frame_period,
        "lockout_after": program.table.lockout_after,
        "handover": [{"after": after, "alert": alert} for after, alert in program.handover],
        "signals": _signals(program),
        "rows": rows,
        "enforced": len(program.table.rules),
        "fallback": [
            {
                "line": row.line,
                "text": row.text,
                "command": dict(row.command.values),
                "when": _ALWAYS if node is None else encode(node),
            }
            for row, node in zip(program.fallback, conditions)
        ],
        "envelope": [{**actuator(limit), "authority": int(limit.authority)} for limit in program.envelope],
    }


def embedded(value: Json) -> str:
    """`value` as JSON that may stand inside of a `script` element of a page: nothing in it can end the element."""
    text = json.dumps(
        value, allow_nan=False, separators=(",", ":")
    )  # ASCII: no separator that scripts trip over
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _signals(program: Program) -> list[Json]:
    return [
        {
            "name": spec.name,
            "source": spec.source,
            "low": _finite(spec.low),
            "high": _finite(spec.high),
            "unit": spec.unit,
            "kind": spec.kind,
            "whole": spec.whole,
            "labels": list(spec.labels),
            "nominal": spec.nominal,
        }
        for spec in program.signals
    ]


def _row(row: RuleRow) -> dict[str, Json]:
    return {
        "id": row.id,
        "line": row.line,
        "text": row.text,
        "cause": row.cause,
        "mode": row.mode,
        "then": int(row.then),
        "otherwise": int(row.otherwise),
        "within": row.within,
        "hold": _span(row.hold),
        "clear": _span(row.clear),
        "clear_text": row.clear_text,
        "latch": row.latch,
        "reads": list(row.reads),
    }


def _span(span: Span) -> Json:
    return {"frames": span.frames, "seconds": span.seconds}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


class _Encoder:
    """Trees as nested lists: `["<", ["signal", 0], ["literal", 0.5, "0.5"]]`."""

    def __init__(self, index: Mapping[str, int], thresholds: Mapping[str, float]) -> None:
        self._index = index
        self._thresholds = thresholds

    def node(self, node: tree.Node) -> Json:
        """One tree. A literal carries its value and how to write it."""
        if isinstance(node, (tree.Name, tree.Flag)):
            return ["flag" if isinstance(node, tree.Flag) else "signal", self._index[node.name]]
        if isinstance(node, tree.Number):
            return ["literal", node.value, number(node.value)]
        if isinstance(node, tree.Bool):
            return ["literal", node.value, "true" if node.value else "false"]
        if isinstance(node, tree.Label):
            return ["literal", node.value, f"{node.signal}.{node.label}"]
        if isinstance(node, tree.Member):
            return ["literal", self._thresholds[node.name], f"{node.base}.{node.name}"]
        if isinstance(node, tree.Within):
            return ["in", self.node(node.operand), list(node.items), [number(item) for item in node.items]]
        parts = [self.node(part) for part in tree.children(node)]
        if isinstance(node, tree.Unary):
            return [_UNARY[node.op], *parts]
        return ["if" if isinstance(node, tree.Conditional) else node.op, *parts]
