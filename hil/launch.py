"""Starting real-time drives, and running several of them in one loop.

The only file that starts hosts and microcontrollers as processes; it ends every one that it started.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeguard.program import LinkSettings
from hil import plant
from hil.approach import eye_for, yard
from hil.process_rig import Phase, ProcessRun
from hil.profile import PROFILE, ROOT, Profile, bundle_of
from hil.scenario import Drawn, Scenario
from hil.trace import Drive

if TYPE_CHECKING:
    from edgeguard.program import Program
    from hil.process_rig import Microcontroller

PAUSE: Final = 0.002  # s: the loop's sleep
MOST_ATTEMPTS: Final = 3


def start(
    scenario: Scenario,
    drawn: Drawn,
    arm: str,
    program: Program,
    profile: Profile = PROFILE,
    emulated: bool = False,  # noqa: FBT001, FBT002 - from `--mcu`, bound by name
) -> ProcessRun:
    """Start the processes of one drive; `ProcessRun.tick` does the rest. `emulated`: the firmware under QEMU.

    Raises: LinkError when the microcontroller cannot be started.
    """
    mcu = _microcontroller(program, emulated=emulated) if arm == "guarded" else None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(0.0)
    command = [
        sys.executable,
        "-m",
        "hil.host",
        "--arm",
        arm,
        "--fd",
        str(theirs.fileno()),
        "--cruise",
        str(drawn.speed),
    ]
    if mcu is not None:
        command += ["--policy", str(profile.policy), "--trust", str(profile.trust), "--port", mcu.port]
    else:
        command += ["--bundle", str(bundle_of(program, "primary"))]
    host = subprocess.Popen(command, pass_fds=(theirs.fileno(),), cwd=ROOT, stderr=subprocess.PIPE)
    theirs.close()
    state = plant.PlantState(0.0, drawn.distance, drawn.speed)
    return ProcessRun(
        scenario, drawn, arm, mcu, host, ours, eye_for(scenario, drawn), yard(), state, since=time.monotonic()
    )


def _microcontroller(program: Program, *, emulated: bool) -> Microcontroller:
    from hil.mcu import ProcessMcu
    from hil.mcu_qemu import QemuMcu

    settings = program.link or LinkSettings()
    keys = [Path(path) if path else None for path in (settings.key, settings.operator_key)]
    chosen = QemuMcu if emulated else ProcessMcu
    return chosen(program, key_file=keys[0], operator_key_file=keys[1])


def run_all(
    starts: Sequence[Callable[[], ProcessRun]], at_once: int, done: Callable[[Drive], None]
) -> Iterator[Drive]:
    """Run every drive, at most `at_once` at a time; `done` hears of each as it ends.

    A run that did not come through the test bench, because this machine was busy, is started again with new processes;
    its drive says how often. Once a vehicle was let go, nothing is repeated.
    """
    waiting = [(start, 1) for start in starts]
    running: list[tuple[ProcessRun, Callable[[], ProcessRun], int]] = []
    try:
        while waiting or running:
            if waiting and len(running) < at_once:
                begin, attempt = waiting.pop(0)
                running.append((begin(), begin, attempt))
            for entry in list(running):
                run, begin, attempt = entry
                run.tick(time.monotonic())
                if run.phase is not Phase.DONE:
                    continue
                running.remove(entry)
                drive = replace(run.result(), attempts=attempt)
                run.close()
                if run.stuck_on_bench and attempt < MOST_ATTEMPTS:
                    waiting.append((begin, attempt + 1))
                    continue
                done(drive)
                yield drive
            time.sleep(PAUSE)
    finally:
        for run, _, _ in running:
            run.close()
