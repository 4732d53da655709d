"""`edgeguard policy compare`: is the new policy stricter than the old one, and what shows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.findings import FindingsFormat, FindingsFormatOption, policy_errors, report
from edgeguard.cli.output import TimeoutOption

if TYPE_CHECKING:
    from edgeguard.desk.compare import Comparison, Difference
    from edgeguard.desk.findings import Finding, Severity

FINDINGS_EXIT = 5


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command(epilog="Example: edgeguard policy compare old.yaml new.yaml --deny-more-permissive")(
        compare
    )


def compare(
    old: Annotated[Path, typer.Argument(help="The policy before the change.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="The policy after it.", metavar="NEW")],
    deny: Annotated[
        bool,
        typer.Option(
            "--deny-more-permissive", help="Exit with 5 unless NEW is equivalent or stricter: for CI."
        ),
    ] = False,
    output: FindingsFormatOption = FindingsFormat.TEXT,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Say whether NEW is equivalent, stricter, more permissive or incomparable, with a run for each difference.

    Needs no signature, and no calibration: where one is not at hand, it holds for every threshold.
    """
    with policy_errors(output):
        from edgeguard.desk.compare import Order, sides
        from edgeguard.desk.compare import compare as compared

        comparison = compared(*sides(old, new), timeout=timeout)
    if output is FindingsFormat.TEXT:
        _print(comparison)
    else:
        findings = [f for d in comparison.differences if (f := _finding(comparison, d, deny=deny))]
        report(findings, output, facts=_facts(comparison))
    if deny and comparison.order in (Order.PERMISSIVE, Order.INCOMPARABLE):
        raise typer.Exit(FINDINGS_EXIT)


def _print(comparison: Comparison) -> None:
    old, new = comparison.old.document.file, comparison.new.document.file
    typer.echo(f"{old} -> {new}: {comparison.order.value}")
    if not comparison.measured:
        typer.echo("a calibration is not at hand: compared for every threshold, the same in both")
    for difference in comparison.differences:
        typer.echo(f"{difference.order.value}: {_where(comparison, difference)}: {difference.text}")
        if difference.witness:
            typer.echo(f"    {difference.witness}")


def _where(comparison: Comparison, difference: Difference) -> str:
    """Place in NEW, or in OLD where NEW has no such thing."""
    side = comparison.old if difference.new is None and difference.old is not None else comparison.new
    place = side.place(difference.new or difference.old)
    return f"{side.document.file}:{place.line}:{place.column}"


def _finding(comparison: Comparison, difference: Difference, *, deny: bool) -> Finding | None:
    """What takes less authority than before, or what nobody can order; a stricter piece is no finding."""
    from edgeguard.desk.compare import Order
    from edgeguard.desk.findings import Finding

    codes = {Order.PERMISSIVE: "EG1701", Order.INCOMPARABLE: "EG1702"}
    if difference.order not in codes:
        return None
    gone = difference.new is None and difference.old is not None
    side = comparison.old if gone else comparison.new
    place = side.place(difference.new or difference.old)
    hint = f"seen: {difference.witness}" if difference.witness else ""
    severity: Severity = "error" if deny else "warning"
    code = codes[difference.order]
    return Finding(code, difference.text, side.document.file, place.line, place.column, hint, severity)


def _facts(comparison: Comparison) -> dict[str, object]:
    return {
        "old": comparison.old.document.file,
        "new": comparison.new.document.file,
        "order": comparison.order.value,
        "thresholds": "measured" if comparison.measured else "any",
        "differences": [_fact(comparison, difference) for difference in comparison.differences],
    }


def _fact(comparison: Comparison, difference: Difference) -> dict[str, object]:
    witness = difference.witness
    shown = witness and {
        "script": list(witness.script),
        "values": dict(witness.values),
        "at": witness.at,
        "old": witness.old,
        "new": witness.new,
    }
    return {
        "order": difference.order.value,
        "text": difference.text,
        "old": difference.old and comparison.old.place(difference.old)._asdict(),
        "new": difference.new and comparison.new.place(difference.new)._asdict(),
        "witness": shown,
    }
