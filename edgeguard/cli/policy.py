"""`edgeguard policy check`: what is wrong with a policy; `edgeguard policy table`: its form for the microcontroller."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import Format, FormatOption, print_json, write_text
from edgeguard.errors import PolicyError

if TYPE_CHECKING:
    from edgeguard.policy import PolicyDocument

group = typer.Typer(help="Check a policy, or print its table.", no_args_is_help=True, rich_markup_mode=None)

PolicyArgument = Annotated[Path, typer.Argument(help="The policy file.", metavar="POLICY")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group, name="policy")


@group.command(epilog="Example: edgeguard policy check policies/sign_gate.yaml")
def check(file: PolicyArgument, output: FormatOption = Format.TEXT) -> None:
    """Find everything that is wrong with a policy, with line and column. Needs no signature and no calibration."""
    from edgeguard.policy import check_policy

    try:
        document = check_policy(file)
    except PolicyError as error:
        if output is Format.TEXT:
            raise
        findings = [dataclasses.asdict(d) for d in error.diagnostics]
        print_json({"file": str(file), "valid": False, "diagnostics": findings})
        raise typer.Exit(error.exit_code) from None
    if output is Format.JSON:
        print_json({"file": str(file), "valid": True, "diagnostics": [], **_facts(document)})
        return
    facts = _facts(document)
    typer.echo(
        f"{file}: valid: {facts['name']} version {facts['version']}: {facts['rules']} rules on "
        f"{facts['signals']} signals, {facts['actuators']} actuators"
    )


def _facts(document: PolicyDocument) -> dict[str, object]:
    policy = document.policy
    return {
        "name": policy.policy.name,
        "version": policy.policy.version,
        "digest": document.digest,
        "rules": len(policy.rules),
        "signals": len(policy.signals),
        "actuators": len(policy.envelope),
        "thresholds": list(document.thresholds()),
    }


@group.command(epilog="Example: edgeguard policy table policies/sign_gate.yaml -o policy_table.h")
def table(
    file: PolicyArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", "--c", metavar="FILE", help="The C header to write.")
    ],
) -> None:
    """Write the microcontroller's table of a calibrated policy as a C header; the same bytes every time."""
    from edgeguard.policy import compile_draft
    from edgeguard.policy.emit_c import emit

    program = compile_draft(file).program
    write_text(output, emit(program))
    typer.echo(f"{output}: table of {program.name} version {program.version}, policy {program.digest[:16]}")
