"""`edgeguard qualify`: what the models beside the primary are worth, before anything is calibrated or signed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from edgeguard.cli.findings import FindingsFormat, fails
from edgeguard.cli.findings import report as tell
from edgeguard.cli.measuring import DataOption, ReportOption, StressOption, admit, borne_out, write_report


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: edgeguard qualify policy.yaml --data pictures --report qualification.md")(
        qualify
    )


def qualify(
    file: Annotated[Path, typer.Argument(help="The policy whose models to measure.", metavar="POLICY")],
    data: DataOption,
    every: Annotated[
        bool, typer.Option("--all", help="Use all pictures, not only the last third as `calibrate` does.")
    ] = False,
    stress: StressOption = True,
    report: ReportOption = None,
) -> None:
    """Measure what filter and redundant models cost, and how often they fail together with the primary."""
    from edgeguard.calibrate import held_out, open_images, primaries
    from edgeguard.calibrate import qualify as measure
    from edgeguard.calibrate.report import table
    from edgeguard.policy import check_policy, model_refs

    document = check_policy(file)
    base = file.parent
    models = admit(document, base)
    parts = {role: model.digest for role, model in models.items() if role != "fused"}
    with primaries(models, model_refs(document, base=base), time.monotonic, fused=False) as built:
        images = open_images(data, built["primary"].classes)
        first = 0 if every else held_out(images)
        found = measure(built, images, models=parts, first=first, stress=stress)
    typer.echo(table(found))
    write_report(report, document.policy.policy.name, found)
    findings = borne_out(document, found, base).found
    tell(findings, FindingsFormat.TEXT)
    if fails(findings):
        raise typer.Exit(5)
