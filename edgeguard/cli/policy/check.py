"""`edgeguard policy check`: everything that is wrong with a policy, with line and column."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.findings import FindingsFormat, FindingsFormatOption, policy_errors, report
from edgeguard.cli.output import PolicyArgument

if TYPE_CHECKING:
    from edgeguard.desk.budget import Budget
    from edgeguard.policy import PolicyDocument


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command(epilog="Example: edgeguard policy check policies/sign_gate.yaml --timing")(check)


def check(
    file: PolicyArgument,
    timing: Annotated[
        bool,
        typer.Option("--timing", help="Also print how soon each rule's command is at the microcontroller."),
    ] = False,
    output: FindingsFormatOption = FindingsFormat.TEXT,
) -> None:
    """Find everything that is wrong with a policy, with line and column. Needs no signature and no calibration.

    A stated `qualification` is held against the calibration, once there is one.
    """
    from edgeguard.policy import check_policy, compile_draft
    from edgeguard.policy.compiler import compile_policy
    from edgeguard.policy.load import calibration_path

    with policy_errors(output, facts={"file": str(file), "valid": False}):
        document = check_policy(file)
        measured = calibration_path(document, base=file.parent)
        if measured is None:  # nothing is missing then that only a calibration could show
            compile_policy(document, base=file.parent)
        elif document.policy.qualification and measured.exists():
            compile_draft(file)
    facts = _facts(document)
    budgets = _budgets(document) if timing else ()
    told = {"timing": [_as_json(b) for b in budgets]} if timing else {}
    report((), output, facts={"file": str(file), "valid": True, **facts, **told})
    if output is FindingsFormat.TEXT:
        actuators = "1 actuator" if facts["actuators"] == 1 else f"{facts['actuators']} actuators"
        typer.echo(
            f"{file}: valid: {facts['name']} version {facts['version']}: {facts['rules']} rules on "
            f"{facts['signals']} signals, {actuators}"
        )
        for budget in budgets:
            typer.echo(str(budget))


def _budgets(document: PolicyDocument) -> tuple[Budget, ...]:
    from edgeguard.desk.budget import budgets

    return budgets(document)


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


def _as_json(budget: Budget) -> dict[str, object]:
    return {**dataclasses.asdict(budget), "total": budget.total, "late": budget.late}
