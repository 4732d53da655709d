"""How long the microcontroller needs to take over from a host that dies, hangs, floods or holds another policy.

`python -m bench.mcu_faults [--count N] [--mcu qemu] [--load N]`. Real processes, real signals, the real firmware; the
times are those of the firmware's own records of its outputs. Exits 5 when one was beyond the policy's `lost_after`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.report import table
from edgeguard.errors import EdgeguardError
from hil.mcu import start_mcu
from hil.profile import PROFILE, ROOT

if TYPE_CHECKING:
    from edgeguard.program import Program
    from hil.mcu_outputs import OutputRecord
    from hil.mcu_process import ProcessMcu
    from hil.mcu_qemu import QemuMcu

PATIENCE = 20.0
"""s that a host may take to be armed, and the microcontroller to do what it must."""
SETTLED = 1e-6
FIELDS = ("name", "low", "high", "rise", "fall", "safe")
HANGS = 10
"""Of how many runs of the other faults one run of a hung core is made: it takes a debugger and a reset."""
LOAD = "while True: pass"

Fault = Callable[["subprocess.Popen[str]"], None]


def says(word: str) -> Fault:
    """Tell the host how to misbehave."""

    def tell(host: subprocess.Popen[str]) -> None:
        if host.stdin is not None:
            host.stdin.write(f"{word}\n")
            host.stdin.flush()

    return tell


FAULTS: dict[str, Fault] = {
    "killed": lambda host: host.kill(),
    "hung (stopped)": lambda host: host.send_signal(signal.SIGSTOP),
    "floods with rubbish": says("flood"),
    "floods with its own old frames": says("repeat"),
    "another policy's hash": says("mismatch"),
}


@contextmanager
def talker(port: str, program: Program) -> Iterator[subprocess.Popen[str]]:
    """A host process that has been granted authority."""
    envelope = json.dumps([{field: getattr(limit, field) for field in FIELDS} for limit in program.envelope])
    host = subprocess.Popen(
        [sys.executable, "-m", "hil.talker", port, program.digest, envelope],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        if host.stdout is None or host.stdout.readline() != "enabled\n":
            raise SystemExit("mcu_faults: the host was not armed")
        yield host
    finally:
        host.kill()
        host.wait()
        for stream in (host.stdin, host.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    workers = [subprocess.Popen([sys.executable, "-c", LOAD]) for _ in range(processes)]
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def record_after(
    mcu: ProcessMcu | QemuMcu, since: float, fits: Callable[[OutputRecord], bool]
) -> OutputRecord:
    """The first record of the outputs after a time that fits."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for record in mcu.records():
            if record.at > since and fits(record):
                return record
        time.sleep(0.005)
    raise SystemExit(f"mcu_faults: the microcontroller, {mcu.mode}, did not do what it must")


def taken_over(mcu: ProcessMcu | QemuMcu, program: Program, fault: Fault) -> tuple[float, float]:
    """S from the fault to the microcontroller's own fallback, and to the last output at its safe value."""
    with talker(mcu.port, program) as host:
        time.sleep(0.1)
        began = time.monotonic()
        fault(host)
        first = record_after(mcu, began, lambda record: record.mode == "fallback_only")
        arrived = 0.0
        for limit in program.envelope:
            safe = record_after(
                mcu,
                first.at - SETTLED,
                lambda r, x=limit: r.actuator == x.name and abs(r.value - x.safe) < SETTLED,  # type: ignore[misc]
            )
            arrived = max(arrived, safe.at - began)
    mcu.forget()
    return first.at - began, arrived


def hung_core(mcu: QemuMcu, program: Program) -> tuple[float, float]:
    """S from a core that runs in a circle to its first report after the watchdog's reset, which must be silent."""
    with talker(mcu.port, program):
        began = time.monotonic()
        mcu.hang()
        first = record_after(mcu, began + 0.05, lambda record: record.mode == "silent")
    found = first.at - began
    mcu.forget()
    return found, found


def ramp(program: Program) -> float:
    """The longest way to the safe values (s), from where the host holds the outputs."""
    ways = []
    for limit in program.envelope:
        way = limit.safe - (limit.low + limit.high) / 2
        rate = limit.rise if way > 0 else limit.fall
        ways.append(0.0 if math.isinf(rate) else abs(way) / rate)
    return max(ways)


def campaign(kind: str, program: Program, count: int) -> dict[str, list[tuple[float, float]]]:
    """Every fault so many times; the times of each run."""
    found: dict[str, list[tuple[float, float]]] = {}
    with start_mcu(kind, program) as mcu:
        for name, fault in FAULTS.items():
            found[name] = [taken_over(mcu, program, fault) for _ in range(count)]
            print(f"  {name}: {len(found[name])} runs", file=sys.stderr, flush=True)
    return found


def hangs(program: Program, count: int) -> list[tuple[float, float]]:
    """The core of the emulated board hung so many times, each time on a board that was just started."""
    found = []
    for _ in range(count):
        with start_mcu("qemu", program) as mcu:
            found.append(hung_core(mcu, program))  # type: ignore[arg-type]  # of this kind
    return found


def row(name: str, times: Sequence[tuple[float, float]]) -> list[str]:
    """One line of the table: ms."""
    begun, arrived = (np.asarray(column) * 1e3 for column in zip(*times, strict=True))
    figures = [f"{np.percentile(begun, q):.0f}" for q in (50, 99, 100)]
    return [name, f"{len(times)}", *figures, f"{np.percentile(arrived, 100):.0f}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Break hosts, print and write what was seen."""
    parser = argparse.ArgumentParser(prog="python -m bench.mcu_faults", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="runs of each fault")
    parser.add_argument("--mcu", default="qemu", help="qemu, qemu-netduino or process")
    parser.add_argument("--load", type=int, default=0, help="processes that compute beside")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    options = parser.parse_args(arguments)
    if options.count < 1 or options.load < 0:
        parser.error("`--count` must be at least 1, `--load` at least 0")
    from edgeguard.policy import compile_draft

    program = compile_draft(PROFILE.policy).program
    lost = program.link.lost_after if program.link is not None else 0.150
    try:
        with busy(options.load):
            found = campaign(options.mcu, program, options.count)
            core = hangs(program, max(1, options.count // HANGS)) if options.mcu == "qemu" else []
    except EdgeguardError as bad:
        print(f"mcu_faults: {bad}", file=sys.stderr)
        return bad.exit_code
    rows = [row(name, times) for name, times in found.items()]
    if core:
        rows.append(row("the core itself hangs: reset, silent", core))
    late = {name: sum(begun > lost for begun, _ in times) for name, times in found.items()}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    lines = [f"Firmware: {options.mcu}. Beside it {options.load} busy processes. {machine}.", ""]
    lines += table(["host", "runs", "fallback begins, p50 ms", "p99", "max", "all outputs safe, max"], rows)
    lines.append(
        f"The policy's time is {lost * 1e3:.0f} ms, the longest ramp {ramp(program) * 1e3:.0f} ms more; "
    )
    lines[-1] += f"late: {sum(late.values())} of {sum(len(times) for times in found.values())}."
    page = "\n".join(lines) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    name = f"mcu-faults-{options.mcu}{f'-load{options.load}' if options.load else ''}"
    (options.out / f"{name}.md").write_text(page, encoding="utf-8")
    (options.out / f"{name}.json").write_text(json.dumps({"hosts": found, "core": core}), encoding="utf-8")
    print(page)
    return 5 if sum(late.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
