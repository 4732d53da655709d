"""`edgeguard run`: a guarded loop on a folder of pictures, a video or a camera, without a program of your own.

Wires the public parts together as an application would; the only verb that opens a camera, a port and a log at once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.remembering import StateOption, open_device
from edgeguard.cli.trusting import (
    CaOption,
    IdentityOption,
    IssuerOption,
    KeylessOption,
    Named,
    PostQuantumOption,
    TrustOption,
    trust_of,
)
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.cli.loop import Camera, Clock, Limits
    from edgeguard.cli.posts import Post
    from edgeguard.console import Keys
    from edgeguard.program import Program, Realtime
    from edgeguard.starting import Started
    from edgeguard.watchdog import Watchdog

INTERNAL = 1
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
        list[str],
        typer.Option(
            "--source",
            metavar="[NAME=]SOURCE",
            help="Folder of pictures, video file, camera:N, /dev/videoN, a stream or `gst: ...`; once a camera.",
        ),
    ],
    trust: TrustOption = None,
    ca: CaOption = None,
    identity: IdentityOption = "",
    keyless: KeylessOption = None,
    issuer: IssuerOption = "",
    post_quantum: PostQuantumOption = None,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            metavar="FILE",
            help="Decision log; an existing one is continued. With several cameras one each, by its name.",
        ),
    ] = None,
    state: StateOption = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="One line a change instead of the page.")
    ] = False,
    link: Annotated[
        list[str] | None,
        typer.Option(
            "--link", help="Port of the microcontroller; with several cameras one each.", metavar="PORT"
        ),
    ] = None,
    panel: Annotated[
        list[str] | None,
        typer.Option(
            "--panel",
            help="Port of the operator's panel that may arm; one for each `--link`.",
            metavar="PORT",
        ),
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
    """Guard a classifier on live pictures: show who may act and why, log every verdict. One guard for each camera."""
    from edgeguard.cli.cameras import plan_cameras
    from edgeguard.cli.loop import Clock, Limits
    from edgeguard.cli.posts import falls, open_posts, shortfalls
    from edgeguard.realtime import collect_when_idle
    from edgeguard.starting import remember, start
    from edgeguard.watchdog import Watchdog

    plans = plan_cameras(source, link or [], log, panel or [])
    trusted = trust_of(Named(trust or (), ca or (), identity, keyless, issuer, post_quantum))
    # what `current` means is decided once, also while it is moved; a link to itself is left to admission
    policy = Path(os.path.realpath(policy.parent)) / policy.name
    device, good = open_device(state)
    started = start(policy, trusted, device, good, partial(open_posts, plans, fps))
    program = started.admitted.policy.program
    limits = Limits(
        program.period,
        float("inf") if seconds is None else seconds,
        arm=arm if arm is not None else not link,
    )
    clock = Clock(time.monotonic, time.sleep, collect_when_idle)
    stack, posts = started.running
    with stack:
        values = constants(program, context or [])
        manager = Watchdog.from_environment()
        stack.callback(manager.close)
        for line in dict.fromkeys(line for post in posts for line in shortfalls(post)):
            typer.echo(f"warning: {line}", err=True)
        _prepare(program.realtime)
        _tell(started, remember(started, policy, trusted, device, good))
        cameras = _watch(posts, values, limits, clock, headless=headless, manager=manager)
        fallen = [falls(post) for post in posts]
    _report(posts, cameras, fallen)


def _tell(started: Started[tuple[ExitStack, list[Post]]], trouble: str) -> None:
    """Say what was admitted; warn of what was refused, and of what could not be kept for another time."""
    for place, digest in started.admitted.digests.items():
        typer.echo(f"admitted {place} {digest}")
    for refusal in started.refused:
        typer.echo(f"refused: {refusal}", err=True)
    if started.generation is not None:
        number, name = started.generation.number, started.generation.name
        version = started.generation.version
        typer.echo(
            f"warning: runs generation {number}, the last good one: policy `{name}` version {version}",
            err=True,
        )
    if trouble:
        typer.echo(f"warning: this policy is not kept to fall back on: {trouble}", err=True)


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


def _prepare(wanted: Realtime | None) -> None:
    """Get what the policy's `realtime:` asks for, and say what could not be had. Raises: UsageError, as `apply`."""
    if wanted is None:
        return
    from edgeguard.realtime import HAD, apply

    for name, state in apply(wanted).items():
        if state != HAD:
            typer.echo(f"warning: real-time option `{name}`: {state}", err=True)


def _watch(
    posts: Sequence[Post],
    values: dict[str, float],
    limits: Limits,
    clock: Clock,
    *,
    headless: bool,
    manager: Watchdog,
) -> Sequence[Camera]:
    from edgeguard.cli.loop import run_loop
    from edgeguard.cli.stage import cameras_on
    from edgeguard.console import Keys

    with Keys() as keys, _ended_by_signals(keys), ExitStack() as stack:
        stack.callback(manager.stopping)
        cameras = cameras_on(stack, posts, keys, headless=headless)
        run_loop(cameras, keys, context=values, limits=limits, clock=clock, manager=manager)
    return cameras


def _report(posts: Sequence[Post], cameras: Sequence[Camera], fallen: Sequence[Sequence[str]]) -> None:
    """Say what happened at each camera. Raises: typer.Exit when a log is not whole or a guard failed."""
    for post, camera, lines in zip(posts, cameras, fallen):
        prefix = f"{camera.name}: " if len(posts) > 1 else ""
        typer.echo(f"{prefix}{camera.summary}")
        for line in lines:
            typer.echo(f"{prefix}{line}")
        if post.log is not None:
            typer.echo(f"{prefix}log {post.log.path}: {post.log.verdicts} verdicts, head {post.log.head}")
    broken = [post.trouble for post in posts if post.trouble]
    failed = [camera for camera in cameras if camera.failure is not None]
    for trouble in broken:
        typer.echo(f"error: {trouble}", err=True)
    for camera in failed:
        typer.echo(f"error: the guard of `{camera.name}` failed: {camera.failure}", err=True)
    if failed or broken:
        raise typer.Exit(INTERNAL if failed else FINDINGS)


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
