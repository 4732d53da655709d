"""The host process of the process rig: `python -m hil.host`. It is there to be killed.

Frames and context arrive over an inherited socket; commands leave over the pty to the microcontroller (guarded) or
over the same socket (unguarded). Real time: this is one of the few files that read a clock.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edgeguard.errors import EdgeguardError
from edgeguard.types import Event, Mode
from hil import wire
from hil.association import NOTHING_AHEAD, Association
from hil.planner import SignPlanner

PERIOD: Final = 0.020  # s
_MEMORY_EVERY: Final = 25  # steps

Control = Callable[[wire.World, float], wire.Report]


def main() -> int:
    """Run until the rig closes the socket, or until killed."""
    options = _options()
    with socket.socket(fileno=options.fd) as line:
        line.settimeout(0.0)
        try:
            control, arm, close = _guarded(options) if options.arm == "guarded" else _bare(options)
        except EdgeguardError as error:
            sys.stderr.write(f"error: {error}\n")
            return error.exit_code
        line.send(wire.READY)
        _loop(line, control, arm)
        close()
    return 0


def resident() -> float:
    """Return this process's resident memory (MiB)."""
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def _loop(line: socket.socket, control: Control, arm: Callable[[], None]) -> None:
    due = time.monotonic()
    while True:
        world, asked, ended = _receive(line)
        if ended:
            return
        if asked:
            arm()
        report = control(world, time.monotonic())
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            line.send(report.encode())
        due += PERIOD
        pause = due - time.monotonic()
        if pause > 0.0:
            time.sleep(pause)
        else:
            due = time.monotonic()  # late: no burst of steps to catch up


_last = wire.World(None, 0.0, NOTHING_AHEAD)


def _receive(line: socket.socket) -> tuple[wire.World, bool, bool]:
    """Return the newest frame with the newest context, whether to arm, and whether the rig has gone."""
    global _last  # noqa: PLW0603 - the context of a process that does one thing
    frame, asked = None, False
    while True:
        try:
            data = line.recv(wire.LARGEST)
        except BlockingIOError:
            return wire.World(frame, _last.speed, _last.distance), asked, False
        except ConnectionResetError:
            return _last, False, True
        if not data:
            return _last, False, True
        asked = asked or data == wire.ARM
        world = wire.decode_world(data)
        if world is not None:
            _last = world
            frame = world.frame or frame


def _guarded(options: argparse.Namespace) -> tuple[Control, Callable[[], None], Callable[[], None]]:
    from edgeguard.guard import Guard
    from hil.profile import open_device, open_policy

    policy = open_policy(options.policy, options.trust)
    guard = Guard.open(
        policy, link=open_device(policy.program, options.port), planner=SignPlanner(options.cruise)
    )
    memory = _Memory()
    association = Association()
    named: list[str | None] = [None]

    def control(world: wire.World, now: float) -> wire.Report:
        unexplained = association.step(world.distance, named[0], now)
        context = {"speed": world.speed, "distance": world.distance, "unexplained": unexplained}
        verdict = guard.step(world.frame, context, now)
        named[0] = verdict.answer.name if verdict.answer else None
        values = verdict.command.values
        return wire.Report(
            at=now,
            authority=int(verdict.authority),
            brake=values.get("brake", 0.0),
            throttle=values.get("throttle", 0.0),
            memory=memory.now(),
            mode=verdict.mode.value,
            label=verdict.answer.name if verdict.answer else "",
        )

    def arm() -> None:
        """What an operator on the test bench does: clear a latch from starting up, then arm."""
        guard.operator(Event.RESET if guard.mode is Mode.SAFE_STATE else Event.ARM)

    return control, arm, guard.close


def _bare(options: argparse.Namespace) -> tuple[Control, Callable[[], None], Callable[[], None]]:
    from hil.bare import BareHost

    host = BareHost(options.bundle, options.cruise)
    memory = _Memory()

    def control(world: wire.World, now: float) -> wire.Report:
        values = host.command(world.frame, {"speed": world.speed, "distance": world.distance})
        return wire.Report(now, 0, values["brake"], values["throttle"], memory.now(), "", host.label)

    return control, lambda: None, lambda: None


class _Memory:
    """Resident memory, looked up twice a second."""

    def __init__(self) -> None:
        self._value = 0.0
        self._steps = 0

    def now(self) -> float:
        if self._steps % _MEMORY_EVERY == 0:
            self._value = resident()
        self._steps += 1
        return self._value


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hil.host", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arm", choices=("guarded", "unguarded"), required=True)
    parser.add_argument("--fd", type=int, required=True, help="the inherited socket")
    parser.add_argument("--cruise", type=float, required=True, help="speed to hold (m/s)")
    parser.add_argument("--policy", type=Path)
    parser.add_argument("--trust", type=Path)
    parser.add_argument("--port", help="the microcontroller's port")
    parser.add_argument("--bundle", type=Path, help="the primary model's bundle (unguarded)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
