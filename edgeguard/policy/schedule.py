"""Can the schedule be kept: of signals that can be spared, fresh enough, on what is known in time?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgeguard.policy.diagnostics import quote
from edgeguard.policy.expr import tree
from edgeguard.policy.findings import Findings
from edgeguard.policy.looks import HOST, PRIMARY, asked_for, home, measure
from edgeguard.policy.pace import oldest
from edgeguard.policy.running import Pace
from edgeguard.policy.schema import Policy, SignalDeclaration
from edgeguard.policy.source import Path
from edgeguard.policy.timing import SLACK
from edgeguard.policy.units import duration_text
from edgeguard.program import OF_ANSWER


def check_schedule(findings: Findings, trees: Mapping[Path, tree.Node]) -> None:
    """Report every entry that cannot be carried out, and every signal that it would make stale."""
    policy = findings.policy
    if policy.schedule and policy.fused:
        message = "a fused graph computes all of its signals at once"
        findings.at_key("EG1328", message, ("schedule",), "remove `schedule`, or `fused`")
        return
    for name, pace in policy.schedule.items():
        path: Path = ("schedule", name)
        if name not in policy.signals:
            hint = findings.suggest(name, policy.signals)
            findings.at_key("EG1302", f"there is no signal {quote(name)}", path, hint)
        elif not asked_for(policy, name):
            message = f"{quote(name)} is there as soon as the answer is, or needs no model at all"
            findings.at_key("EG1328", message, path, "remove it: there is nothing to spare")
        elif _form(findings, pace, path) and _idle(findings, name, pace, path):
            _fresh(findings, name, path)
        _in_time(findings, trees.get((*path, "or_when")), (*path, "or_when"))


def _form(findings: Findings, pace: Pace, path: Path) -> bool:
    """Whether the entry says one thing: every so many frames, or in the background."""
    if pace.background:
        wrong = [key for key in ("every", "offset", "or_when") if key in pace.model_fields_set]
        for key in wrong:
            findings.at_key(
                "EG1328", f"`{key}` stands beside `background`", (*path, key), "remove one of them"
            )
        return not wrong
    if pace.every is None:
        findings.at_key("EG1102", f"`schedule.{path[1]}` needs `every` or `background: true`", path)
        return False
    if pace.every < 2:
        message = "on every frame it is computed without a schedule, too"
        findings.at_value(
            "EG1328", message, (*path, "every"), "write `every: 2 frames` or more, or remove it"
        )
        return False
    if pace.offset >= pace.every:
        message = f"`offset` {pace.offset} is not among {pace.every} frames"
        findings.at_value("EG1328", message, (*path, "offset"), f"write 0 to {pace.every - 1}")
        return False
    return True


def _idle(findings: Findings, name: str, pace: Pace, path: Path) -> bool:
    """Whether what runs in the background has a process of its own, so that no answer waits for it."""
    if not pace.background:
        return True
    policy = findings.policy
    here: Path = (*path, "background")
    looks = asked_for(policy, name)
    places = sorted({home(policy, look) for look in looks})
    for look in looks:
        if home(policy, look) in (HOST, home(policy, PRIMARY)):
            reason = "in the host" if home(policy, look) == HOST else "where the primary does"
            message = f"{quote(look)} runs {reason}: nothing can run in the background there"
            findings.at_key("EG1328", message, here, f"give {quote(look)} a worker of its own")
            return False
    if len(places) > 1:
        message = f"{quote(name)} needs {' and '.join(map(quote, places))} at once"
        findings.at_key("EG1328", message, here, "only what one worker computes can be had in the background")
        return False
    for other in _waiting_for(policy, places[0]):
        message = f"{quote(other)} waits for {quote(places[0])}: nothing can run in the background there"
        hint = (
            f"give what {quote(name)} needs a worker of its own, or let {quote(other)} wait for nothing, too"
        )
        findings.at_key("EG1328", message, here, hint)
        return False
    return True


def _waiting_for(policy: Policy, worker: str) -> Iterator[str]:
    """The signals that are not computed in the background and need a look of `worker`."""
    for name in policy.signals:
        pace = policy.schedule.get(name)
        if (pace is None or not pace.background) and worker in {
            home(policy, k) for k in asked_for(policy, name)
        }:
            yield name


def _fresh(findings: Findings, name: str, path: Path) -> None:
    """What is not computed ages: its value must live until the next one."""
    age, most = oldest(findings.policy, name), findings.policy.signals[name].max_age
    if age > most + SLACK:
        message = f"{quote(name)} may be {duration_text(age)} old before it is computed again"
        hint = f"its `max_age` is {duration_text(most)}: compute it more often, or allow it to be older"
        findings.at_key("EG1327", message, path, hint)


def _in_time(findings: Findings, node: tree.Node | None, path: Path) -> None:
    """`or_when` is asked when the primary has answered, and nothing else of the frame is there yet."""
    for part in tree.walk(node) if node is not None else ():
        if not isinstance(part, (tree.Name, tree.Flag)):
            continue
        signal = findings.policy.signals.get(part.name)
        if signal is not None and not _known_early(part.name, signal):
            message = f"{quote(part.name)} is not known when `or_when` is asked"
            hint = "use signals of the answer alone, such as `certainty`, or from `context`"
            findings.report.add("EG1329", message, findings.source.inside(path, part.at), hint)


def _known_early(name: str, signal: SignalDeclaration) -> bool:
    if signal.of is None:
        return signal.from_ == "context"
    return signal.of == (PRIMARY,) and measure(name, signal) in OF_ANSWER | {"answer"}
