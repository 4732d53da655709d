"""What `calibrate`, `qualify` and `build fuse` share: the policy's models, admitted, and how a result is shown."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import write_bytes
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.calibrate import Calibrated
    from edgeguard.policy import PolicyDocument
    from edgeguard.policy.diagnostics import Report
    from edgeguard.policy.qualification import Qualified

DataOption = Annotated[
    Path,
    typer.Option("--data", metavar="DIR|FILE", help="Clean pictures: a folder, or an .npz with `images`."),
]
StressOption = Annotated[
    bool,
    typer.Option(
        "--stress/--no-stress",
        help="Also compare failures on the same pictures with noise, blur, darkness and occlusion.",
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE.md", help="Also write accuracy losses and beta factors to a file."
    ),
]


def admit(
    document: PolicyDocument, base: Path, roles: Collection[str] | None = None
) -> dict[str, AdmittedModel]:
    """The policy's models (of some `roles`), admitted with the signers that it names.

    Raises: AdmissionError, UsageError.
    """
    from edgeguard.admission import admit_models
    from edgeguard.here import Device
    from edgeguard.policy import admission_terms, model_refs

    refs = model_refs(document, base=base)
    if not refs:
        message = f"`{document.file}` names no models: there is nothing to work on"
        raise UsageError(message)
    wanted = [ref for ref in refs if roles is None or ref.role in roles]
    terms, device = admission_terms(document, base=base), Device.here()
    now, secrets = device.now(), device.secrets(terms)  # the desk has a clock, also where the device has none
    return admit_models(wanted, terms, now=now, secrets=secrets, platform=device.platform)


def borne_out(document: PolicyDocument, qualified: Qualified | None, base: Path) -> Report:
    """What the policy's `qualification` states and the measurement does not bear out."""
    from edgeguard.policy import model_refs
    from edgeguard.policy.diagnostics import Report
    from edgeguard.policy.qualification import check_qualification

    report = Report(document.file)
    roles = [ref.role for ref in model_refs(document, base=base)]
    check_qualification(document, qualified, roles, report)
    return report


def write_report(
    file: Path | None, policy: str, qualified: Qualified | None, calibrated: Calibrated | None = None
) -> None:
    """Write the Markdown report, where one is asked for. Raises: UsageError."""
    from edgeguard.calibrate.report import markdown

    if file is None:
        return
    if qualified is None:
        message = "a report needs a filter, a redundant model or an alternate, and pictures with labels"
        raise UsageError(message)
    write_bytes(file, markdown(policy, qualified, calibrated).encode())
    typer.echo(f"{file}: written")
