"""What the line to the microcontroller costs and carries: CPU a command, round trips, throughput.

`python -m bench.link [--seconds N] [--out out/bench]`. Native is the firmware as a process on a pty, QEMU the ARM
firmware over a Unix socket; neither has the speed limit of a real UART. Judges nothing: it prints what it measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.report import table
from edgeguard.errors import EdgeguardError
from edgeguard.link import link_over, open_link
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.link import TransportLink
from edgeguard.program import Program
from edgeguard.types import Authority
from hil.mcu import VirtualMcu, VirtualTransport, start_mcu
from hil.mcu_qemu import available
from hil.profile import PROFILE

if TYPE_CHECKING:
    from edgeguard.link.status import LinkStatus

CALLS = 20_000
WARM = 2_000
PERIOD = 0.010
"""s between commands while round trips are measured."""
RATES = (100, 200, 500, 1000, 2000)
"""Control steps a second, each with one command an actuator, while throughput is measured."""
BYTES = 57
"""Of a command on the line."""
QUANTILES = (50.0, 99.0, 100.0)
BAUD = 921_600

Figures = dict[str, float]


def quantiles(values: Sequence[float], scale: float) -> Figures:
    """p50, p99 and max of values in s, in `1 / scale` s."""
    found = np.percentile(np.asarray(values), QUANTILES) * scale
    return dict(zip(("p50", "p99", "max"), map(float, found), strict=True))


# ---- what it costs the host ------------------------------------------------------------------------------------------


class Desk:
    """A transport between a link and a virtual microcontroller whose own time is spent outside what is measured."""

    def __init__(self, far: VirtualTransport) -> None:
        self.connected = True
        self._far = far
        self._coming = b""
        self._going = b""

    def exchange(self, now: float) -> None:
        """Carry what was written, and fetch what comes next."""
        self._far.write(self._going, now)
        self._going, self._coming = b"", self._far.read(now)

    def read(self, now: float) -> bytes:  # noqa: ARG002 - a transport's
        """Return what was fetched, once."""
        data, self._coming = self._coming, b""
        return data

    def write(self, data: bytes, now: float) -> bool:  # noqa: ARG002 - a transport's
        """Take it."""
        self._going += data
        return True

    def close(self) -> None:
        """Nothing to close."""


def cost(program: Program) -> dict[str, Figures]:
    """CPU time (us) of one step's parts: the commands for every actuator, and a report from each."""
    line = Desk(VirtualMcu(program).transport())
    link = link_over(
        line, key=TEST_KEY, policy_hash=bytes.fromhex(program.digest), actuators=program.envelope,
        operator_key=TEST_OPERATOR_KEY,
    )  # fmt: skip
    values = {limit.name: (limit.low + limit.high) / 2 for limit in program.envelope}
    now, sends, reads, steps = 0.0, [], [], []
    for _ in range(CALLS + WARM):
        now += 0.02
        line.exchange(now)
        began = time.perf_counter()
        link.poll(now)
        between = time.perf_counter()
        link.send(values, Authority.MODEL, now)
        ended = time.perf_counter()
        reads.append(between - began)
        sends.append(ended - between)
        steps.append(ended - began)
    count = len(program.envelope)
    return {
        "one command: encode, sign, frame": quantiles([s / count for s in sends[WARM:]], 1e6),
        "one report: parse, check, judge": quantiles([r / count for r in reads[WARM:]], 1e6),
        f"a whole step with {count} actuators": quantiles(steps[WARM:], 1e6),
    }


# ---- the line --------------------------------------------------------------------------------------------------------


def driven(
    link: TransportLink, program: Program, period: float, seconds: float
) -> Iterator[tuple[float, LinkStatus]]:
    """Command every actuator every `period` s and read as often as can be; what is known after each reading."""
    values = {limit.name: limit.safe for limit in program.envelope}
    start = due = time.monotonic()
    while (now := time.monotonic()) < start + seconds:
        link.poll(now)
        if now >= due:
            due += period
            link.send(values, Authority.MODEL, now)
        yield now, link.status
        time.sleep(0.00005)


def opened(port: str, program: Program) -> TransportLink:
    """A link with an open session."""
    link = open_link(
        port, key=TEST_KEY, operator_key=TEST_OPERATOR_KEY, policy_hash=bytes.fromhex(program.digest),
        actuators=program.envelope,
    )  # fmt: skip
    for _, status in driven(link, program, PERIOD, 5.0):
        if status.state == "open":
            return link
    raise SystemExit(f"bench.link: no session over {port}: {link.status.reason}")


def round_trips(link: TransportLink, program: Program, seconds: float) -> Figures:
    """Ms from a command to the report that it was accepted, less the time the report waited for its turn."""
    trips, measured = [], 0.0
    for _, status in driven(link, program, PERIOD, seconds):
        if status.round_trip is not None and status.round_trip_at > measured:
            measured = status.round_trip_at
            trips.append(status.round_trip)
    return {**quantiles(trips, 1e3), "count": float(len(trips))}


def throughput(link: TransportLink, program: Program, seconds: float) -> list[Figures]:
    """At each rate: what was sent, and how many frames were lost, damaged or refused on the way."""
    rows = []
    for rate in RATES:
        before, began = link.status, time.monotonic()
        for _ in driven(link, program, 1 / rate, seconds):
            pass
        spent, sent = time.monotonic() - began, link.status.sent - before.sent
        for _ in driven(link, program, PERIOD, 0.2):
            pass
        after = link.status
        rows.append(
            {
                "steps/s": float(rate),
                "commands/s": sent / spent,
                "no room": float(after.dropped - before.dropped),
                "damaged": float(after.crc_errors - before.crc_errors),
                "refused": float(after.rejected - before.rejected),
            }
        )
    return rows


# ---- for people ------------------------------------------------------------------------------------------------------


def text(
    result: dict[str, object], costs: dict[str, Figures], lines: dict[str, tuple[Figures, list[Figures]]]
) -> str:
    """The figures as Markdown."""
    out = [f"Taken on {result['date']} on {result['machine']}.", "", "CPU on the host, µs:", ""]
    out += table(
        ["what", "p50", "p99"], [[n, f"{f['p50']:.1f}", f"{f['p99']:.1f}"] for n, f in costs.items()]
    )
    out += ["Round trips, ms, at 100 steps a second:", ""]
    out += table(
        ["firmware", "p50", "p99", "max", "measured"],
        [
            [n, *(f"{f[k]:.2f}" for k in ("p50", "p99", "max")), f"{f['count']:.0f}"]
            for n, (f, _) in lines.items()
        ],
    )
    losses = ("no room", "damaged", "refused")
    for name, (_, rows) in lines.items():
        out += [f"Throughput, {name}:", ""]
        out += table(
            ["steps/s asked for", "commands/s sent", *losses],
            [[*(f"{r[key]:.0f}" for key in ("steps/s", "commands/s", *losses))] for r in rows],
        )
    share = BAUD / 10 / BYTES
    out.append(f"A UART of {BAUD} baud carries at most {share:.0f} commands a second each way.")
    return "\n".join(out) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    try:
        return _run(arguments)
    except EdgeguardError as bad:
        print(f"link: {bad}", file=sys.stderr)
        return bad.exit_code


def _run(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.link", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of round trips; a fifth of it a rate")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    options = parser.parse_args(arguments)
    from edgeguard.policy import compile_draft

    program = compile_draft(PROFILE.policy).program
    gc.disable()
    costs = cost(program)
    kinds: dict[str, Callable[[], object]] = {
        "native (a process on a pty)": lambda: start_mcu("process", program)
    }
    if available():
        kinds["QEMU (mps2-an385)"] = lambda: start_mcu("qemu", program)
    lines = {}
    for name, start in kinds.items():
        with start() as mcu:  # type: ignore[attr-defined]  # either has it
            link = opened(mcu.port, program)
            trips = round_trips(link, program, options.seconds)
            lines[name] = (trips, throughput(link, program, options.seconds / 5))
            link.close()
    result: dict[str, object] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}, Linux {platform.release()}",
    }
    options.out.mkdir(parents=True, exist_ok=True)
    page = text(result, costs, lines)
    (options.out / "link.md").write_text(page, encoding="utf-8")
    (options.out / "link.json").write_text(
        json.dumps({**result, "cost": costs, "lines": lines}, indent=1), encoding="utf-8"
    )
    print(page)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
