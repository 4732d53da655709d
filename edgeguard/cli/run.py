"""`edgeguard run`: a guarded loop on a folder of pictures, a video or a camera, without a program of your own.

Wires the public parts together as an application would; the only verb that opens a camera, a port and a log at once.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import trusted_keys
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.cli.loop import Limits, Summary
    from edgeguard.console import Keys
    from edgeguard.guard import Guard
    from edgeguard.link import Link
    from edgeguard.log import DecisionLog
    from edgeguard.policy import LoadedPolicy
    from edgeguard.program import Program
    from edgeguard.sources import Source

FINDINGS = 5


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        epilog="Example: edgeguard run --policy policy.yaml --trust keys/release.pub --source camera:0"
    )(run)


def run(
    *,
    policy: Annotated[Path, typer.Option("--policy", metavar="POLICY", help="The signed policy.")],
    source: Annotated[
        str,
        typer.Option(
            "--source",
            metavar="SOURCE",
            help="Folder of pictures, video file, camera:N, /dev/videoN or a stream.",
        ),
    ],
    trust: Annotated[
        list[Path] | None,
        typer.Option(
            "--trust",
            metavar="KEY",
            help="Public key that may sign the policy; may be repeated. Or EDGEGUARD_TRUST.",
        ),
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Decision log; an existing one is continued.")
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="One line a change instead of the page.")
    ] = False,
    link: Annotated[
        str | None, typer.Option("--link", help="Port of the microcontroller.", metavar="PORT")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="SECONDS", min=0.0, help="End after this time.")
    ] = None,
    fps: Annotated[float, typer.Option("--fps", metavar="RATE", help="Pace of a folder of pictures.")] = 20.0,
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context",
            metavar="NAME=NUMBER",
            help="Constant for a signal `from: context`, as speed=3.5; may be repeated.",
        ),
    ] = None,
    arm: Annotated[
        bool | None,
        typer.Option(
            "--arm/--no-arm", help="Arm as soon as no rule holds; default: yes, except with --link."
        ),
    ] = None,
) -> None:
    """Guard a classifier on live pictures: show who may act and why, log every verdict."""
    from edgeguard.cli.loop import Limits
    from edgeguard.policy import load_policy

    loaded = load_policy(policy, trust=trusted_keys(trust or []))
    program = loaded.program
    values = constants(program, context or [])
    wants_arm = arm if arm is not None else link is None
    limits = Limits(program.period, float("inf") if seconds is None else seconds, arm=wants_arm)
    with ExitStack() as stack:
        frames = _source(stack, source, fps)
        line = _link(program, link)
        if line is not None:
            stack.callback(line.close)
        record = _log(stack, program, log)
        guard = _guard(stack, loaded, line, record)
        summary = _watch(guard, frames, line, record, values, limits, headless=headless)
    typer.echo(str(summary))
    if record is not None:
        typer.echo(f"log {record.path}: {record.verdicts} verdicts, head {record.head}")
        if not record.healthy or record.failures:
            message = f"error: the log `{record.path}` is not whole: {record.lost} verdicts lost"
            typer.echo(f"{message}, {record.failures} failures", err=True)
            raise typer.Exit(FINDINGS)


def constants(program: Program, given: Sequence[str]) -> dict[str, float]:
    """`speed=3.5` for every context signal of the policy. Raises: UsageError for one too many or too few."""
    wanted = [spec.name for spec in program.signals if spec.source == "context"]
    values: dict[str, float] = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            raise UsageError(f"`--context {text}`: give NAME=NUMBER, like speed=3.5") from None
        if name not in wanted:
            known = ", ".join(f"`{w}`" for w in wanted) or "none"
            raise UsageError(f"the policy has no context signal `{name}`; it has: {known}")
        values[name] = value
    missing = [name for name in wanted if name not in values]
    if missing:
        options = " ".join(f"--context {name}=NUMBER" for name in missing)
        raise UsageError(
            f"the policy reads what only your program knows: give {options}, or call the guard from it"
        )
    return values


def _source(stack: ExitStack, spec: str, fps: float) -> Source:
    from edgeguard.sources import open_source

    source = open_source(spec, fps=fps)
    stack.callback(source.close)
    return source


def _link(program: Program, port: str | None) -> Link | None:
    if port is None:
        return None
    from edgeguard.link import load_device_key, open_link

    settings = program.link
    if settings is None or not settings.key:
        raise UsageError(
            "the policy names no device key: add `link: {key: FILE}` to it, or leave `--link` out"
        )
    return open_link(
        port,
        key=load_device_key(settings.key),
        policy_hash=bytes.fromhex(program.digest),
        actuators=program.envelope,
        baud=settings.baud,
        valid=settings.lost_after,
    )


def _log(stack: ExitStack, program: Program, path: Path | None) -> DecisionLog | None:
    if path is None:
        return None
    from edgeguard.log import DecisionLog

    log = DecisionLog(path, flush=program.log_flush)
    stack.callback(log.close)
    return log


def _guard(stack: ExitStack, loaded: LoadedPolicy, link: Link | None, log: DecisionLog | None) -> Guard:
    from edgeguard.cli.loop import USE_ANSWER, use_answer
    from edgeguard.guard import Guard

    program = loaded.program
    gates_answer = [limit.name for limit in program.envelope] == [USE_ANSWER]
    guard = Guard.open(loaded, link=link, log=log, planner=use_answer if gates_answer else None)
    stack.callback(guard.close)
    return guard


def _watch(
    guard: Guard,
    source: Source,
    link: Link | None,
    log: DecisionLog | None,
    values: dict[str, float],
    limits: Limits,
    *,
    headless: bool,
) -> Summary:
    from rich.console import Console

    from edgeguard.cli.loop import Clock, run_loop
    from edgeguard.console import Extra, Keys, open_screen

    start = time.monotonic()
    program = guard.program

    def extra() -> Extra:
        healthy = log is None or log.healthy
        status = None if link is None else link.status
        note = source.trouble or f"source {source.name}"
        return Extra(start=start, link=status, log_healthy=healthy, note=note, keys=keys.active)

    clock = Clock(time.monotonic, time.sleep)
    screen = open_screen(Console(), program, headless=headless)
    with Keys() as keys, _ended_by_signals(keys), screen:
        return run_loop(guard, source, screen, keys, context=values, limits=limits, clock=clock, extra=extra)


@contextmanager
def _ended_by_signals(keys: Keys) -> Iterator[None]:
    """Ctrl-C and a service's stop end the loop in order, so that the log and the line are closed as they should be."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        keys.quit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
