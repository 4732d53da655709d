"""Does every rule act within the fault-tolerant time interval that the policy states, and do the times agree?

Arithmetic over declared times only; what the times really are is measured on the rig.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeguard.decision.table import Span
from edgeguard.policy.diagnostics import Report, quote
from edgeguard.policy.expr import tree
from edgeguard.policy.pace import frame_period, waiting
from edgeguard.policy.schema import Policy
from edgeguard.policy.source import Path, Source
from edgeguard.policy.sources import bound_to_frames
from edgeguard.policy.triggers import Trigger
from edgeguard.policy.units import duration_text

SLACK = 1e-9
"""Seconds by which sums of decimal fractions may miss."""

LATEST_LOSS = 0.150
"""Seconds after which a microcontroller falls back when the policy has no `link`."""


def reaction_time(policy: Policy, waited: float) -> float:
    """Worst time (s) from a fault to its command at the microcontroller, `waited` s of which it is not yet believed."""
    return waited + policy.period + (policy.link.lost_after if policy.link else LATEST_LOSS)


def spared(policy: Policy, signals: tuple[str, ...]) -> float:
    """Seconds that may pass before a condition over `signals` can begin to hold, because one is on a schedule."""
    return max((waiting(policy, name) for name in signals if name in policy.signals), default=0.0)


def debounce(policy: Policy, hold: Span, signals: tuple[str, ...]) -> float:
    """Seconds that a condition over `signals` needs to be believed; at least one frame where one comes with frames.

    Frames count as they come: a value that was not computed anew is held, and counts with them.
    """
    period = frame_period(policy)
    frames = max(hold.frames, 1 if any(_framed(policy, name) for name in signals) else 0)
    return max(frames * period, hold.seconds)


def _framed(policy: Policy, name: str) -> bool:
    return bound_to_frames(policy.signals[name].from_ or "models")


def check_timing(policy: Policy, triggers: Sequence[Trigger], source: Source, report: Report) -> None:
    """Report what is too slow for `ftti` (EG1309), and contradictory ladders and link times (EG1310, EG1315).

    A rule may be slow when another rule takes the same condition's authority away in time: it escalates. Rules that
    only warn or audit take nothing, so they neither have to be in time nor make another one's condition in time.
    """
    enforced = [trigger for trigger in triggers if trigger.mode == "enforce"]
    _ladder(policy, enforced, source, report)
    if policy.link is not None and not policy.link.heartbeat < policy.link.lost_after:
        place = source.key(("link", "lost_after"))
        report.add(
            "EG1315", "`heartbeat` is not shorter than `lost_after`", place, "two or three beats should fit"
        )
    if policy.ftti is None:
        return
    times = [(t, _waits(policy, t), tree.skeleton(t.when)) for t in enforced]
    limit = policy.ftti + SLACK
    in_time = {what for _, waits, what in times if reaction_time(policy, sum(waits.values())) <= limit}
    for trigger, waits, what in times:
        if what not in in_time:
            _fits(policy, waits, f"rule {quote(trigger.id)}", source, report, (*trigger.path, "for"))
    for name, signal in policy.signals.items():
        path = ("signals", name, "max_age")
        _fits(policy, {"`max_age`": signal.max_age}, f"signal {quote(name)}", source, report, path)


def _waits(policy: Policy, trigger: Trigger) -> dict[str, float]:
    """How long (s) a trigger's condition is not believed, term by term."""
    read = tree.names(trigger.when)
    terms = {"schedule": spared(policy, read), "debounce": debounce(policy, trigger.hold, read)}
    return {what: seconds for what, seconds in terms.items() if seconds or what == "debounce"}


def _fits(
    policy: Policy, waits: Mapping[str, float], who: str, source: Source, report: Report, path: Path
) -> None:
    waited = sum(waits.values())
    total, limit = reaction_time(policy, waited), policy.ftti
    if limit is None or total <= limit + SLACK:
        return
    terms = {**waits, "period": policy.period, "link": total - waited - policy.period}
    sums = " + ".join(f"{what} {duration_text(seconds)}" for what, seconds in terms.items())
    message = f"{who} may take {duration_text(total)}, longer than `ftti` of {duration_text(limit)}"
    report.add("EG1309", message, source.key(path), sums)


def _ladder(policy: Policy, enforced: Sequence[Trigger], source: Source, report: Report) -> None:
    if policy.handover is None:
        return
    budgets = [trigger.within or None for trigger in enforced]
    budgets += [signal.within for signal in policy.signals.values()]
    shortest = min((budget for budget in budgets if budget is not None), default=None)
    before = 0.0
    for i, step in enumerate(policy.handover.escalate):
        place = source.value(("handover", "escalate", i, "after"))
        if step.after <= before:
            report.add("EG1310", "this step does not come after the one before it", place)
        elif shortest is not None and step.after >= shortest:
            message = f"this step comes after the shortest `within` of {duration_text(shortest)}"
            report.add("EG1310", message, place, "an alert must sound while there is time to take over")
        before = step.after
