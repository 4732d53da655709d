"""All that one camera of `edgeguard run` needs: source, line, log and guard, opened and closed in order.

Whatever cannot be opened is refused before the first step; nothing here is on the frame path.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgeguard.errors import UsageError
from edgeguard.isolation.sandbox.levels import NEEDS, NOT_ASKED, is_on

if TYPE_CHECKING:
    from edgeguard.cli.cameras import CameraPlan
    from edgeguard.guard import Guard
    from edgeguard.link import Link
    from edgeguard.log import DecisionLog
    from edgeguard.program import Program
    from edgeguard.sources import Source
    from edgeguard.wiring import Admitted


@dataclass(frozen=True, slots=True)
class Post:
    """One camera with everything that watches over it."""

    name: str
    source: Source
    guard: Guard
    link: Link | None = None
    log: DecisionLog | None = None

    @property
    def trouble(self) -> str:
        """What keeps the log from being whole; empty when nothing does."""
        log = self.log
        if log is None or (log.healthy and not log.failures):
            return ""
        return f"the log `{log.path}` is not whole: {log.lost} verdicts lost, {log.failures} failures"


def shortfalls(post: Post) -> list[str]:
    """What the policy lets a worker do without, and it could not have here, one line a worker."""
    found = []
    for name, facts in post.guard.members.items():
        level = facts.get("sandbox", "strict")
        asked = [*(layer for layers in NEEDS.values() for layer in layers), "affinity", "scheduling"]
        states = {layer: facts.get(f"sandbox {layer}", NOT_ASKED) for layer in asked}
        lacking = [
            f"`{n}`: {state}" for n, state in states.items() if state != NOT_ASKED and not is_on(state)
        ]
        if lacking:
            found.append(f"worker `{name}`, sandbox level `{level}`, does without {'; '.join(lacking)}")
    return found


def falls(post: Post) -> list[str]:
    """Which workers are down, and which were started again, with the last reason; before the guard is closed."""
    found = []
    for name, facts in post.guard.members.items():
        if "why" in facts:
            found.append(f"worker `{name}` is down: it {facts['why']}")
        elif "started again" in facts:
            found.append(f"worker `{name}` was started again {facts['started again']}")
    return found


def open_posts(
    plans: Sequence[CameraPlan], fps: float, admitted: Admitted, refused: Sequence[str]
) -> tuple[ExitStack, list[Post]]:
    """Open every camera's parts; the stack closes them. Raises: as `open_post`, with all of them closed."""
    with ExitStack() as stack:
        posts = [open_post(stack, admitted, plan, fps, refused) for plan in plans]
        return stack.pop_all(), posts


def open_post(
    stack: ExitStack, admitted: Admitted, plan: CameraPlan, fps: float, refused: Sequence[str]
) -> Post:
    """Open one camera's parts; `stack` closes them. Raises: as `open_source`, `open_link` and `Guard.open`."""
    from edgeguard.sources import open_source

    source = open_source(plan.source, fps=fps)
    stack.callback(source.close)
    program = admitted.policy.program
    link = _link(program, plan.link, plan.panel)
    if link is not None:
        stack.callback(link.close)
    log = _log(stack, program, plan.log)
    return Post(plan.name, source, _guard(stack, admitted, link, log, refused), link, log)


NOBODY_ARMS = (
    "nobody here can arm the microcontroller: this host does not hold the operator's key, and there is no operator's "
    "panel (`--panel`); it will not act"
)


def _link(program: Program, port: str | None, panel: str | None) -> Link | None:
    if port is None:
        return None
    from edgeguard.link import load_device_key, open_link

    settings = program.link
    if settings is None or not settings.key:
        raise UsageError(
            "the policy names no device key: add `link: {key: FILE}` to it, or leave `--link` out"
        )
    if panel is not None and settings.operator_key:
        raise UsageError(
            "the policy's `link.operator_key` lets this host speak for the operator: leave `--panel` out, or the key"
        )
    if panel is None and not settings.operator_key:
        typer.echo(NOBODY_ARMS, err=True)
    return open_link(
        port,
        key=load_device_key(settings.key),
        policy_hash=bytes.fromhex(program.digest),
        actuators=program.envelope,
        operator_key=load_device_key(settings.operator_key) if settings.operator_key else None,
        panel=panel,
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


def _guard(
    stack: ExitStack, admitted: Admitted, link: Link | None, log: DecisionLog | None, refused: Sequence[str]
) -> Guard:
    from edgeguard.cli.loop import USE_ANSWER, use_answer
    from edgeguard.guard import Guard

    gates_answer = [limit.name for limit in admitted.policy.program.envelope] == [USE_ANSWER]
    planner = use_answer if gates_answer else None
    guard = Guard.open(admitted, link=link, log=log, planner=planner, refused=refused)
    stack.callback(guard.close)
    return guard
