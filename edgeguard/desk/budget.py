"""How soon each rule's command is at the microcontroller at worst, term by term, as people and programs read it.

Adds up declared times only; whether they are short enough is checked when a policy loads (`edgeguard.policy.timing`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import tree
from edgeguard.policy.sources import FAULT_PREFIX
from edgeguard.policy.timing import SLACK, debounce, reaction_time, spared
from edgeguard.policy.triggers import Trigger
from edgeguard.policy.units import duration_text


@dataclass(frozen=True, slots=True)
class Budget:
    """One trigger's worst case. Times in s."""

    id: str
    """A rule's or relation's id, or `signal:NAME` for a signal's fault."""
    line: int
    waited: float
    """How long the fault is not yet believed: the debounce, or a signal's `max_age`."""
    period: float
    """Until the runtime's next step."""
    link: float
    """Until the microcontroller has the command, or has noticed that the line is dead."""
    ftti: float | None
    """What the policy states; None: nothing."""
    schedule: float = 0.0
    """How long it may take until a signal of the condition is computed at all; 0 where each frame has it."""
    covered: str = ""
    """The rule that acts in time on the very same condition, where this one is late."""

    @property
    def total(self) -> float:
        """The sum (s)."""
        return self.schedule + self.waited + self.period + self.link

    @property
    def late(self) -> bool:
        """Whether the sum is longer than the stated interval."""
        return self.ftti is not None and self.total > self.ftti + SLACK

    def __str__(self) -> str:
        """One line, like `fast: 100ms debounce + 20ms period + 100ms link and microcontroller = 220ms of 300ms`."""
        what = "max_age" if self.id.startswith(FAULT_PREFIX) else "debounce"
        spared = f"{duration_text(self.schedule)} schedule + " if self.schedule else ""
        sums = (
            f"{self.id}: {spared}{duration_text(self.waited)} {what} + {duration_text(self.period)} period + "
            f"{duration_text(self.link)} link and microcontroller = {duration_text(self.total)}"
        )
        if self.ftti is None:
            return f"{sums}, no ftti stated"
        within = f"{sums} of {duration_text(self.ftti)}"
        return f"{within}: late, but {self.covered} acts in time" if self.late else within


def budgets(document: PolicyDocument) -> tuple[Budget, ...]:
    """The budget of every enforced trigger in file order, then of every signal's fault."""
    policy = document.policy
    link = reaction_time(policy, 0.0) - policy.period
    enforced = [trigger for trigger in document.triggers if trigger.mode == "enforce"]
    rules = tuple(_of_rule(document, trigger) for trigger in enforced)
    limit = float("inf") if policy.ftti is None else policy.ftti + SLACK
    in_time: dict[tuple[object, ...], str] = {}
    for trigger, budget in zip(enforced, rules):
        if budget.total <= limit:
            in_time.setdefault(tree.skeleton(trigger.when), trigger.id)
    covered = (
        replace(budget, covered=in_time.get(tree.skeleton(trigger.when), "")) if budget.late else budget
        for budget, trigger in zip(rules, enforced)
    )
    faults = (
        Budget(
            FAULT_PREFIX + name, document.line(("signals", name)), s.max_age, policy.period, link, policy.ftti
        )
        for name, s in policy.signals.items()
    )
    return (*covered, *faults)


def _of_rule(document: PolicyDocument, trigger: Trigger) -> Budget:
    policy, read = document.policy, tree.names(trigger.when)
    waited, before = debounce(policy, trigger.hold, read), spared(policy, read)
    link = reaction_time(policy, 0.0) - policy.period
    return Budget(trigger.id, trigger.line, waited, policy.period, link, policy.ftti, before)
