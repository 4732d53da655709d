"""Do the embedded tests name what exists, and is each one of the three forms: one stage, one for each, or steps?"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from edgeguard.policy.diagnostics import quote
from edgeguard.policy.findings import Findings
from edgeguard.policy.schema import Case, Expectation, Stage
from edgeguard.policy.source import Path
from edgeguard.policy.sources import FAULT_WORDS

_IN_STEPS = ("given", "suggest", "manual", "event", "for", "expect", "each")


def check_cases(findings: Findings, ids: Collection[str]) -> None:
    """Report every test that names something unknown or expects nothing. `ids`: every rule that a test may name."""
    cases = findings.policy.tests
    findings.twice("EG1320", "test", ((case.name, ("tests", i, "name")) for i, case in enumerate(cases)))
    for i, case in enumerate(cases):
        if findings.report.full:
            return
        path: Path = ("tests", i)
        _form(findings, case, path)
        _stage(findings, case, path, ids)
        for j, given in enumerate(case.each or ()):
            _given(findings, given, (*path, "each", j))
        for j, step in enumerate(case.steps or ()):
            _stage(findings, step, (*path, "steps", j), ids)


def _form(findings: Findings, case: Case, path: Path) -> None:
    if case.steps is None:
        if case.expect is None:
            findings.at_key("EG1102", f"test {quote(case.name)} needs `expect`", path)
        return
    for key in _IN_STEPS:
        if ("for_" if key == "for" else key) in case.model_fields_set:
            message = f"`{key}` stands beside `steps`"
            findings.at_key(
                "EG1322", message, (*path, key), "move it into the steps, or make it a test of its own"
            )
    if not any(step.expect for step in case.steps):
        message = "a test must expect something"
        findings.at_key("EG1102", message, (*path, "steps"), "give one of its steps an `expect`")


def _stage(findings: Findings, stage: Stage, path: Path, ids: Collection[str]) -> None:
    if stage.given is not None:
        _given(findings, stage.given, (*path, "given"))
    for key, command in (("suggest", stage.suggest), ("manual", stage.manual)):
        if command is not None:  # outside of the envelope is worth a test: the gate limits it
            findings.actuators(command, (*path, key))
            findings.complete(command, (*path, key))
    if stage.expect is not None:
        _expected(findings, stage.expect, (*path, "expect"), ids)


def _given(findings: Findings, given: Mapping[str, float | bool | str], path: Path) -> None:
    for name, value in given.items():
        signal = findings.policy.signals.get(name)
        if signal is None:
            hint = findings.suggest(name, findings.policy.signals)
            findings.at_key("EG1302", f"there is no signal {quote(name)}", (*path, name), hint)
        elif isinstance(value, bool):
            if signal.type != "bool":
                findings.at_value("EG1103", f"{quote(name)} is not `true` or `false`", (*path, name))
        elif isinstance(value, str):
            words = (*(signal.labels or ()), *FAULT_WORDS)
            if value in words:
                continue
            quoted = signal.type == "bool" and value in ("true", "false")
            hint = "write it without quotes" if quoted else findings.suggest(value, words)
            message = f"{quote(value)} is no value of {quote(name)}"
            findings.at_value("EG1107", message, (*path, name), hint)


def _expected(findings: Findings, expect: Expectation, path: Path, ids: Collection[str]) -> None:
    if expect.rule is not None and expect.rule not in ids:
        message = f"there is no rule {quote(expect.rule)}"
        findings.at_value("EG1302", message, (*path, "rule"), findings.suggest(expect.rule, ids))
    if expect.command is not None:
        findings.actuators(expect.command, (*path, "command"))
        findings.inside(expect.command, (*path, "command"))
    if not expect.model_fields_set:
        findings.at_key("EG1102", "a test must expect something", path, "expect an `authority`")
