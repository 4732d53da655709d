"""A guard over isolated models for as long as you like, a worker killed every minute: what grows, leaks or comes late.

`python -m bench.soak [--minutes 60] [--rate 60] [--out out/bench]`. The guard decides in real time, writes its log and
gives its signs of life to a stand-in for systemd. Writes soak.json and soak.md; exit code 1 when a demand is not met.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench import rig
from edgeguard.log import DecisionLog
from edgeguard.types import Authority, Mode
from edgeguard.watchdog import Watchdog

if TYPE_CHECKING:
    from edgeguard.types import Image, Verdict

WATCHDOG = 0.5
"""Time (s) without a sign of life after which systemd would end the service."""
GROWTH = 0.02
"""Largest growth of resident memory from the first to the last tenth of the samples."""
_KILL_EVERY = 60.0
_SAMPLE_EVERY = 5.0
_SETTLED = 60.0
"""Memory is judged from this time (s) on: caches fill first."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Samples:
    """Resident memory (bytes) and descriptors of one process name, over time."""

    at: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def take(self, at: float, pid: int) -> None:
        """Add a sample of a process; one that is gone, or may not be looked into, gives none."""
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            count = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return
        self.at.append(at)
        self.resident.append(pages * _PAGE)
        self.descriptors.append(count)

    def judged(self, minutes: float) -> dict[str, float]:
        """Ends against beginning, of what was settled; short runs are judged whole."""
        settled = [i for i, at in enumerate(self.at) if at >= min(_SETTLED, 10.0 * minutes)]
        if not settled:
            return {"first_mb": 0.0, "last_mb": 0.0, "growth": 0.0, "descriptors": 0, "most_descriptors": 0}
        tenth = max(1, len(settled) // 10)
        first = float(np.median([self.resident[i] for i in settled[:tenth]]))
        last = float(np.median([self.resident[i] for i in settled[-tenth:]]))
        return {
            "first_mb": first / 1e6,
            "last_mb": last / 1e6,
            "growth": last / first - 1.0,
            "descriptors": self.descriptors[settled[0]],
            "most_descriptors": max(self.descriptors[i] for i in settled),
        }


class Manager:
    """Stands for systemd: takes signs of life, and notes the longest time without one."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"edgeguard-soak-{os.getpid()}"
        self._socket.bind(f"\0{name}")
        self._socket.settimeout(0.0)
        self.address = f"@{name}"
        self.longest = 0.0
        self.missed = 0
        self._last: float | None = None

    def look(self, now: float) -> None:
        """Take what came."""
        try:
            while True:
                if b"WATCHDOG=1" not in self._socket.recv(4096):
                    continue
                if self._last is not None:
                    gap = now - self._last
                    self.longest = max(self.longest, gap)
                    self.missed += gap > WATCHDOG
                self._last = now
        except BlockingIOError:
            return

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


class Soak:
    """One run."""

    def __init__(self, minutes: float, rate: float, sandbox: str, folder: str) -> None:
        """Start the guard with its workers, log and watchdog."""
        self.minutes, self.period = minutes, 1.0 / rate
        self.rig = rig.build(rig.program(sandbox=sandbox), rig.models())
        self.images: Sequence[Image] = rig.pictures(240)
        self.log = DecisionLog(Path(folder) / "soak.log")
        members = {name: dict(worker.describe()) for name, worker in self.rig.workers.items()}
        self.log.begin("soak", 1, {}, members=members)
        self.manager = Manager()
        self.watchdog = Watchdog(self.manager.address, WATCHDOG)
        self.samples = {name: Samples() for name in ("host", *self.rig.workers)}
        self.authorities: Counter[str] = Counter()
        # All there will ever be room for, touched now: what the soak remembers must not look like a leak.
        self.spent = np.full(int(60.0 * minutes * rate) + 1000, -1.0, np.float32)
        self.count = 0
        self.late = 0
        self.kills = 0
        self.down: list[float] = []
        self.while_down: Counter[str] = Counter()
        self._killed_at: float | None = None
        self._victim = ""

    def run(self) -> None:
        """Step in real time until the time is over."""
        begun = due = time.monotonic()
        number, sample_at, kill_at = 0, begun, begun + _KILL_EVERY
        end = begun + 60.0 * self.minutes
        while (now := time.monotonic()) < end:
            if now < due:
                time.sleep(due - now)
                continue
            number += 1
            self._kill(now, due_at=kill_at)
            if now >= kill_at:
                kill_at += _KILL_EVERY
            verdict = self.rig.step(self.images[number % len(self.images)], number)
            done = time.monotonic()
            self._note(verdict, done, done - now)
            due += self.period
            if done > due:  # the next period has begun: it was missed, and is not made up for
                self.late += 1
                due = done
            if done >= sample_at and self._sample(done - begun):
                sample_at = done + _SAMPLE_EVERY

    def _kill(self, now: float, due_at: float) -> None:
        if now < due_at:
            return
        names = tuple(self.rig.workers)
        self._victim = names[self.kills % len(names)]
        pid = self.rig.workers[self._victim].pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            self.kills += 1
            self._killed_at = now

    def _note(self, verdict: Verdict, done: float, spent: float) -> None:
        self.spent[self.count] = spent
        self.count += 1
        self.authorities[verdict.authority.name.lower()] += 1
        self.log.append(verdict)
        self.watchdog.stepped(done, healthy=verdict.mode is not Mode.LOCKOUT, status=verdict.mode.value)
        self.manager.look(done)
        self.rig.arm(verdict)
        if self._killed_at is None:
            return
        if self.rig.workers[self._victim].answering and verdict.authority is Authority.MODEL:
            self.down.append(done - self._killed_at)
            self._killed_at = None
        elif not self.rig.workers[self._victim].answering:
            self.while_down[verdict.authority.name.lower()] += 1

    def _sample(self, at: float) -> bool:
        """Take one of everybody while nobody is being started: a start needs memory and descriptors for a while."""
        pids = {name: worker.pid for name, worker in self.rig.workers.items() if worker.answering}
        if len(pids) < len(self.rig.workers):
            return False
        for name, pid in {"host": os.getpid(), **pids}.items():
            if pid is not None:
                self.samples[name].take(at, pid)
        return True

    def result(self) -> dict[str, object]:
        """Everything as plain data, with the demands and whether they were met."""
        steps = 1000.0 * self.spent[: self.count].astype(np.float64)
        memory = {name: samples.judged(self.minutes) for name, samples in self.samples.items()}
        restarts = sum(worker.restarted for worker in self.rig.workers.values())
        demands = {
            "resident memory grows by at most 2 %": all(m["growth"] <= GROWTH for m in memory.values()),
            "no descriptor more than at the start": all(
                m["most_descriptors"] <= m["descriptors"] for m in memory.values()
            ),
            "no missed watchdog": self.manager.missed == 0,
            "every killed worker came back": len(self.down) >= self.kills - 1 and restarts == self.kills,
            "no verdict for the model while a worker was down": not self.while_down["model"],
            "no log failure": self.log.failures == 0,
        }
        p50, p99, p999 = np.percentile(steps, [50.0, 99.0, 99.9])
        return {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "minutes": self.minutes,
            "rate": 1.0 / self.period,
            "sandbox": {n: w.describe().get("sandbox", "") for n, w in self.rig.workers.items()},
            "steps": self.count,
            "step_ms": {
                "p50": float(p50),
                "p99": float(p99),
                "p99.9": float(p999),
                "max": float(steps.max()),
            },
            "periods_missed": self.late,
            "watchdog": {"missed": self.manager.missed, "longest_s": self.manager.longest},
            "kills": self.kills,
            "back_after_s": {"p50": float(np.median(self.down or [0.0])), "max": max(self.down, default=0.0)},
            "verdicts": dict(self.authorities),
            "verdicts_while_down": dict(self.while_down),
            "memory": memory,
            "demands": demands,
        }

    def close(self) -> None:
        """End everything."""
        self.rig.guard.close()
        self.watchdog.close()
        self.manager.close()
        self.log.close()


def markdown(result: dict[str, object]) -> str:
    """A table for people."""
    lines = ["| what | value |", "|---|---|"]
    for name, value in result.items():
        if name == "demands":
            continue
        shown = value
        if isinstance(value, dict):
            shown = "; ".join(f"{key} {_short(each)}" for key, each in value.items())
        lines.append(f"| {name.replace('_', ' ')} | {_short(shown)} |")
    demands = result["demands"]
    assert isinstance(demands, dict)  # noqa: S101 - made by `Soak.result`
    lines += ["", "| demand | met |", "|---|---|"]
    lines += [f"| {demand} | {'yes' if met else '**no**'} |" for demand, met in demands.items()]
    return "\n".join(lines) + "\n"


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_short(each)}" for key, each in value.items()) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main(arguments: list[str] | None = None) -> int:
    """Run, print and write what came of it."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="a guard for a long time")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=60.0, help="frames a second")
    parser.add_argument("--sandbox", choices=("off", "preferred", "required", "strict"), default="preferred")
    parser.add_argument("--out", type=Path, default=rig.ROOT / "out" / "bench")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="edgeguard-soak-") as folder:
        soak = Soak(chosen.minutes, chosen.rate, chosen.sandbox, folder)
        try:
            gc.collect()
            gc.freeze()
            soak.run()
            result = soak.result()
        finally:
            gc.unfreeze()
            soak.close()
    text = markdown(result)
    (chosen.out / "soak.json").write_text(json.dumps(result, indent=1) + "\n")
    (chosen.out / "soak.md").write_text(text)
    print(text)
    demands = result["demands"]
    return int(not (isinstance(demands, dict) and all(demands.values())))


if __name__ == "__main__":
    sys.exit(main())
