"""Small stand-ins for what the rig drives: a host without models, a microcontroller without C."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from edgeguard.admission import admit_bundle, load_public_keys, new_key, sign_bundle, sign_file, trust_keys
from edgeguard.types import Authority, Command, Event, Frame, GateDecision, Mode, Reading, Status, Verdict
from hil.profile import ROOT, Profile


@dataclass
class FakeLine:
    """Obeys its host, one step late."""

    values: dict[str, float] = field(default_factory=lambda: {"brake": 1.0, "throttle": 0.0})
    mode: str = "enabled"

    def advance(self, now: float) -> None:
        pass

    @property
    def outputs(self) -> Mapping[str, float]:
        return dict(self.values)


@dataclass
class FakeHost:
    """Lets the model drive on until `doubts_after` frames, then brakes as the rules would."""

    line: FakeLine
    doubts_after: float
    then: Authority = Authority.RULES
    armed: bool = False
    frames: int = 0
    seen: list[Frame] = field(default_factory=list)

    def operator(self, event: Event) -> None:
        self.armed = self.armed or event is Event.ARM

    def step(
        self,
        frame: Frame | None,
        context: Mapping[str, float],
        now: float,
        *,
        manual: Mapping[str, float] | None = None,
    ) -> Verdict:
        if frame is not None:
            self.frames += 1
            self.seen.append(frame)
        doubts = self.armed and self.frames > self.doubts_after
        mode, authority = (
            (Mode.NOMINAL, Authority.MODEL) if self.armed else (Mode.STANDBY, Authority.SAFE_STATE)
        )
        if doubts:
            mode, authority = Mode.DEGRADED, self.then
        values = {"brake": 0.9, "throttle": 0.0} if doubts else {"brake": 0.0, "throttle": 0.1}
        self.line.values = values if self.armed else {"brake": 1.0, "throttle": 0.0}
        return Verdict(
            number=1,
            frame=self.frames,
            at=now,
            mode=mode,
            authority=authority,
            gate=GateDecision.SUBSTITUTE if doubts else GateDecision.ALLOW,
            command=Command(values),
            readings=(Reading("certainty", 0.2 if doubts else 0.9, 0.0, Status.PASS),),
        )


@pytest.fixture
def fakes() -> Callable[..., tuple[FakeHost, FakeLine]]:
    def make(doubts_after: float, then: Authority = Authority.RULES) -> tuple[FakeHost, FakeLine]:
        line = FakeLine()
        return FakeHost(line, doubts_after, then), line

    return make


THRESHOLDS = {
    "certainty": 0.94,
    "disagreement": 0.27,
    "reconstruction": 0.011,
    "squeezing": 0.057,
    "novelty": 67.0,
}
"""About what calibration gives; fixed here, so that these tests do not depend on the committed one."""


@pytest.fixture(scope="session")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """The demo's policy and models under a key of these tests."""
    folder = tmp_path_factory.mktemp("signed")
    (folder / "policies").mkdir()
    (folder / "keys").mkdir()
    key, public = folder / "keys" / "demo.key", folder / "keys" / "demo.pub"
    new_key(key, public)
    shutil.copytree(ROOT / "firmware_stubs" / "keys", folder / "firmware_stubs" / "keys")
    digests = {}
    for name, role in (("primary", "primary"), ("redundant", "redundant"), ("denoise", "filter")):
        bundle = folder / "models" / "signs" / name
        shutil.copytree(
            ROOT / "models" / "signs" / name, bundle, ignore=shutil.ignore_patterns("*.sig", "__pycache__")
        )
        sign_bundle(bundle, key)
        digests[role] = admit_bundle(bundle, trust_keys([public])).digest
    committed = json.loads((ROOT / "policies" / "sign_gate.calibration.json").read_text(encoding="utf-8"))
    calibration = folder / "policies" / "sign_gate.calibration.json"
    calibration.write_text(
        json.dumps(
            {
                "edgeguard_calibration": 1,
                "policy": "sign-gate",
                "models": digests,
                "frames": 3000,
                "abstain": 0.01,
                "thresholds": THRESHOLDS,
                "risk": {"at_most": 0.002, "confidence": 0.95, "accepted": 1470, "wrong": 0},
                "qualification": committed["qualification"] | {"models": digests},
            }
        ),
        encoding="utf-8",
    )
    sign_file(calibration, key)
    policy = folder / "policies" / "sign_gate.yaml"
    text = (ROOT / "policies" / "sign_gate.yaml").read_text(encoding="utf-8")
    pinned, mine = (load_public_keys([where / "keys" / "demo.pub"])[0].hint for where in (ROOT, folder))
    policy.write_text(text.replace(pinned, mine), encoding="utf-8")
    sign_file(policy, key)
    return Profile("tests", policy, public)
