"""What the sections of a policy say together: references, handover budgets, the envelope and its commands.

Every check reports and returns; none stops another. Expressions are checked in `conditions`, times in `timing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgeguard.policy.diagnostics import Report, quote, suggest
from edgeguard.policy.expr import tree
from edgeguard.policy.schema import Actuator, Case, Clear, Policy, SignalDeclaration
from edgeguard.policy.source import Path, Source
from edgeguard.policy.sources import MODEL_SIGNALS, OTHER_SIGNALS, RESERVED, every_name
from edgeguard.policy.timing import check_timing

FAULT_PREFIX = "signal:"
"""A signal's implicit fault rule is called `signal:NAME`."""


def check_meaning(policy: Policy, trees: Mapping[Path, tree.Node], source: Source, report: Report) -> None:
    """Report everything that single values could not show."""
    _names(policy, source, report)
    _signals(policy, source, report)
    _rules(policy, source, report)
    _envelope(policy, source, report)
    _fallback(policy, source, report)
    _admission(policy, source, report)
    _workers(policy, source, report)
    _thresholds(policy, trees, source, report)
    _cases(policy, source, report)
    check_timing(policy, trees, source, report)


def models(policy: Policy) -> frozenset[str]:
    """The roles that the policy gives a model for."""
    found = {"primary"} if policy.models else set()
    if policy.models and policy.models.redundant:
        found.add("redundant")
    if policy.filter:
        found.add("filter")
    return frozenset(found)


def _names(policy: Policy, source: Source, report: Report) -> None:
    paths: Iterator[Path] = (("signals", name) for name in policy.signals)
    for path in (*paths, *(("envelope", name) for name in policy.envelope)):
        if path[1] in RESERVED:
            report.add("EG1313", f"{quote(path[1])} has a meaning of its own", source.key(path), "choose another name")


def _signals(policy: Policy, source: Source, report: Report) -> None:
    for name, signal in policy.signals.items():
        path = ("signals", name)
        if (signal.of is None) == (signal.from_ is None):
            message = f"signal {quote(name)} needs either `of` or `from`"
            report.add("EG1102", message, source.key(path), "`of` names models, `from` anything else")
            continue
        _origin(name, signal, policy, source, report)
        _budget(path, "on_fault", signal.on_fault, signal, source, report)


def _origin(name: str, signal: SignalDeclaration, policy: Policy, source: Source, report: Report) -> None:
    path = ("signals", name)
    if signal.from_ is not None:
        known = OTHER_SIGNALS.get(signal.from_)
        if known is not None and name not in known:
            _no_such_signal(name, f"`{signal.from_}` gives", known, source, report)
        return
    if name not in MODEL_SIGNALS:
        _no_such_signal(name, "models give", every_name(), source, report)
        return
    needed, given = MODEL_SIGNALS[name], frozenset(signal.of or ())
    if given != needed:
        listed = ", ".join(sorted(needed))
        report.add("EG1311", f"{quote(name)} is computed of {listed}", source.value((*path, "of")), f"write `of: [{listed}]`")
    for role in sorted(given - models(policy)):
        report.add("EG1302", f"the policy has no {role} model", source.value((*path, "of")), "add it under `models` or `filter`")


def _no_such_signal(name: str, giver: str, known: frozenset[str] | tuple[str, ...], source: Source, report: Report) -> None:
    report.add("EG1311", f"{giver} no signal called {quote(name)}", source.key(("signals", name)), suggest(name, known))


def _budget(path: Path, key: str, then: str, entry: object, source: Source, report: Report) -> None:
    within, otherwise = getattr(entry, "within", None), getattr(entry, "otherwise", None)
    if then == "human" and within is None:
        hint = "add `within: 4s`: how long a human has before `otherwise` acts"
        report.add("EG1303", f"`{key}: human` needs `within`", source.key((*path, key)), hint)
    if then == "human":
        return
    for extra, value in (("within", within), ("otherwise", otherwise)):
        if value is not None:
            report.add("EG1303", f"`{extra}` is only for a handover to a human", source.key((*path, extra)), "remove it")


def _rules(policy: Policy, source: Source, report: Report) -> None:
    first: dict[str, int] = {}
    for i, rule in enumerate(policy.rules):
        if rule.id in first:
            hint = f"the first is at line {source.value(('rules', first[rule.id], 'id')).line}"
            report.add("EG1301", f"rule {quote(rule.id)} stands here a second time", source.value(("rules", i, "id")), hint)
        first.setdefault(rule.id, i)
        _budget(("rules", i), "then", rule.then, rule, source, report)


def _envelope(policy: Policy, source: Source, report: Report) -> None:
    for name, actuator in policy.envelope.items():
        path = ("envelope", name)
        if not actuator.min < actuator.max:
            report.add("EG1304", f"`min` of {quote(name)} is not below its `max`", source.value((*path, "min")))
        elif not actuator.min <= actuator.safe <= actuator.max:
            report.add("EG1304", f"`safe` of {quote(name)} is outside its range", source.value((*path, "safe")))


def _fallback(policy: Policy, source: Source, report: Report) -> None:
    rows = policy.fallback
    for i, row in enumerate(rows):
        if row.when is None and i + 1 < len(rows):
            place = source.value(("fallback", i + 1))
            report.add("EG1312", "this fallback rule is never reached", place, "the one before it has no `when`")
        _command(row.command, policy.envelope, ("fallback", i, "command"), source, report)
        for missing in [name for name in policy.envelope if name not in row.command]:
            place = source.key(("fallback", i, "command"))
            report.add("EG1305", f"the command does not name {quote(missing)}", place, "name every actuator of the envelope")


def _command(
    command: Mapping[str, float], envelope: Mapping[str, Actuator], path: Path, source: Source, report: Report
) -> None:
    for name, value in command.items():
        limit = envelope.get(name)
        if limit is None:
            report.add("EG1305", f"the envelope has no {quote(name)}", source.key((*path, name)), suggest(name, envelope))
        elif not limit.min <= value <= limit.max:
            message = f"{quote(name)} may be {limit.min:g} to {limit.max:g}, not {value:g}"
            report.add("EG1306", message, source.value((*path, name)))


def _admission(policy: Policy, source: Source, report: Report) -> None:
    if policy.admission is None and (policy.models or policy.filter or policy.calibration):
        key = "models" if policy.models else "filter" if policy.filter else "calibration"
        hint = "add `admission: {signers: [release.pub]}`"
        report.add("EG1316", f"`{key}` cannot be admitted without `admission`", source.key((key,)), hint)


def _workers(policy: Policy, source: Source, report: Report) -> None:
    known, seen = models(policy), set[str]()
    for name, worker in (policy.isolation.workers if policy.isolation else {}).items():
        for i, role in enumerate(worker.runs):
            place = source.value(("isolation", "workers", name, "runs", i))
            if role not in known:
                report.add("EG1302", f"the policy has no {role} model", place, "add it under `models` or `filter`")
            if role in seen:
                report.add("EG1302", f"{quote(role)} already runs in another worker", place)
            seen.add(role)


def _thresholds(policy: Policy, trees: Mapping[Path, tree.Node], source: Source, report: Report) -> None:
    if policy.calibration is not None:
        return
    for path, node in trees.items():
        for part in tree.walk(node):
            if isinstance(part, tree.Member) and part.base == "calibrated":
                place = source.inside(path, _text(policy, path), part.at)
                hint = "add `calibration: FILE.json`, or write the number"
                report.add("EG1307", f"`calibrated.{part.name}` needs a calibration", place, hint)


def _text(policy: Policy, path: Path) -> str:
    """The text of the expression at `path`."""
    here: object = policy
    for step in path:
        here = here[step] if isinstance(step, int) and isinstance(here, tuple) else getattr(here, str(step))
    return str(here)


def _cases(policy: Policy, source: Source, report: Report) -> None:
    ids = {rule.id for rule in policy.rules} | {FAULT_PREFIX + name for name in policy.signals}
    for i, case in enumerate(policy.tests):
        _case(case, ("tests", i), ids, policy, source, report)


def _case(case: Case, path: Path, ids: set[str], policy: Policy, source: Source, report: Report) -> None:
    for name in case.given:
        if name not in policy.signals:
            place = source.key((*path, "given", name))
            report.add("EG1302", f"there is no signal {quote(name)}", place, suggest(name, policy.signals))
    expect = case.expect
    if expect.rule is not None and expect.rule not in ids:
        place = source.value((*path, "expect", "rule"))
        report.add("EG1302", f"there is no rule {quote(expect.rule)}", place, suggest(expect.rule, ids))
    if expect.command is not None:
        _command(expect.command, policy.envelope, (*path, "expect", "command"), source, report)
    if expect.authority is None and expect.rule is None and expect.command is None:
        report.add("EG1102", "a test must expect something", source.key((*path, "expect")), "expect an `authority`")


def has_clear_condition(clear: object) -> bool:
    """Whether a rule's `clear` brings a condition of its own."""
    return isinstance(clear, Clear)
