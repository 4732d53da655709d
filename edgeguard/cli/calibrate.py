"""`edgeguard calibrate`: thresholds from clean pictures, written and signed as the policy's calibration file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.errors import ContractError, UsageError

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
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
    data: Annotated[
        Path,
        typer.Option(
            "--data", metavar="DIR|FILE", help="Clean pictures: a folder, or an .npz with `images`."
        ),
    ],
    key: Annotated[
        Path, typer.Option("--key", metavar="KEY", help="Private key to sign the calibration with.")
    ],
    abstain: Annotated[
        float,
        typer.Option(
            "--abstain",
            metavar="SHARE",
            help="Share of clean frames that may be refused, above 0 and up to 0.5.",
        ),
    ] = 0.01,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where it goes; default: where the policy looks for it."
        ),
    ] = None,
) -> None:
    """Measure the policy's thresholds on clean pictures, and sign the result."""
    from edgeguard.admission import sign_file
    from edgeguard.calibrate import calibrate as measure
    from edgeguard.calibrate import open_images
    from edgeguard.inference.perception import Perception
    from edgeguard.policy import check_policy, model_refs
    from edgeguard.policy.load import calibration_path

    document = check_policy(file)
    base = file.parent
    target = output if output is not None else calibration_path(document, base=base)
    if target is None:
        message = f"`{file}` names no `calibration:` file: add one, or say where to write with `--output`"
        raise UsageError(message)
    models = _admit(document, base)
    perception = Perception.build(models, model_refs(document, base=base), time.monotonic)
    try:
        images = open_images(data, perception.classes)
        name = document.policy.policy.name
        risk = document.policy.risk
        done = measure(
            perception,
            images,
            policy=name,
            abstain=abstain,
            names=document.thresholds(),
            confidence=risk.confidence if risk else None,
        )
    finally:
        perception.close()
    if risk is not None and (done.risk is None or done.risk["at_most"] > risk.at_most):
        typer.echo(done.table())
        message = (
            f"the certified risk is above the {risk.at_most:g} that `{file}` states: nothing was written; use more "
            "pictures, a larger `--abstain`, or better models"
        )
        raise ContractError(message)
    try:
        target.write_bytes(done.to_json())
    except OSError as error:
        message = f"cannot write `{target}`: {(error.strerror or 'unknown reason').lower()}"
        raise UsageError(message) from error
    typer.echo(done.table())
    typer.echo(f"{target}: written; {sign_file(target, key)}: signed")


def _admit(document: PolicyDocument, base: Path) -> dict[str, AdmittedModel]:
    """The policy's models, admitted with the signers that it names. Raises: AdmissionError, UsageError."""
    from edgeguard.admission import admit_bundle, load_pinned_keys
    from edgeguard.policy import model_refs, signers

    admission = document.policy.admission
    refs = model_refs(document, base=base)
    if admission is None or not refs:
        message = f"`{document.file}` names no models: there is nothing to calibrate"
        raise UsageError(message)
    keys = load_pinned_keys(signers(document, base=base))
    floor = admission.require.security_version
    return {ref.role: admit_bundle(ref.path, keys, security_version=floor) for ref in refs}
