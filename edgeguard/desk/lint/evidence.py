"""Evidence that is less than it looks: one computation that counts as several frames, one process that vouches for all.

Certain too: it follows from the schedule and from which looks run in which worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from edgeguard.desk.findings import Finding
from edgeguard.desk.lint.subject import Subject
from edgeguard.policy.diagnostics import Place, quote
from edgeguard.policy.expr import tree
from edgeguard.policy.looks import FUSED, HOST, home, measure, taken_from
from edgeguard.policy.pace import frame_period, frames_held
from edgeguard.policy.triggers import Trigger
from edgeguard.policy.units import frames_text, span_text

_COMPARED = ("disagreement", "votes")


def counted_twice(subject: Subject) -> Iterator[Finding]:
    """EG1412: a debounce that one single value fulfils, because it is held until it is computed again."""
    policy = subject.document.policy
    for trigger in subject.document.triggers:
        for name in tree.names(trigger.when):
            held = frames_held(policy, name)
            if _asks_for_more(subject, trigger) and _fulfilled(subject, trigger, held):
                message = (
                    f"{subject.who(trigger)} holds for {span_text(trigger.hold)}, and {quote(name)} is computed "
                    f"once in {frames_text(held)}: one value is enough"
                )
                hint = f"write `for: {held + 1} frames` or more to ask for a second value, or leave `for` out"
                yield subject.finding("EG1412", message, subject.start(trigger), hint)
                break


def _asks_for_more(subject: Subject, trigger: Trigger) -> bool:
    """Whether the debounce is longer than one frame."""
    return trigger.hold.frames > 1 or trigger.hold.seconds > frame_period(subject.document.policy)


def _fulfilled(subject: Subject, trigger: Trigger, held: int) -> bool:
    """Whether a value that stands for `held` frames fulfils the debounce by itself."""
    lasts = held * frame_period(subject.document.policy)
    return held > 1 and trigger.hold.frames <= held and trigger.hold.seconds < lasts


def vouched_by_one(subject: Subject) -> Iterator[Finding]:
    """EG1413: models that are compared with each other run in one worker, so that one lie makes them agree."""
    policy = subject.document.policy
    for name, signal in policy.signals.items():
        if signal.of is None or measure(name, signal) not in _COMPARED:
            continue
        looks = taken_from(policy, name)
        where = {look: home(policy, look) for look in looks}
        if looks == (FUSED,) and where[FUSED] != HOST:
            yield _one_for_all(subject, name, ("the models in the fused graph", "run"), where[FUSED])
        for one, other in combinations(looks, 2):
            if where[one] == where[other] != HOST:
                yield _one_for_all(
                    subject, name, (f"{quote(one)} and {quote(other)}", "both run"), where[one]
                )
                break


def agreed_by_one(subject: Subject) -> Iterator[Finding]:
    """EG1413: a relation between the answers of models that run in one worker."""
    policy = subject.document.policy
    for i, relation in enumerate(policy.redundancy):
        looks = [look for name in relation.agree or () for look in taken_from(policy, name)[:1]]
        where = {home(policy, look) for look in looks}
        if len(set(looks)) == 2 and len(where) == 1 and HOST not in where:
            who = " and ".join(map(quote, looks)), "both run"
            yield _told(subject, relation.id, who, where.pop(), subject.name("redundancy", i, "agree"))


def _one_for_all(subject: Subject, name: str, who: tuple[str, str], worker: str) -> Finding:
    return _told(subject, name, who, worker, subject.name("signals", name))


def _told(subject: Subject, name: str, who: tuple[str, str], worker: str, place: Place) -> Finding:
    message = f"{who[0]} {who[1]} in {quote(worker)}: it alone vouches for {quote(name)}"
    hint = "give one of them a worker of its own, so that one process cannot make them agree"
    return subject.finding("EG1413", message, place, hint)
