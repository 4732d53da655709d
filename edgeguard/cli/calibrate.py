"""`edgeguard calibrate`: thresholds and bounds from clean pictures, signed as the policy's calibration file."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.measuring import (
    DataOption,
    ReportOption,
    StressOption,
    admit,
    borne_out,
    write_report,
)
from edgeguard.cli.output import write_bytes
from edgeguard.errors import ContractError, UsageError

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.calibrate import Calibrated
    from edgeguard.policy import PolicyDocument


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: edgeguard calibrate policy.yaml --data pictures --key keys/release.key")(
        calibrate
    )


def calibrate(
    file: Annotated[
        Path, typer.Argument(help="The policy whose `calibrated.NAME` to measure.", metavar="POLICY")
    ],
    data: DataOption,
    key: Annotated[
        str,
        typer.Option(
            "--key", metavar="KEY", help="Signs the calibration: a PEM file, pkcs11:... or tpm:PATH."
        ),
    ],
    abstain: Annotated[
        float,
        typer.Option(
            "--abstain",
            metavar="SHARE",
            help="Share of clean frames that may be refused, above 0 and up to 0.5.",
        ),
    ] = 0.01,
    stress: StressOption = True,
    report: ReportOption = None,
    security_version: Annotated[
        int | None,
        typer.Option(
            "--security-version",
            metavar="N",
            min=0,
            help="A device refuses a lower one than it ran; default: that of the file it replaces, or 0.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where it goes; default: where the policy looks for it."
        ),
    ] = None,
) -> None:
    """Measure the policy's thresholds and its models on clean pictures, and sign the result."""
    from edgeguard.admission import sign_file
    from edgeguard.calibrate.report import table
    from edgeguard.keystores import open_signing_key
    from edgeguard.policy import check_policy
    from edgeguard.policy.load import calibration_path

    signer = open_signing_key(
        key
    )  # a wrong one is told before the work, and before an old file is written over
    document = check_policy(file)
    base = file.parent
    target = output if output is not None else calibration_path(document, base=base)
    if target is None:
        message = f"`{file}` names no `calibration:` file: add one, or say where to write with `--output`"
        raise UsageError(message)
    done = _measure(document, admit(document, base), base, data, abstain, stress=stress)
    typer.echo(done.table())
    if done.qualified is not None:
        typer.echo(table(done.qualified))
    write_report(report, document.policy.policy.name, done.qualified, done)
    _refuse(document, done, base)
    version = _version_of(target) if security_version is None else security_version
    write_bytes(target, dataclasses.replace(done, security_version=version).to_json())
    typer.echo(f"{target}: written; {sign_file(target, signer)}: signed")


def _version_of(target: Path) -> int:
    """The security version of the calibration that is replaced; 0: there is none, or none that can be read."""
    from edgeguard.policy.calibration import parse_calibration

    try:
        return parse_calibration(target.read_bytes(), file=str(target)).security_version
    except (OSError, ContractError):
        return 0


def _measure(
    document: PolicyDocument,
    models: dict[str, AdmittedModel],
    base: Path,
    data: Path,
    abstain: float,
    *,
    stress: bool,
) -> Calibrated:
    """Thresholds, then the qualification where there is something to qualify and the pictures have labels."""
    from edgeguard.admission.bundle import digests_of
    from edgeguard.calibrate import calibrate as measure
    from edgeguard.calibrate import held_out, open_images, primaries, qualify
    from edgeguard.policy import model_refs, signal_specs

    specs, refs, risk = signal_specs(document), model_refs(document, base=base), document.policy.risk
    stated = bool(document.policy.qualification)
    asked = {spec.name: spec.measure for spec in specs if spec.name in document.thresholds()}
    if not asked and not stated:
        missing = "uses no `calibrated.NAME` and states no `qualification`"
        message = f"there is nothing to calibrate: `{document.file}` {missing}"
        raise UsageError(message)
    digests = digests_of(models)
    with primaries(models, refs, time.monotonic, specs=specs) as built:
        first, *alternates = built.values()
        images = open_images(data, first.classes)
        done = measure(
            first,
            images,
            policy=document.policy.policy.name,
            abstain=abstain,
            names=asked,
            confidence=risk.confidence if risk else None,
            alternates=alternates,
            models=digests,
        )
    if not stated and (images.labels is None or set(models) <= {"primary", "fused"}):
        return done
    with primaries(models, refs, time.monotonic, fused=False) as built:
        parts = {role: digest for role, digest in digests.items() if role != "fused"}
        found = qualify(built, images, models=parts, first=held_out(images), stress=stress)
    return dataclasses.replace(done, qualified=found)


def _refuse(document: PolicyDocument, done: Calibrated, base: Path) -> None:
    """Refuse to write what the policy would be refused with. Raises: ContractError, PolicyError."""
    risk = document.policy.risk
    if risk is not None and (done.risk is None or done.risk["at_most"] > risk.at_most):
        message = (
            f"the certified risk is above the {risk.at_most:g} that `{document.file}` states: nothing was written; use "
            "more pictures, a larger `--abstain`, or better models"
        )
        raise ContractError(message)
    findings = borne_out(document, done.qualified, base)
    if findings.found:
        typer.echo("nothing was written", err=True)
    findings.raise_if_any()
