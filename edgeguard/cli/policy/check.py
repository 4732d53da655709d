"""`edgeguard policy check`: everything that is wrong with a policy, with line and column."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import typer

from edgeguard.cli.output import Format, FormatOption, PolicyArgument, print_json
from edgeguard.errors import PolicyError

if TYPE_CHECKING:
    from edgeguard.policy import PolicyDocument

def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command(epilog="Example: edgeguard policy check policies/sign_gate.yaml")(check)


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
