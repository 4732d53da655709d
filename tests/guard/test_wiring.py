"""Wiring: only a policy whose signature was verified gets a guard, and only with the models it was calibrated for."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from edgeguard.errors import ContractError, UsageError
from edgeguard.guard import Guard
from edgeguard.program import SignalSpec
from edgeguard.terms import AdmissionTerms
from edgeguard.wiring import check_calibration, check_labels


@dataclass
class Loaded:
    """What `check_calibration` looks at."""

    models: dict[str, str] | None
    program: Any = field(
        default_factory=lambda: SimpleNamespace(calibration="policies/gate.calibration.json")
    )

    @property
    def calibration(self) -> Any:
        return None if self.models is None else SimpleNamespace(models=self.models)


MODELS: Any = {"primary": SimpleNamespace(digest="aa" * 32, described="")}


def test_a_draft_gets_no_guard() -> None:
    draft: Any = SimpleNamespace(program=None, document=None, calibration=None)
    with pytest.raises(UsageError, match="not verified"):
        Guard.open(draft)


def test_thresholds_of_another_model_are_refused() -> None:
    other: Any = Loaded({"primary": "bb" * 32})
    with pytest.raises(
        ContractError, match=r"gate\.calibration\.json: .*`bbbbbbbbbbbb…`.*edgeguard calibrate"
    ):
        check_calibration(other, MODELS)


def test_thresholds_without_the_model_are_refused() -> None:
    other: Any = Loaded({})
    with pytest.raises(ContractError, match="no such model"):
        check_calibration(other, MODELS)


def test_thresholds_of_these_models_pass() -> None:
    same: Any = Loaded({"primary": "aa" * 32})
    none: Any = Loaded(None)
    check_calibration(same, MODELS)
    check_calibration(none, MODELS)
    assert none.calibration is None


def test_models_that_fail_to_warm_up_leave_no_process_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    def fail() -> None:
        raise ContractError("bundle `m` gives no usable answer")

    member: Any = SimpleNamespace(close=lambda: closed.append(True))
    monkeypatch.setattr("edgeguard.wiring.admit_models", lambda *_, **__: {})
    monkeypatch.setattr("edgeguard.wiring.build_members", lambda *_: (member,))
    monkeypatch.setattr("edgeguard.wiring.perceive", lambda *_: SimpleNamespace(warm_up=fail))
    policy: Any = SimpleNamespace(
        policy_signer="ab",
        calibration=None,
        calibration_digest="",
        document=SimpleNamespace(file="policy.yaml"),
        program=SimpleNamespace(models=(), admission=AdmissionTerms(), digest="00"),
    )
    with pytest.raises(ContractError, match="no usable answer"):
        Guard.open(policy)
    assert closed == [True]


def test_a_label_that_the_model_does_not_know_is_refused() -> None:
    spec = SignalSpec("sign", "primary", -1.0, 0.0, 0.1, kind="class", labels=("stop",))
    program: Any = SimpleNamespace(signals=(spec,))
    known: Any = {
        "primary": SimpleNamespace(manifest=SimpleNamespace(name="signs", classes=("Stop", "none")))
    }
    other: Any = {"primary": SimpleNamespace(manifest=SimpleNamespace(name="signs", classes=("go", "none")))}
    check_labels(program, known)
    check_labels(program, {})
    with pytest.raises(ContractError, match="`signs` has no single class for the label `stop`"):
        check_labels(program, other)
