"""`edgeguard policy lint`: what loads and is still likely a mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.findings import FindingsFormat, FindingsFormatOption, fails, policy_errors, report
from edgeguard.cli.output import PolicyArgument

if TYPE_CHECKING:
    from edgeguard.desk.findings import Finding
    from edgeguard.policy import PolicyDocument


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command(epilog="Example: edgeguard policy lint policies/sign_gate.yaml --strict")(lint)


def lint(
    file: PolicyArgument,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail for warnings too, not only for errors.")
    ] = False,
    output: FindingsFormatOption = FindingsFormat.TEXT,
) -> None:
    """Find what is likely a mistake in a policy that loads. Looks at the calibration where there is one."""
    from edgeguard.desk.lint import lint as find
    from edgeguard.policy import check_policy

    with policy_errors(output, facts={"file": str(file), "valid": False}):
        document = check_policy(file)
        found = find(document, _thresholds(document, file))
    report(found, output, facts={"file": str(file), "valid": True})
    if output is FindingsFormat.TEXT:
        typer.echo(f"{file}: {_summary(found)}")
    if fails(found, strict=strict):
        raise typer.Exit(5)


def _thresholds(document: PolicyDocument, file: Path) -> Mapping[str, float]:
    """The calibrated thresholds; none while there is no calibration yet."""
    from edgeguard.policy import compile_draft
    from edgeguard.policy.load import calibration_path

    wanted = calibration_path(document, base=file.parent)
    return compile_draft(file).program.thresholds if wanted is not None and wanted.exists() else {}


def _summary(found: Sequence[Finding]) -> str:
    counts = [(word, sum(f.severity == word for f in found)) for word in ("error", "warning", "note")]
    told = [f"{count} {word}{'s' if count > 1 else ''}" for word, count in counts if count]
    return ", ".join(told) or "nothing found"
