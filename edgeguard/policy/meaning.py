"""What the sections of a policy say together: references, handover budgets, the envelope and its commands.

Every check reports and returns; none stops another. Expressions are checked in `conditions`, signals in `signals`,
tests in `cases`, relations in `relations`, times in `timing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeguard.policy.cases import check_cases
from edgeguard.policy.diagnostics import Report, quote
from edgeguard.policy.expr import tree
from edgeguard.policy.findings import Findings
from edgeguard.policy.relations import check_relations
from edgeguard.policy.schema import Policy
from edgeguard.policy.signals import ADD_MODEL, check_signals, roles
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
    _fallback(findings)
    _admission(findings)
    _workers(findings)
    _thresholds(findings, trees)
    ids = {entry.id for entry in (*policy.rules, *policy.redundancy)}
    check_cases(findings, ids | {FAULT_PREFIX + name for name in policy.signals})
    check_timing(policy, triggers, source, report)


def _names(findings: Findings) -> None:
    policy = findings.policy
    for section, names in (("let", policy.let), ("signals", policy.signals), ("envelope", policy.envelope)):
        for name in names:
            if name in RESERVED:
                message = f"{quote(name)} has a meaning of its own"
                findings.at_key("EG1313", message, (section, name), "choose another name")
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


def _fallback(findings: Findings) -> None:
    rows = findings.policy.fallback
    for i, row in enumerate(rows):
        if row.when is None and i + 1 < len(rows):
            message = "this fallback rule is never reached"
            findings.at_value("EG1312", message, ("fallback", i + 1), "the one before it has no `when`")
        path = ("fallback", i, "command")
        findings.actuators(row.command, path)
        findings.inside(row.command, path)
        findings.complete(row.command, path)


def _admission(findings: Findings) -> None:
    policy = findings.policy
    if policy.admission is None and (policy.models or policy.filter or policy.calibration):
        key = "models" if policy.models else "filter" if policy.filter else "calibration"
        hint = "add `admission: {signers: [{key: release.pub, sha256: …}]}`"
        findings.at_key("EG1316", f"`{key}` cannot be admitted without `admission`", (key,), hint)


def _workers(findings: Findings) -> None:
    known, seen = roles(findings.policy), set[str]()
    for name, worker in (findings.policy.isolation.workers if findings.policy.isolation else {}).items():
        for i, role in enumerate(worker.runs):
            path = ("isolation", "workers", name, "runs", i)
            if role not in known:
                findings.at_value("EG1302", f"the policy has no {role} model", path, ADD_MODEL)
            if role in seen:
                findings.at_value("EG1302", f"{quote(role)} already runs in another worker", path)
            seen.add(role)


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
