"""All theorems by name, in the order in which they are told, and the cases that their counterexamples make."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from edgeguard.desk.cases import Expect, to_yaml
from edgeguard.desk.prove.doubts import monotone
from edgeguard.desk.prove.inputs import reachable, total
from edgeguard.desk.prove.invariants import invariants
from edgeguard.desk.prove.pairs import pairs
from edgeguard.desk.prove.result import Result, Trace
from edgeguard.desk.prove.runs import fail_closed, no_loop, safe_exit, takeover
from edgeguard.desk.prove.subject import Subject
from edgeguard.desk.trial import NotArmable, Trial
from edgeguard.errors import UsageError
from edgeguard.program import Program

THEOREMS: Mapping[str, Callable[[Subject], Result]] = MappingProxyType(
    {
        "total": total,
        "reachable": reachable,
        "fail-closed": fail_closed,
        "monotone": monotone,
        "safe-exit": safe_exit,
        "takeover": takeover,
        "pairs": pairs,
        "no-loop": no_loop,
    }
)
INVARIANTS = "invariants"


def prove(subject: Subject, only: Collection[str] = ()) -> Iterator[Result]:
    """One result a theorem, then one an invariant; `only`: those of these names.

    Raises:
        UsageError: there is no theorem of such a name.
    """
    for name in only:
        if name not in THEOREMS and name != INVARIANTS:
            known = ", ".join((*THEOREMS, INVARIANTS))
            raise UsageError(f"there is no theorem `{name}`: choose from {known}")
    calm = _can_be_armed(subject.program)
    for name, theorem in THEOREMS.items():
        if not only or name in only:
            yield _advised(theorem(subject), calm=calm)
    if not only or INVARIANTS in only:
        yield from (_advised(result, calm=calm) for result in invariants(subject))


def _can_be_armed(program: Program) -> bool:
    try:
        Trial(program).arm()
    except NotArmable:
        return False
    return True


def _advised(result: Result, *, calm: bool) -> Result:
    """Runs begin armed, with nominal values; where that cannot be, none can be shown, and that is what to mend."""
    hint = "no run can begin: choose `nominal` values at which no rule holds (EG1503)"
    told = (o if calm or not o.unknown else replace(o, hint=hint) for o in result.objections)
    return replace(result, objections=tuple(told))


def as_cases(program: Program, results: Sequence[Result]) -> str:
    """Every counterexample as a test case, for `policy test --cases`; empty when there is none.

    A case cannot say that the planner gives no command, so a run that needs that is left out.
    """
    cases = [
        _case(program, f"counterexample to {result.name}, line {objection.place.line}", objection.trace)
        for result in results
        for objection in result.objections
        if objection.trace is not None and all(p.suggest != {} for p in objection.trace.phases)
    ]
    if not cases:
        return ""
    head = "tests:\n"
    return head + "".join(case.removeprefix(head) for case in cases)


def _case(program: Program, name: str, trace: Trace) -> str:
    """The run, and what it came to: the case passes for as long as the policy does that."""
    trial = Trial(program)
    trial.arm()
    last = [trial.run(phase) for phase in trace.phases][-1][-1]
    rules = [c.rule for c in last.causes if c.line]
    return to_yaml(name, trace.phases, Expect(last.authority, last.mode, rules[0] if rules else None))
