"""A policy that states a risk runs only with a calibration that vouches for it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edgeguard.policy.calibration import Certificate
from edgeguard.policy.diagnostics import Report
from edgeguard.policy.document import PolicyDocument, parse
from edgeguard.policy.risk import check_risk

TEXT = """\
edgeguard: 1
policy: {name: p, version: 1}
signals: {speed: {from: context, range: [0, 60], max_age: 100ms}}
envelope: {brake: {min: 0, max: 1, safe: 1}}
"""
RISK = "risk: {at_most: 0.01, confidence: 0.95}\n"


def found(text: str, certificate: Certificate | None, certified: Sequence[str] = ()) -> list[str]:
    document: PolicyDocument = parse(text.encode(), file="p.yaml")
    report = Report("p.yaml")
    check_risk(document, certificate, report, certified=certified)
    return [f"{d.code} {d.line}:{d.column}" for d in report.found]


def test_policy_that_states_no_risk_needs_no_certificate() -> None:
    assert found(TEXT, None) == []
    assert found(TEXT, Certificate(0.9, 0.1, 10, 9)) == []


def test_stated_risk_needs_a_certificate() -> None:
    assert found(TEXT + RISK, None) == ["EG1319 5:1"]


@pytest.mark.parametrize(("at_most", "confidence"), [(0.01, 0.95), (0.001, 0.99)])
def test_certificate_that_is_as_good_is_enough(at_most: float, confidence: float) -> None:
    assert found(TEXT + RISK, Certificate(at_most, confidence, 1000, 1)) == []


@pytest.mark.parametrize(
    ("at_most", "confidence", "places"),
    [
        (0.0101, 0.95, ["EG1319 5:17"]),
        (0.01, 0.94, ["EG1319 5:35"]),
        (0.02, 0.9, ["EG1319 5:17", "EG1319 5:35"]),
    ],
)
def test_weaker_certificate_is_refused_where_the_policy_asks_for_more(
    at_most: float, confidence: float, places: list[str]
) -> None:
    assert found(TEXT + RISK, Certificate(at_most, confidence, 1000, 1)) == places


def rule(mode: str, when: str) -> str:
    return f"calibration: c.json\nrules: [{{id: r, when: {when}, then: rules, mode: {mode}}}]\n"


@pytest.mark.parametrize(
    ("rules", "places"),
    [
        ("", ["EG1319 5:1"]),
        (rule("enforce", "speed > 5"), ["EG1319 5:1"]),
        (rule("warn", "speed > calibrated.speed"), ["EG1319 5:1"]),
        (rule("audit", "speed > calibrated.speed"), ["EG1319 5:1"]),
        (rule("enforce", "speed > calibrated.speed"), []),
    ],
)
def test_certificate_counts_only_while_its_thresholds_take_authority(rules: str, places: list[str]) -> None:
    admission = f"admission: {{signers: [{{key: k.pub, sha256: {'a' * 64}}}]}}\n" if rules else ""
    text = TEXT + RISK + rules + admission
    assert found(text, Certificate(0.01, 0.95, 1000, 1), ["speed"]) == places
