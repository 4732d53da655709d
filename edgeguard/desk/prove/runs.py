"""Theorems over all runs of the mode layer and the rule layer, for every sequence of inputs and events."""

from __future__ import annotations

from collections.abc import Sequence

from edgeguard.decision.machine import Inputs, RuleState, State, idle, step
from edgeguard.decision.table import RuleRow, Truth
from edgeguard.desk.prove import modes as layer
from edgeguard.desk.prove.replay import Judge, hunt
from edgeguard.desk.prove.result import Objection, Result, doubt
from edgeguard.desk.prove.rules import first_broken
from edgeguard.desk.prove.subject import Subject, counted
from edgeguard.desk.trial import Seen
from edgeguard.types import Authority, Event, Mode

_HELD = frozenset({Mode.SAFE_STATE, Mode.LOCKOUT})


def fail_closed(subject: Subject) -> Result:
    """3: the model never acts while something takes authority."""
    wrong = layer.model_while_active(subject.modes)
    objections = list(_rules_broken(subject))
    if wrong:
        move = wrong[0]
        said = f"from {move.before.mode.value} the machine goes to {move.after.mode.value} while a rule is active"
        objections.append(_shown(subject, "EG1603", said, _model_despite(subject)))
    elif unheard := _unheard(subject):
        said = f"the model acts while `{unheard[0].id}` is active"
        objections.append(_shown(subject, "EG1603", said, _model_despite(subject)))
    return Result(
        "fail-closed",
        "the model never acts while a signal is at fault or a rule is active",
        f"inductive over all runs: {subject.modes.size()}; "
        f"{counted(len(subject.program.table.rules), 'rule')} in every state{_held(subject)}",
        tuple(objections),
    )


def _held(subject: Subject) -> str:
    """What is said of signals that are not computed on every frame: any value may stand, and all of them age."""
    count = len(subject.program.schedule)
    return f"; {counted(count, 'signal')} on a schedule, held and then stale at worst" if count else ""


def safe_exit(subject: Subject) -> Result:
    """5: the safe state is left by the operator only."""
    wrong = layer.safe_state_left(subject.modes)
    objections = []
    if wrong:
        said = f"{wrong[0].before.mode.value} is left for {wrong[0].after.mode.value} without the operator"
        objections.append(_shown(subject, "EG1605", said, _left_alone))
    return Result(
        "safe-exit",
        "the safe state is left only by the operator",
        f"inductive over all runs: {subject.modes.size()}",
        tuple(objections),
    )


def takeover(subject: Subject) -> Result:
    """6: a human can take over."""
    objections = []
    place = subject.place(("lockout_after",))
    if layer.locked_out_unasked(subject.modes):
        said = "the first entry into the safe state locks out, before the operator can take over"
        trace = hunt(subject, _locked_out_first)
        hint = "write `lockout_after: 2` or more, or 0 for never"
        objections.append(
            Objection("EG1606", said, place, hint, trace) if trace else doubt(f"{said}: {_UNSEEN}", place)
        )
    elif stuck := layer.no_takeover(subject.modes):
        said = f"from {stuck[0].mode.value} a human cannot take over within two steps"
        objections.append(_shown(subject, "EG1606", said, _refused))
    return Result(
        "takeover",
        "a human can take over within two steps, whatever the signals do",
        f"inductive over all runs: {subject.modes.size()}",
        tuple(objections),
    )


def no_loop(subject: Subject) -> Result:
    """8: with constant input the mode settles."""
    objections = list(_rules_broken(subject, "EG1608"))
    cycles = layer.unsettled(subject.modes)
    bound = ""
    if cycles:
        ways = " -> ".join(mode.value for mode in min(cycles, key=len))
        objections.append(_shown(subject, "EG1608", f"nothing changes, and the mode does: {ways}", _loops))
    else:
        most = layer.longest_way(subject.modes)
        bound = f"; settled within {_settled(subject):g} s and {counted(most, 'change')} of mode"
    return Result(
        "no-loop",
        "with constant input the mode settles",
        "inductive over all runs: every rule changes at most once, no cycle in "
        f"{len(subject.modes.seats)} states{bound}",
        tuple(objections),
    )


_UNSEEN = "the mode layer allows it, and no run of this policy was found that shows it"


def _shown(subject: Subject, code: str, said: str, judge: Judge) -> Objection:
    place = subject.place(("rules",))
    trace = hunt(subject, judge)
    return Objection(code, said, place, trace=trace) if trace else doubt(f"{said}: {_UNSEEN}", place)


def _rules_broken(subject: Subject, code: str = "EG1603") -> list[Objection]:
    """What the rule layer breaks."""
    found = first_broken(subject.advance, subject.program.table.rules)
    if found is None:
        return []
    row, said = found
    return [_shown(subject, code, f"the rule layer is broken: `{row.id}` {said}", _model_despite(subject))]


def _unheard(subject: Subject) -> list[RuleRow]:
    """Rows that are active alone, or whose fault begins now, and still the model acts: the layers are not joined."""
    table = subject.program.table
    calm = table.calm
    found = []
    for i, row in enumerate(table.rules):
        active = tuple(RuleState(active=j == i) for j in range(len(table.rules)))
        held = State(Mode.NOMINAL, active)
        faulty = tuple(Truth.FAULT if j == i else Truth.FALSE for j in range(len(table.rules)))
        _, outcome = step(table, held, Inputs(calm, calm, new_frame=True), 0.0)
        at_once = not (row.hold.frames or row.hold.seconds)
        fresh = State(Mode.NOMINAL, idle(len(table.rules)))
        _, now = step(table, fresh, Inputs(faulty, calm, new_frame=True), 0.0)
        if Authority.MODEL in (outcome.authority, now.authority if at_once else None):
            found.append(row)
    return found


def _model_despite(subject: Subject) -> Judge:
    """The model acts while a signal is at fault or a rule without debounce holds."""
    rows = [i for i, r in enumerate(subject.program.table.rules) if not (r.hold.frames or r.hold.seconds)]
    return lambda seen: seen[-1].mode is Mode.NOMINAL and any(seen[-1].when[i] for i in rows)


def _left_alone(seen: Sequence[Seen]) -> bool:
    before, now = seen[-2:]
    if before.mode is Mode.LOCKOUT:
        return now.mode is not Mode.LOCKOUT
    left = before.mode is Mode.SAFE_STATE and now.mode not in _HELD
    return left and not {Event.TAKE, Event.RESET} & set(now.events)


def _locked_out_first(seen: Sequence[Seen]) -> bool:
    return seen[-1].mode is Mode.LOCKOUT and all(s.mode is not Mode.SAFE_STATE for s in seen)


def _refused(seen: Sequence[Seen]) -> bool:
    """Two takes in a row from a state that is armed or safe, and the human still does not have the wheel."""
    if len(seen) < 3 or any(Event.TAKE not in s.events for s in seen[-2:]):
        return False
    had = any(s.mode is Mode.SAFE_STATE for s in seen[:-2])
    return Mode.MANUAL not in (seen[-1].mode, seen[-2].mode) and not (seen[-1].mode is Mode.LOCKOUT and had)


def _loops(seen: Sequence[Seen]) -> bool:
    """The mode comes back to where it was, and nothing drove it there."""
    now = seen[-1]
    away = False
    for step_before in reversed(seen[:-1]):
        if now.events or step_before.values != now.values or step_before.when != now.when:
            return False
        if away and step_before.mode is now.mode:
            return True
        away = away or step_before.mode is not now.mode
        if step_before.events:
            return False
    return False


def _settled(subject: Subject) -> float:
    """After how long (s) every rule has changed for the last time."""
    # a step has one new frame at most
    period = max(subject.program.frame_period, subject.program.period)
    most = 0.0
    for row in subject.program.table.rules:
        hold, clear = (max(span.frames * period, span.seconds) for span in (row.hold, row.clear))
        most = max(most, hold + row.within, clear)
    return round(most + 2 * subject.program.period, 6)
