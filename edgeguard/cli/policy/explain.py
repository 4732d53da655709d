"""`edgeguard policy explain`: why a policy decides as it does, on given values or on a recorded verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import Format, FormatOption, PolicyArgument, print_json
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeguard.decision.table import Span
    from edgeguard.desk.why import Reason
    from edgeguard.log import Entry
    from edgeguard.policy import DraftPolicy
    from edgeguard.program import SignalSpec
    from edgeguard.types import Event

_LONGEST = 3600
"""Seconds or frames that may be tried: every step of them is taken."""


def register(group: typer.Typer) -> None:
    """Add the verb."""
    example = (
        "Example: edgeguard policy explain policies/sign_gate.yaml --given certainty=0.3 --for '3 frames'"
    )
    group.command(epilog=example)(explain)


def explain(
    file: PolicyArgument,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            metavar="SIGNAL=VALUE",
            help="A signal's value: a number, true, false, a label, missing, stale or nan; repeatable. "
            "The others have their nominal value.",
        ),
    ] = None,
    span: Annotated[
        str | None, typer.Option("--for", metavar="SPAN", help="How long it is so; default: 1 frame.")
    ] = None,
    event: Annotated[
        str | None, typer.Option("--event", metavar="EVENT", help="What the operator does: take, stop, ...")
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Explain a verdict of this decision log.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="T", help="With --log: seconds since the run's start, or a record's number."
        ),
    ] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Say which rule decides, on which values against which thresholds, since when, and what would let it go."""
    from edgeguard.policy import compile_draft

    if log is None and at is not None:
        raise UsageError("`--at` is a time in a decision log: name one with `--log`")
    if log is not None and (given or span or event):
        raise UsageError("a recorded verdict has its own values: leave out `--given`, `--for` and `--event`")
    draft = compile_draft(file)
    if log is not None:
        _recorded(draft, log, at, output)
    else:
        _tried(draft, given or [], span, event, output)


def _tried(
    draft: DraftPolicy, given: Sequence[str], span: str | None, event: str | None, output: Format
) -> None:
    from edgeguard.desk.trial import Phase, Trial
    from edgeguard.desk.why import reasons
    from edgeguard.desk.wording import in_words

    phase = Phase(_values(draft, given), _span(span), _event(event))
    trial = Trial(draft.program)
    trial.arm()
    steps = trial.run(phase)
    last, start = steps[-1], steps[0].now
    found = reasons(draft.document, draft.program, last.readings, (*last.causes, *last.notices))
    words = in_words(last, start=start)
    if output is Format.TEXT:
        typer.echo(f"{last.now - start:.2f} s after this began, from an armed and calm start:")
        _print(draft, words, found, start)
        return
    head = draft.document.policy.policy
    answer = {
        "policy": {"name": head.name, "version": head.version, "digest": draft.document.digest},
        "at": last.now - start,
        "mode": last.mode.value,
        "authority": last.authority.name.lower(),
        "command": dict(last.command.values),
        "explanation": words,
    }
    print_json({**answer, "reasons": [_as_json(reason, start) for reason in found]})


def _recorded(draft: DraftPolicy, log: Path, at: str | None, output: Format) -> None:
    """Raises: UsageError when the log has no such verdict, or another policy gave it."""
    from edgeguard.cli import explain as verdicts
    from edgeguard.desk.why import reasons
    from edgeguard.log import read_log

    entry: Entry | None = verdicts.find(read_log(log), at, None)
    if entry is None:
        raise UsageError(f"`{log}` has no verdict" + (f" at `{at}`" if at else ""))
    digest = entry.verdict.digests.get("policy", "")
    if digest != draft.document.digest:
        whose = f"the policy {digest[:12]}" if digest else "a policy that it does not name"
        raise UsageError(
            f"record {entry.seq} of `{log}` was decided by {whose}, not by `{draft.document.file}` "
            f"({draft.document.digest[:12]}): give the policy file as it was then"
        )
    verdict = entry.verdict
    found = reasons(draft.document, draft.program, verdict.readings, (*verdict.causes, *verdict.notices))
    if output is Format.JSON:
        start = entry.run.start
        print_json({**verdicts.as_json(entry), "reasons": [_as_json(reason, start) for reason in found]})
        return
    typer.echo(verdicts.heading(entry))
    _print(draft, verdicts.sentence(entry), found, entry.run.start)


def _values(draft: DraftPolicy, given: Sequence[str]) -> dict[str, float | str]:
    """Raises: UsageError for what is no signal or none of its values."""
    from edgeguard.policy.diagnostics import suggest

    specs = {spec.name: spec for spec in draft.program.signals}
    found: dict[str, float | str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"`{text}` gives no signal a value: write it like `certainty=0.3`")
        if name not in specs:
            hint = suggest(name, specs)
            raise UsageError(f"the policy has no signal `{name}`" + (f": {hint}" if hint else ""))
        found[name] = _value(specs[name], value)
    return found


def _value(spec: SignalSpec, text: str) -> float | str:
    from edgeguard.desk.trial import FAULTS

    if text in FAULTS:
        return text
    if spec.kind == "bool" and text in ("true", "false"):
        return float(text == "true")
    if text in spec.labels:
        return float(spec.labels.index(text))
    try:
        return float(text)
    except ValueError:
        words = {"bool": ["true", "false"], "class": list(spec.labels)}.get(spec.kind, ["a number"])
        known = ", ".join([*words, *FAULTS])
        raise UsageError(f"`{text}` is no value of `{spec.name}`: give one of {known}") from None


def _span(text: str | None) -> Span:
    from edgeguard.desk.trial import ONE_FRAME
    from edgeguard.policy.units import SPAN_HELP, span

    found = ONE_FRAME if text is None else span(text)
    if found is None or found.seconds > _LONGEST or found.frames > _LONGEST:
        raise UsageError(f"`{text}` is no span to try: {SPAN_HELP}, at most {_LONGEST} of either")
    return found


def _event(text: str | None) -> Event | None:
    from edgeguard.types import Event

    operators = [e.value for e in Event if e not in (Event.READY, Event.INTEGRITY)]
    if text is not None and text not in operators:
        raise UsageError(f"`{text}` is nothing an operator does: give one of {', '.join(operators)}")
    return None if text is None else Event(text)


def _print(draft: DraftPolicy, words: str, found: Sequence[Reason], start: float) -> None:
    from edgeguard.desk.telling import told

    typer.echo(words)
    for reason in found:
        typer.echo()
        for line in told(reason, draft.document.file, draft.program.signals, start):
            typer.echo(line)


def _as_json(reason: Reason, start: float) -> dict[str, object]:
    from edgeguard.desk.telling import as_json

    return as_json(reason, start)
