"""What the sections of a policy say together: references, handover budgets, the envelope and its commands.

Every check reports and returns; none stops another. Expressions are checked in `conditions`, signals in `signals`,
tests in `cases`, relations in `relations`, times in `timing`, what the microcontroller does by itself in
`microcontroller`; who runs what, where and how often in `models`, `isolation`, `channels` and `schedule`, and whose
word counts for it in `signers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edgeguard.policy.cases import check_cases
from edgeguard.policy.channels import check_channels
from edgeguard.policy.diagnostics import Report, quote
from edgeguard.policy.expr import tree
from edgeguard.policy.findings import Findings
from edgeguard.policy.isolation import check_isolation
from edgeguard.policy.microcontroller import check_microcontroller
from edgeguard.policy.models import check_models
from edgeguard.policy.relations import check_relations
from edgeguard.policy.schedule import check_schedule
from edgeguard.policy.schema import Policy
from edgeguard.policy.signals import check_signals
from edgeguard.policy.signers import check_signers
from edgeguard.policy.source import Path, Source
from edgeguard.policy.sources import FAULT_PREFIX, RESERVED
from edgeguard.policy.timing import check_timing
from edgeguard.policy.triggers import Trigger


def check_meaning(
    policy: Policy,
    trees: Mapping[Path, tree.Node],
    triggers: Sequence[Trigger],
    source: Source,
    report: Report,
) -> None:
    """Report everything that single values could not show."""
    findings = Findings(policy, source, report)
    _names(findings)
    check_signals(findings)
    check_relations(findings)
    _reactions(findings)
    _envelope(findings)
    findings.rows(policy.fallback, ("fallback",))
    check_microcontroller(findings)
    check_signers(findings)
    check_models(findings)
    check_isolation(findings)
    check_channels(findings)
    check_schedule(findings, trees)
    _thresholds(findings, trees)
    ids = {entry.id for entry in (*policy.rules, *policy.redundancy)}
    check_cases(findings, ids | {FAULT_PREFIX + name for name in policy.signals})
    check_timing(policy, triggers, source, report)


def _names(findings: Findings) -> None:
    policy = findings.policy
    own = policy.microcontroller
    sections: Sequence[tuple[Path, Iterable[str]]] = (
        (("let",), policy.let),
        (("signals",), policy.signals),
        (("envelope",), policy.envelope),
        (("microcontroller", "sensors"), own.sensors if own else ()),
    )
    for section, names in sections:
        for name in names:
            if name in RESERVED:
                message = f"{quote(name)} has a meaning of its own"
                findings.at_key("EG1313", message, (*section, name), "choose another name")
    for name in policy.let:
        if name in policy.signals:
            message = f"{quote(name)} is a signal already"
            findings.at_key("EG1320", message, ("let", name), "choose another name")


def _reactions(findings: Findings) -> None:
    policy = findings.policy
    entries = [(("rules", i), rule) for i, rule in enumerate(policy.rules)]
    found = [*entries, *((("redundancy", i), relation) for i, relation in enumerate(policy.redundancy))]
    findings.twice("EG1301", "rule", ((entry.id, (*path, "id")) for path, entry in found))
    for path, entry in found:
        findings.budget(path, "then", entry.then, entry.within, entry.otherwise)


def _envelope(findings: Findings) -> None:
    for name, actuator in findings.policy.envelope.items():
        path = ("envelope", name)
        if not actuator.min < actuator.max:
            findings.at_value("EG1304", f"`min` of {quote(name)} is not below its `max`", (*path, "min"))
        elif not actuator.min <= actuator.safe <= actuator.max:
            findings.at_value("EG1304", f"`safe` of {quote(name)} is outside its range", (*path, "safe"))


def _thresholds(findings: Findings, trees: Mapping[Path, tree.Node]) -> None:
    """Without a calibration file no `calibrated.NAME` has a value."""
    if findings.policy.calibration is not None:
        return
    for path, node in trees.items():
        for part in tree.calibrated(node):
            if findings.report.full:
                return
            place = findings.source.inside(path, part.at)
            hint = "add `calibration: FILE.json`, or write the number"
            findings.report.add("EG1307", f"`calibrated.{part.name}` needs a calibration", place, hint)
