"""What the sections of a policy say together: references, handover budgets, the envelope and its commands.

Every check reports and returns; none stops another. Expressions are checked in `conditions`, times in `timing`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from edgeguard.policy.diagnostics import Report, quote, suggest
from edgeguard.policy.expr import tree
from edgeguard.policy.schema import Case, Policy, Rule, SignalDeclaration
from edgeguard.policy.source import Path, Source
from edgeguard.policy.sources import FAULT_PREFIX, MODEL_SIGNALS, OTHER_SIGNALS, RESERVED, every_name
from edgeguard.policy.timing import check_timing

_ADD_MODEL = "add it under `models` or `filter`"


def check_meaning(policy: Policy, trees: Mapping[Path, tree.Node], source: Source, report: Report) -> None:
    """Report everything that single values could not show."""
    checks = _Checks(policy, source, report)
    checks.names()
    checks.signals()
    checks.rules()
    checks.envelope()
    checks.fallback()
    checks.admission()
    checks.workers()
    checks.thresholds(trees)
    ids = {rule.id for rule in policy.rules} | {FAULT_PREFIX + name for name in policy.signals}
    for i, case in enumerate(policy.tests):
        if not report.full:
            checks.case(case, ("tests", i), ids)
    check_timing(policy, trees, source, report)


def _roles(policy: Policy) -> frozenset[str]:
    """The roles that the policy gives a model for."""
    found = {"primary"} if policy.models else set()
    if policy.models and policy.models.redundant:
        found.add("redundant")
    if policy.filter:
        found.add("filter")
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class _Checks:
    policy: Policy
    source: Source
    report: Report

    def at_key(self, code: str, message: str, path: Path, hint: str = "") -> None:
        """A finding about a key, or about what is missing under it."""
        self.report.add(code, message, self.source.key(path), hint)

    def at_value(self, code: str, message: str, path: Path, hint: str = "") -> None:
        """A finding about a value."""
        self.report.add(code, message, self.source.value(path), hint)

    def names(self) -> None:
        for section, names in (("signals", self.policy.signals), ("envelope", self.policy.envelope)):
            for name in names:
                if name in RESERVED:
                    message = f"{quote(name)} has a meaning of its own"
                    self.at_key("EG1313", message, (section, name), "choose another name")

    def signals(self) -> None:
        for name, signal in self.policy.signals.items():
            path = ("signals", name)
            if (signal.of is None) == (signal.from_ is None):
                message = f"signal {quote(name)} needs either `of` or `from`"
                self.at_key("EG1102", message, path, "`of` names models, `from` anything else")
                continue
            self.origin(name, signal)
            self.budget(path, "on_fault", signal.on_fault, signal)
        self.ageing()

    def ageing(self) -> None:
        """With models, something must grow stale when no picture comes: else the last answer acts for ever."""
        given = self.policy.signals.items()
        if self.policy.models and not any(
            s.of or s.from_ == "frame" or name == "latency" for name, s in given
        ):
            message = "no signal tells how old an answer is"
            hint = (
                "declare a signal of the models, such as `certainty`; its `max_age` bounds the answer's age"
            )
            self.at_key("EG1318", message, ("models",), hint)

    def origin(self, name: str, signal: SignalDeclaration) -> None:
        if signal.from_ is not None:
            if signal.from_ == "context" and name in every_name():
                message = f"{quote(name)} is measured by the guard itself, `context` may not give it"
                self.at_key("EG1311", message, ("signals", name), "choose another name")
                return
            known = OTHER_SIGNALS.get(signal.from_)
            if known is not None and name not in known:
                self.no_such_signal(name, f"`{signal.from_}` gives", known)
            return
        if name not in MODEL_SIGNALS:
            self.no_such_signal(name, "models give", every_name())
            return
        path = ("signals", name, "of")
        needed, given = MODEL_SIGNALS[name], frozenset(signal.of or ())
        if given != needed:
            listed = ", ".join(sorted(needed))
            message = f"{quote(name)} is computed of {listed}"
            self.at_value("EG1311", message, path, f"write `of: [{listed}]`")
        for role in sorted(given - _roles(self.policy)):
            self.at_value("EG1302", f"the policy has no {role} model", path, _ADD_MODEL)

    def no_such_signal(self, name: str, giver: str, known: Iterable[str]) -> None:
        message = f"{giver} no signal called {quote(name)}"
        self.at_key("EG1311", message, ("signals", name), suggest(name, known))

    def budget(self, path: Path, key: str, then: str, entry: SignalDeclaration | Rule) -> None:
        """A handover to a human needs a time budget, and only a handover has one."""
        if then == "human":
            if entry.within is None:
                hint = "add `within: 4s`: how long a human has before `otherwise` acts"
                self.at_key("EG1303", f"`{key}: human` needs `within`", (*path, key), hint)
            return
        for extra, value in (("within", entry.within), ("otherwise", entry.otherwise)):
            if value is not None:
                message = f"`{extra}` is only for a handover to a human"
                self.at_key("EG1303", message, (*path, extra), "remove it")

    def rules(self) -> None:
        first: dict[str, int] = {}
        for i, rule in enumerate(self.policy.rules):
            path = ("rules", i, "id")
            if rule.id in first:
                line = self.source.value(("rules", first[rule.id], "id")).line
                message = f"rule {quote(rule.id)} stands here a second time"
                self.at_value("EG1301", message, path, f"the first is at line {line}")
            first.setdefault(rule.id, i)
            self.budget(("rules", i), "then", rule.then, rule)

    def envelope(self) -> None:
        for name, actuator in self.policy.envelope.items():
            path = ("envelope", name)
            if not actuator.min < actuator.max:
                self.at_value("EG1304", f"`min` of {quote(name)} is not below its `max`", (*path, "min"))
            elif not actuator.min <= actuator.safe <= actuator.max:
                self.at_value("EG1304", f"`safe` of {quote(name)} is outside its range", (*path, "safe"))

    def fallback(self) -> None:
        rows = self.policy.fallback
        for i, row in enumerate(rows):
            if row.when is None and i + 1 < len(rows):
                message = "this fallback rule is never reached"
                self.at_value("EG1312", message, ("fallback", i + 1), "the one before it has no `when`")
            path = ("fallback", i, "command")
            self.command(row.command, path)
            for missing in [name for name in self.policy.envelope if name not in row.command]:
                message = f"the command does not name {quote(missing)}"
                self.at_key("EG1305", message, path, "name every actuator of the envelope")

    def command(self, command: Mapping[str, float], path: Path) -> None:
        """Every value must be of an actuator and inside its range."""
        for name, value in command.items():
            limit = self.policy.envelope.get(name)
            if limit is None:
                hint = suggest(name, self.policy.envelope)
                self.at_key("EG1305", f"the envelope has no {quote(name)}", (*path, name), hint)
            elif not limit.min <= value <= limit.max:
                message = f"{quote(name)} may be {limit.min:g} to {limit.max:g}, not {value:g}"
                self.at_value("EG1306", message, (*path, name))

    def admission(self) -> None:
        policy = self.policy
        if policy.admission is None and (policy.models or policy.filter or policy.calibration):
            key = "models" if policy.models else "filter" if policy.filter else "calibration"
            hint = "add `admission: {signers: [{key: release.pub, sha256: …}]}`"
            self.at_key("EG1316", f"`{key}` cannot be admitted without `admission`", (key,), hint)

    def workers(self) -> None:
        known, seen = _roles(self.policy), set[str]()
        for name, worker in (self.policy.isolation.workers if self.policy.isolation else {}).items():
            for i, role in enumerate(worker.runs):
                path = ("isolation", "workers", name, "runs", i)
                if role not in known:
                    self.at_value("EG1302", f"the policy has no {role} model", path, _ADD_MODEL)
                if role in seen:
                    self.at_value("EG1302", f"{quote(role)} already runs in another worker", path)
                seen.add(role)

    def thresholds(self, trees: Mapping[Path, tree.Node]) -> None:
        """Without a calibration file no `calibrated.NAME` has a value."""
        if self.policy.calibration is not None:
            return
        for path, node in trees.items():
            for part in tree.calibrated(node):
                place = self.source.inside(path, part.at)
                hint = "add `calibration: FILE.json`, or write the number"
                self.report.add("EG1307", f"`calibrated.{part.name}` needs a calibration", place, hint)

    def case(self, case: Case, path: Path, ids: Collection[str]) -> None:
        """What an embedded test names must exist."""
        for name in case.given:
            if name not in self.policy.signals:
                hint = suggest(name, self.policy.signals)
                self.at_key("EG1302", f"there is no signal {quote(name)}", (*path, "given", name), hint)
        expect = case.expect
        if expect.rule is not None and expect.rule not in ids:
            message = f"there is no rule {quote(expect.rule)}"
            self.at_value("EG1302", message, (*path, "expect", "rule"), suggest(expect.rule, ids))
        if expect.command is not None:
            self.command(expect.command, (*path, "expect", "command"))
        if expect.authority is None and expect.rule is None and expect.command is None:
            message = "a test must expect something"
            self.at_key("EG1102", message, (*path, "expect"), "expect an `authority`")
