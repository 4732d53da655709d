"""One policy of a comparison: its checked document, its thresholds where they are known, and a program to run.

Nothing here may drive an actuator: signatures are not looked at, and thresholds may be made up for a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgeguard.errors import PolicyError, UsageError
from edgeguard.policy import check_policy, compile_draft
from edgeguard.policy.calibration import Calibration
from edgeguard.policy.compiler import compile_policy, signal_specs
from edgeguard.policy.diagnostics import START, Place
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.source import Path as Way
from edgeguard.program import Program, SignalSpec


@dataclass(frozen=True, slots=True)
class Side:
    """A policy that is compared."""

    document: PolicyDocument
    base: Path
    """The folder that its relative paths count from."""
    calibration: Calibration | None
    """None: it names none, or the one that it names is not here or does not fit."""

    @property
    def signals(self) -> tuple[SignalSpec, ...]:
        """Its signals, in file order."""
        return signal_specs(self.document)

    def program(self, thresholds: Mapping[str, float | None]) -> Program:
        """What runs with these thresholds (by `calibrated.NAME`), or its calibration's where none is given.

        What the calibration vouches for is not looked at.

        Raises:
            PolicyError: a threshold is outside the range of its signal.
        """
        policy = self.document.policy.model_copy(update={"risk": None, "qualification": {}})
        own = self.calibration.thresholds if self.calibration else {}
        given = {f"calibrated.{name}": value for name, value in own.items()} | dict(thresholds)
        known = {
            name.removeprefix("calibrated."): value for name, value in given.items() if value is not None
        }
        made_up = Calibration("", policy.policy.name, {}, 1, 0.0, known)
        return compile_policy(replace(self.document, policy=policy), base=self.base, calibration=made_up)

    def place(self, path: Way | None) -> Place:
        """Where the thing at `path` stands; the start of the file where there is no such thing."""
        return self.document.source.key(path) if path else START


def side(path: str | Path) -> Side:
    """Check the policy at `path`, and read its calibration where it is at hand.

    Raises:
        PolicyError: with every finding.
        UsageError: the policy cannot be read.
        ContractError: a calibration is there, and is none.
    """
    document = check_policy(path)
    try:
        calibration = compile_draft(path).calibration
    except (PolicyError, UsageError):
        calibration = None  # compared for every threshold that there could be
    return Side(document, Path(path).parent, calibration)


def sides(old: str | Path, new: str | Path) -> tuple[Side, Side]:
    """The two policies of a comparison. Raises: as `side`."""
    return side(old), side(new)
