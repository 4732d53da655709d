"""Shared by the policy tests: the hostile files with what each must yield, small policies, a calibration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from edgeguard.policy import Calibration
from edgeguard.policy.calibration import Certificate, parse_calibration
from edgeguard.policy.document import PolicyDocument, parse

ROOT = Path(__file__).parents[2]
HOSTILE = ROOT / "tests" / "hostile" / "policies"

THRESHOLDS = {"certainty": 0.9, "disagreement": 0.3, "reconstruction": 0.2, "squeezing": 0.2, "novelty": 3.0}

SMALL = """\
edgeguard: 1
policy: {name: small, version: 1}
signals:
  speed: {from: context, range: [0, 60], max_age: 100ms}
  distance: {from: context, range: [0, 500], max_age: 100ms, on_fault: rules}
%s
envelope: {brake: {min: 0, max: 1, safe: 1}}
"""


class Hostile(NamedTuple):
    """One bad policy: its bytes, the findings it must give, and the calibration it is compiled with, if any."""

    name: str
    data: bytes
    expected: tuple[str, ...]
    calibration: Calibration | None


def calibration(policy: str, thresholds: dict[str, float]) -> Calibration:
    return Calibration("c.json", policy, {}, 100, 0.01, thresholds, Certificate(0.002, 0.95, 1500, 0))


def hostile_policies() -> list[Hostile]:
    found: list[Hostile] = []
    for path in sorted(HOSTILE.glob("*.yaml")):
        data = path.read_bytes()
        sidecar = path.with_suffix(".expect")
        lines = data.decode("utf-8", "replace").split("\n")
        expected = [line.split(": ", 1)[1] for line in lines if line.startswith("# expect: ")]
        if sidecar.exists():
            expected = sidecar.read_text().splitlines()
        given = [json.loads(line.split(": ", 1)[1]) for line in lines if line.startswith("# calibration: ")]
        made = calibration(given[0]["policy"], given[0]["thresholds"]) if given else None
        found.append(Hostile(path.stem, data, tuple(expected), made))
    return found


@pytest.fixture(scope="session")
def sign_gate() -> PolicyDocument:
    path = ROOT / "policies" / "sign_gate.yaml"
    return parse(path.read_bytes(), file="sign_gate.yaml")


@pytest.fixture(scope="session")
def sign_gate_calibration() -> Calibration:
    measured = ROOT / "policies" / "sign_gate.calibration.json"
    qualified = parse_calibration(measured.read_bytes(), file=measured.name).qualification
    return replace(calibration("sign-gate", THRESHOLDS), qualification=qualified)


@pytest.fixture
def every_hostile() -> list[Hostile]:
    return hostile_policies()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `hostile` runs once for each bad policy."""
    if "hostile" in metafunc.fixturenames:
        metafunc.parametrize("hostile", hostile_policies(), ids=lambda case: case.name)
