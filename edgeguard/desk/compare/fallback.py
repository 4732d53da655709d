"""What is commanded when the rules act: the first fallback row that holds, in one policy and in the other.

Commands have no order: another command for any input is incomparable, whichever way it moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgeguard.desk.compare.order import Difference, Order, number_text
from edgeguard.desk.compare.pairing import Pairing
from edgeguard.desk.compare.witness import Differs, Runner, Stage
from edgeguard.desk.solve.backend import Formula, z3
from edgeguard.desk.solve.encode import Space, Truths
from edgeguard.desk.trial import Seen
from edgeguard.gate.gate import safe_command
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import tree
from edgeguard.policy.source import Path
from edgeguard.program import Program


@dataclass(frozen=True, slots=True)
class Choices:
    """A policy's fallback rules: when each row is the one that commands, and what it commands.

    The last stands for none of them: the safe command.
    """

    chosen: tuple[Formula, ...]
    commands: tuple[Mapping[str, float], ...]


def choices(document: PolicyDocument, program: Program, space: Space) -> Choices:
    """The rows in file order, as formulas."""
    always = tree.Bool(0, 0, value=True)
    rows = [
        space.truths(document.conditions.get(("fallback", i, "when"), always))
        for i in range(len(document.policy.fallback))
    ]
    commands = [row.command.values for row in program.fallback]
    chosen = first_true(rows)
    return Choices(chosen, (*commands, safe_command(program.envelope).values))


def first_true(rows: Sequence[Truths]) -> tuple[Formula, ...]:
    """When each row is the first that holds with none at fault before it; last: when there is no such row."""
    reached: Formula = z3.BoolVal(val=True)
    found = []
    for row in rows:
        found.append(z3.And(reached, row.true))
        reached = z3.And(reached, row.false)
    return (*found, z3.Not(z3.Or(*found)))


def fallback(
    before: Choices, after: Choices, acts: Formula, pairing: Pairing, runner: Runner
) -> Iterator[Difference]:
    """One difference for every row of NEW (or none of them) that commands otherwise than OLD did on some input.

    `acts`: the inputs on which a fallback rule of either policy could act.
    """
    differs = _commands(before, after)
    for row, (chosen, command) in enumerate(zip(after.chosen, after.commands)):
        others = [o for o, was in zip(before.chosen, before.commands) if dict(was) != dict(command)]
        if not others:
            continue
        unsolved = pairing.logic.unsolved
        point = pairing.point(z3.And(acts, chosen, z3.Or(*others)))
        place: Path | None = ("fallback", row) if row + 1 < len(after.chosen) else None
        if point is not None:
            witness, _ = runner.show((Stage(point, 1, 0.0),), differs)
            text = f"the fallback rules now command {said(command)} on some inputs"
            yield Difference(Order.INCOMPARABLE, text, None, place, witness)
        elif pairing.logic.unsolved > unsolved:
            text = "whether this row commands as before is not known: the solver gave no answer"
            yield Difference(Order.INCOMPARABLE, text, None, place)


def _commands(before: Choices, after: Choices) -> Differs:
    def differs(old: Seen, new: Seen) -> tuple[str, str] | None:
        was, now = before.commands[old.fallback], after.commands[new.fallback]
        return (said(was), said(now)) if dict(was) != dict(now) else None

    return differs


def said(command: Mapping[str, float]) -> str:
    """A command in words."""
    return ", ".join(f"{name} = {number_text(value)}" for name, value in command.items())
