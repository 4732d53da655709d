"""What the verbs of `edgeguard build` share: bounds, measuring, writing, and how the result is told.

No verb lives here. A model that breaks a bound is not written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgeguard.cli.output import Format, print_json

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.build import Made, Measured
    from edgeguard.types import Image

FINDINGS = 5


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a measurement must keep to; None: no bound."""

    agreement: float | None = None
    loss: float | None = None
    deviation: float | None = None

    def broken(self, measured: Measured) -> list[str]:
        """In words, every bound that is not kept."""
        loss = measured.accuracy_loss
        found = []
        if self.agreement is not None and measured.agreement < self.agreement:
            found.append(
                f"the same answer for {measured.agreement:.2%} of the pictures, asked for {self.agreement:.2%}"
            )
        if self.loss is not None and loss is not None and loss > self.loss:
            found.append(f"{100 * loss:.2f} points of accuracy are lost, {100 * self.loss:.2f} may be")
        if self.deviation is not None and measured.largest > self.deviation:
            found.append(f"a value differs by {measured.largest:.3g}, {self.deviation:g} may be")
        return found


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be measured, against what, and what it must keep to."""

    models: Mapping[str, AdmittedModel]
    """The originals by role."""
    made: Made
    pictures: Sequence[tuple[Image, str, str]]
    signals: Sequence[str]
    bounds: Bounds

    def others(self) -> dict[str, AdmittedModel]:
        """The made model in a guard, in the originals' place."""
        if self.made.manifest.role == "fused":
            return {**self.models, "fused": self.made.candidate}
        return {"primary": self.made.candidate}


def finish(job: Job, out: Path, sign: str | None, output: Format) -> None:
    """Measure, refuse or write, sign, tell.

    Raises: EdgeguardError; typer.Exit with 5 when a bound is not kept.
    """
    from edgeguard.admission import sign_bundle
    from edgeguard.build import compare, milliseconds, write_bundle
    from edgeguard.keystores import open_signing_key

    signer = (
        None if sign is None else open_signing_key(sign)
    )  # a wrong one is told before anything is written
    measured = compare(job.models, job.others(), job.pictures, job.signals)
    image = job.pictures[0][0]
    times = milliseconds((job.models, job.others()), image, job.signals)
    facts: dict[str, object] = {
        "name": job.made.manifest.name,
        "samples": measured.samples,
        "agreement": measured.agreement,
        "sure": None if measured.sure is None else list(measured.sure),
        "deviation": measured.deviation,
        "signals": dict(measured.signals),
        "accuracy": None if measured.accuracy is None else list(measured.accuracy),
        "bytes": [sum(len(m.model) for m in _inside(job)), len(job.made.model)],
        "milliseconds": [round(taken, 4) for taken in times],
        "broken": job.bounds.broken(measured),
    }
    if facts["broken"]:
        _tell(facts, output)
        for broken in job.bounds.broken(measured):
            typer.echo(f"refused: {broken}", err=True)
        typer.echo("nothing was written", err=True)
        raise typer.Exit(FINDINGS)
    write_bundle(job.made, measured, out)
    if signer is not None:
        sign_bundle(out, signer)
    facts |= {"bundle": str(out), "signed": signer is not None}
    _tell(facts, output)


def _inside(job: Job) -> list[AdmittedModel]:
    return [model for role, model in job.models.items() if role != "fused"]


def unmeasured(made: Made, out: Path, reason: str, output: Format) -> None:
    """Write, unsigned, what could not be measured here for a `reason`. Raises: UsageError."""
    from edgeguard.build import write_bundle

    write_bundle(made, None, out)
    facts: dict[str, object] = {
        "name": made.manifest.name,
        "samples": 0,
        "bytes": len(made.model),
        "bundle": str(out),
        "signed": False,
        "reason": reason,
    }
    if output is Format.JSON:
        print_json(facts)
        return
    typer.echo(
        f"{out}: written ({len(made.model)} bytes), NOT signed: it could not be measured here ({reason})"
    )
    typer.echo("run this again on the device, where it can be run beside its ONNX")


def _tell(facts: Mapping[str, object], output: Format) -> None:
    if output is Format.JSON:
        print_json(facts)
        return
    for key, value in facts.items():
        if key == "signals" and isinstance(value, dict):
            for name, apart in value.items():
                typer.echo(f"  {name:<16}differs by at most {apart:.3g}")
        elif key == "sure" and isinstance(value, list):
            typer.echo(f"  where sure      {value[1]:.2%} of {value[0]}")
        elif key in _WORDS and value is not None:
            typer.echo(f"{_WORDS[key]:<18}{_shown(key, value)}")
    if "bundle" in facts:
        ending = "signed" if facts["signed"] else "not signed: add `--sign KEY`, or `edgeguard sign`"
        typer.echo(f"{facts['bundle']}: written, {ending}")


_WORDS = {
    "name": "made",
    "samples": "pictures",
    "agreement": "same answer",
    "deviation": "largest deviation",
    "accuracy": "right answers",
    "bytes": "bytes",
    "milliseconds": "ms a picture",
}


def _shown(key: str, value: object) -> str:
    form = {"agreement": ".2%", "deviation": ".3g", "accuracy": ".2%", "bytes": "d", "milliseconds": ".3f"}
    parts = value if isinstance(value, list) else [value]
    return " -> ".join(format(part, form.get(key, "")) for part in parts)
