"""`edgeguard policy test`: run a policy's test cases, and say how much of the policy they have seen."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.findings import FindingsFormat, policy_errors, report
from edgeguard.cli.output import PolicyArgument
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeguard.desk.cases import Case, Result
    from edgeguard.desk.coverage import Coverage
    from edgeguard.desk.findings import Finding
    from edgeguard.desk.trial import NotArmable
    from edgeguard.policy import DraftPolicy


class ResultsFormat(str, Enum):
    """How the results are told."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    SARIF = "sarif"
    GITHUB = "github"


def register(group: typer.Typer) -> None:
    """Add the verb."""
    example = "Example: edgeguard policy test policies/sign_gate.yaml --fail-under 100"
    group.command("test", epilog=example)(run_tests)


def run_tests(
    file: PolicyArgument,
    cases: Annotated[
        list[Path] | None,
        typer.Option("--cases", metavar="FILE", help="A file with more cases under `tests`; repeatable."),
    ] = None,
    fail_under: Annotated[
        float | None,
        typer.Option(
            "--fail-under", metavar="PERCENT", min=0.0, max=100.0, help="The least coverage that is enough."
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="NAME", help="Run only the case of this name.")
    ] = None,
    output: Annotated[
        ResultsFormat, typer.Option("--format", help="How to answer: for people, programs, or a code host.")
    ] = ResultsFormat.TEXT,
) -> None:
    """Run the policy's test cases through the real decision. Needs its calibration, but no signature and no model."""
    from edgeguard.desk.cases import run_cases
    from edgeguard.desk.coverage import coverage
    from edgeguard.desk.trial import NotArmable
    from edgeguard.policy import compile_draft

    if only is not None and fail_under is not None:
        raise UsageError(
            "`--only` runs a part of the cases, which `--fail-under` cannot judge: give one of them"
        )
    with policy_errors(_findings_format(output), facts={"file": str(file), "passed": False}):
        draft = compile_draft(file)
        chosen = _chosen(draft, cases or (), only, file)
    try:
        results = run_cases(draft.document, draft.program, chosen)
    except NotArmable as error:
        _tell(output, draft, (), None, (_not_armable(draft, error),))
        raise typer.Exit(error.exit_code) from None
    measured = coverage(draft.document, draft.program, results)
    below = _below(measured, fail_under)
    _tell(output, draft, results, measured, below)
    if below or not all(result.passed for result in results):
        raise typer.Exit(5)


def _findings_format(output: ResultsFormat) -> FindingsFormat:
    return FindingsFormat.TEXT if output is ResultsFormat.JUNIT else FindingsFormat(output.value)


def _chosen(draft: DraftPolicy, files: Sequence[Path], only: str | None, policy: Path) -> tuple[Case, ...]:
    """The cases to run: the policy's own, then those of `files`.

    Raises:
        UsageError: there is none, or a file cannot be read.
        PolicyError: a file's cases are wrong.
    """
    from edgeguard.desk.cases import embedded_cases, read_cases
    from edgeguard.policy.diagnostics import suggest

    found = list(embedded_cases(draft.document, draft.program))
    for path in files:
        found += read_cases(draft.document, draft.program, _read(path), file=str(path))
    if not found:
        raise UsageError(
            f"`{policy}` has no test cases: write them under `tests`, or name a file with `--cases`"
        )
    chosen = tuple(case for case in found if only in (None, case.name, case.declared))
    if not chosen:
        hint = suggest(only or "", [case.declared for case in found])
        raise UsageError(f"no test case is called `{only}`" + (f": {hint}" if hint else ""))
    return chosen


def _read(path: Path) -> bytes:
    from edgeguard.policy.reader import MOST_BYTES

    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise UsageError(f"cannot read the cases `{path}`: {reason}") from None


def _not_armable(draft: DraftPolicy, error: NotArmable) -> Finding:
    from edgeguard.desk.findings import Finding

    place = next(
        (t.path for t in draft.document.triggers if error.causes and t.id == error.causes[0].rule), ()
    )
    line, column = draft.document.source.key(place)
    hint = "give its signals another `nominal`, or let the rule leave calm alone"
    return Finding("EG1503", str(error), draft.document.file, line, column, hint)


def _below(measured: Coverage, wanted: float | None) -> tuple[Finding, ...]:
    from edgeguard.desk.findings import Finding

    if wanted is None or measured.percent() >= wanted:
        return ()
    message = f"coverage is {_percent(measured.percent())}, below the {wanted:g} % that are wanted"
    return (Finding("EG1502", message, measured.file, 1, 1, "add cases for what no test has seen"),)


def _percent(value: float) -> str:
    """Rounded down to a tenth: never 100 % when something is missing."""
    return f"{int(value * 10.0) / 10.0:g} %"


def _tell(
    output: ResultsFormat,
    draft: DraftPolicy,
    results: Sequence[Result],
    measured: Coverage | None,
    others: tuple[Finding, ...],
) -> None:
    from edgeguard.desk.junit import junit

    head = draft.document.policy.policy
    if output is ResultsFormat.TEXT:
        _text(results, measured, others)
    elif output is ResultsFormat.JUNIT:
        typer.echo(junit(f"{head.name} version {head.version}", results, others), nl=False)
    else:
        findings = [finding for result in results for finding in result.findings]
        gaps = measured.gaps() if measured else ()
        facts = _facts(draft, results, measured, others)
        report((*findings, *others, *gaps), FindingsFormat(output.value), facts=facts)


def _text(results: Sequence[Result], measured: Coverage | None, others: Sequence[Finding]) -> None:
    for result in results:
        typer.echo(f"{'pass' if result.passed else 'FAIL'}  {result.case.name}")
        for finding in result.findings:
            typer.echo(f"      {finding}")
        if not result.passed:
            typer.echo(f"      {result.words}")
    if measured is not None:
        passed = sum(result.passed for result in results)
        typer.echo(f"{passed} of {len(results)} cases passed")
        parts = [f"{kind}s {seen} of {there}" for kind, (seen, there) in measured.by_kind().items()]
        typer.echo(f"coverage {_percent(measured.percent())} of the outcomes: {', '.join(parts)}")
        for gap in measured.gaps():
            typer.echo(f"  {gap.file}:{gap.line}:{gap.column}: {gap.message}")
    for finding in others:
        typer.echo(str(finding), err=True)


def _facts(
    draft: DraftPolicy,
    results: Sequence[Result],
    measured: Coverage | None,
    others: tuple[Finding, ...],
) -> dict[str, object]:
    head = draft.document.policy.policy
    return {
        "file": draft.document.file,
        "name": head.name,
        "version": head.version,
        "digest": draft.document.digest,
        "passed": not others and all(result.passed for result in results),
        "cases": [_case(result) for result in results],
        "coverage": None if measured is None else _coverage(measured),
    }


def _case(result: Result) -> dict[str, object]:
    last = result.seen[-1]
    return {
        "name": result.case.name,
        "file": result.case.source.file,
        "line": result.case.line,
        "passed": result.passed,
        "authority": last.authority.name.lower(),
        "mode": last.mode.value,
        "causes": [cause.rule for cause in last.causes],
        "notices": [cause.rule for cause in last.notices],
        "command": dict(last.command.values),
        "seconds": last.now - result.seen[1].now,
        "explanation": result.words,
    }


def _coverage(measured: Coverage) -> dict[str, object]:
    return {
        "percent": measured.percent(),
        **{f"{kind}s": {"seen": a, "there": b} for kind, (a, b) in measured.by_kind().items()},
        "points": [
            {
                "kind": point.kind,
                "where": point.where,
                "text": point.text,
                "line": point.place.line,
                "column": point.place.column,
                "seen": [outcome for outcome in point.wanted if outcome in point.seen],
                "missing": list(point.missing),
            }
            for point in measured.points
        ],
    }
