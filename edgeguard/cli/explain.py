"""`edgeguard explain`: say from a decision log who acted when, which rule decided it, and what gives authority back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import Format, FormatOption, print_json
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.log import Entry
    from edgeguard.types import Cause


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: edgeguard explain drive.log --at 12.3s")(explain)


def explain(
    file: Annotated[Path, typer.Argument(help="A decision log.", metavar="LOG")],
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="T",
            help="Seconds since the run's start, like 12.3s, or a record's number, like 615.",
        ),
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="List every change of authority or mode.")
    ] = False,
    run: Annotated[
        int | None, typer.Option("--run", metavar="N", min=1, help="Which run of the log; default: the last.")
    ] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Say in a sentence or two why authority was where it was. Without `--at`: at the end of the log."""
    from edgeguard.log import read_log

    if changes and at is not None:
        message = "`--at` and `--changes` answer different questions: give one of them"
        raise UsageError(message)
    entries = read_log(file)
    if changes:
        _changes(entries, run, output)
        return
    entry = find(entries, at, run)
    if entry is None:
        where = f" at `{at}`" if at else ""
        message = f"`{file}` has no verdict{where}: see `edgeguard explain {file} --changes` for what it has"
        raise UsageError(message)
    if output is Format.JSON:
        print_json(as_json(entry))
    else:
        typer.echo(heading(entry))
        typer.echo(sentence(entry))


def _changes(entries: Iterator[Entry], run: int | None, output: Format) -> None:
    from edgeguard.explain import change, changed

    last: Entry | None = None
    found: list[dict[str, object]] = []
    shown = 0
    for entry in entries:
        before = last.verdict if last is not None and last.run.index == entry.run.index else None
        last = entry
        if (run is not None and entry.run.index != run) or not changed(before, entry.verdict):
            continue
        if output is Format.JSON:
            found.append(as_json(entry))
            continue
        if before is None and shown != entry.run.index:
            shown = entry.run.index
            typer.echo(f"run {shown}: {entry.run.title or 'unnamed policy'}")
            for refusal in entry.run.refused:
                typer.echo(f"  before it, refused: {refusal}")
        typer.echo(f"{change(before, entry.verdict, start=entry.run.start)}  #{entry.seq}")
    if output is Format.JSON:
        print_json(found)


def find(entries: Iterator[Entry], at: str | None, run: int | None) -> Entry | None:
    """The verdict in force then: by record number anywhere, by time in the chosen run, which is the last by default."""
    number, seconds = parse_at(at)
    best: Entry | None = None
    for entry in entries:
        if number is not None:
            if entry.seq == number:
                return entry
            continue
        if run is not None and entry.run.index != run:
            continue
        if best is not None and entry.run.index != best.run.index:
            best = None
        if seconds is None or entry.elapsed <= seconds + 1e-9:
            best = entry
    return best


def parse_at(at: str | None) -> tuple[int | None, float | None]:
    """`12.3s` and `12.3` are seconds, `615` and `#615` a record. Raises: UsageError for anything else."""
    if at is None:
        return None, None
    text = at.strip().removeprefix("#")
    if text.isdecimal():
        return int(text), None
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = float("nan")
    if not (0.0 <= seconds < float("inf")) or at.startswith("#"):
        message = f"`{at}` is no time and no record: give seconds since the start like `12.3s`, or a number like `615`"
        raise UsageError(message)
    return None, seconds


def heading(entry: Entry) -> str:
    """One line that says which verdict this is, and on whose word."""
    policy = entry.run.title or "unnamed policy"
    digest = entry.verdict.digests.get("policy", "")
    return f"record {entry.seq}, {entry.elapsed:.3f} s after the start of run {entry.run.index}, {policy}" + (
        f" ({digest[:12]})" if digest else ""
    )


def sentence(entry: Entry) -> str:
    """The verdict in words, with times since the run's start."""
    from edgeguard.explain import explain as in_words

    return in_words(entry.verdict, policy=entry.run.title, start=entry.run.start)


def as_json(entry: Entry) -> dict[str, object]:
    """The verdict for programs: times in s since the run's start; `wall` in Unix s where the log knows it."""
    verdict, start = entry.verdict, entry.run.start
    wall = None if entry.run.wall is None else entry.run.wall + entry.elapsed
    answer = verdict.answer
    return {
        "record": entry.seq,
        "run": entry.run.index,
        "policy": {
            "name": entry.run.policy,
            "version": entry.run.version,
            "digest": verdict.digests.get("policy"),
        },
        "at": entry.elapsed,
        "wall": wall,
        "mode": verdict.mode.value,
        "authority": verdict.authority.name.lower(),
        "gate": verdict.gate.value,
        "command": {name: _finite(value) for name, value in verdict.command.values.items()},
        "answer": None if answer is None else {"name": answer.name, "certainty": _finite(answer.certainty)},
        "causes": [_cause(cause, start) for cause in verdict.causes],
        "notices": [_cause(cause, start) for cause in verdict.notices],
        "alerts": list(verdict.alerts),
        "digests": dict(verdict.digests),
        "hash": entry.hash,
        "explanation": sentence(entry),
    }


def _cause(cause: Cause, start: float) -> dict[str, object]:
    return {
        "rule": cause.rule,
        "line": cause.line,
        "when": cause.text,
        "demands": cause.demands.name.lower(),
        "since": cause.since - start,
        "values": {name: _finite(value) for name, value in cause.values.items()},
        "thresholds": {name: _finite(value) for name, value in cause.thresholds.items()},
        "clears": cause.clears,
        "expired": cause.expired,
        "mode": cause.mode,
        "says": cause.says,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < float("inf") else None
