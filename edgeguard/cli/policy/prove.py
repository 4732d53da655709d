"""`edgeguard policy prove`: built-in theorems and the policy's own invariants, with replayed counterexamples."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.findings import FindingsFormat, FindingsFormatOption, policy_errors, report
from edgeguard.cli.output import PolicyArgument, TimeoutOption, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgeguard.desk.prove.result import Objection, Result


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command(epilog="Example: edgeguard policy prove policies/sign_gate.yaml --save cases.yaml")(prove)


def prove(
    file: PolicyArgument,
    timeout: TimeoutOption = 5.0,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="CASES", help="Write every counterexample as a test case."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="One theorem, or `invariants`. Repeatable."),
    ] = None,
    output: FindingsFormatOption = FindingsFormat.TEXT,
) -> None:
    """Prove what must be true of a policy, or show a run in which it is not. Needs `edgeguard-runtime[verify]`."""
    from edgeguard.desk.prove.subject import Subject
    from edgeguard.desk.prove.theorems import as_cases
    from edgeguard.desk.prove.theorems import prove as every
    from edgeguard.policy import compile_draft

    began = time.perf_counter()
    with policy_errors(output, facts={"file": str(file), "valid": False}):
        draft = compile_draft(file)
    subject = Subject.of(draft.document, draft.program, timeout=timeout)
    results = _told(every(subject, only or ()), file, aloud=output is FindingsFormat.TEXT)
    findings = [o.finding(str(file)) for result in results for o in result.objections]
    if output is not FindingsFormat.TEXT:
        theorems = [_facts(result) for result in results]
        report(findings, output, facts={"file": str(file), "valid": True, "theorems": theorems})
    else:
        _summary(file, results, time.perf_counter() - began)
    cases = as_cases(draft.program, results) if save is not None else ""
    if save is not None:
        _save(save, cases, file)
    if findings:
        raise typer.Exit(5)


def _save(path: Path, cases: str, policy: Path) -> None:
    if not cases:
        typer.echo(f"{path}: not written: there is no counterexample", err=True)
        return
    write_text(path, cases, source=policy)
    typer.echo(f"{path}: the counterexamples as test cases", err=True)


def _told(results: Iterable[Result], file: Path, *, aloud: bool) -> list[Result]:
    """All results; said one by one as they come, where somebody listens."""
    found = []
    for result in results:
        found.append(result)
        if aloud:
            typer.echo(f"{result.status.value:8} {result.name:12} {result.statement}")
            typer.echo(f"{'':22}{result.how}")
            for objection in result.objections:
                _objection(objection, file)
    return found


def _objection(objection: Objection, file: Path) -> None:
    from edgeguard.desk.prove.replay import told

    place = f"{file}:{objection.place.line}:{objection.place.column}"
    typer.echo(f"  {place}: {objection.code}: {objection.message}")
    if objection.hint:
        typer.echo(f"    {objection.hint}")
    if objection.trace is not None:
        typer.echo("  seen in the real runtime:")
        for line in told(objection.trace):
            typer.echo(f"  {line}")


def _summary(file: Path, results: Sequence[Result], seconds: float) -> None:
    counts = [
        (word, sum(r.status.value == word for r in results)) for word in ("proved", "refuted", "unknown")
    ]
    told = ", ".join(f"{count} {word}" for word, count in counts if count)
    typer.echo(f"{file}: {told}, in {seconds:.1f} s")


def _facts(result: Result) -> dict[str, object]:
    from edgeguard.desk.prove.replay import told

    return {
        "name": result.name,
        "status": result.status.value,
        "statement": result.statement,
        "how": result.how,
        "objections": [
            {
                "code": o.code,
                "message": o.message,
                "line": o.place.line,
                "column": o.place.column,
                "hint": o.hint,
                "trace": [] if o.trace is None else list(told(o.trace)),
            }
            for o in result.objections
        ],
        **result.facts,
    }
