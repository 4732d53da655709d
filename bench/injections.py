"""Attacks by a real worker whose model is attacker's Python, against the whole guard; and the table of what came of it.

`python -m bench.injections [--kinds NAME ...] [--worker eyes|second] [--count N] [--out out/bench]`; the count is also
EDGEGUARD_INJECTIONS. The verdict of the very step of an injection must not give the model authority, unless the answer
is what the honest model says of that frame. Exit code 1 when one does.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench import hostile, rig
from bench.bait import BAIT
from edgeguard.inference.member import HostMember
from edgeguard.inference.preprocess import Resizer
from edgeguard.types import Authority, Mode

if TYPE_CHECKING:
    from edgeguard.types import Image, Verdict

KILLED = "killed"
RESUMED = "stopped, then continued"
FROM_OUTSIDE = (KILLED, RESUMED)
KINDS = (*FROM_OUTSIDE, *hostile.KINDS)

HARMLESS = frozenset({"flooding", "slowed", *hostile.ESCAPES})
"""After these the worker answers honestly, if it still can: then the verdict may be the honest one. A slow answer is
only taken where the host itself came back after the deadline."""
PLAUSIBLE = frozenset({"replayed under a new number"})
"""A sane answer that is not this frame's: it may pass where it names the same label as the honest one."""
SLOW = frozenset({"hung for good", "closes its descriptors"})
"""What costs seconds each: the host loses its patience first."""

DEADLINE = "20ms"
_RECOVER_WITHIN = 30.0
_PAUSE = 0.003
_ENOUGH = 60.0


@dataclass
class Tally:
    """What came of one kind of injection."""

    kind: str
    worker: str
    injections: int = 0
    closed: int = 0
    """Verdicts of the very step without authority for the model."""
    honest: int = 0
    """Verdicts for the model on exactly the honest answer, after an attack that came to nothing."""
    breaches: int = 0
    """Verdicts for the model that an honest worker would not have got, and anything that reached a bait."""
    restarts: int = 0
    recovered: int = 0
    recovery_ms: list[float] = field(default_factory=list)
    step_ms: list[float] = field(default_factory=list)
    """Of the injected steps."""

    def row(self) -> dict[str, object]:
        """As plain data, with percentiles for the lists."""
        plain = asdict(self)
        for name in ("recovery_ms", "step_ms"):
            values = plain.pop(name) or [0.0]
            plain[name] = {"p50": float(np.median(values)), "max": float(max(values))}
        return plain


class Campaign:
    """One rig with one hostile worker, and an honest model beside it to compare with."""

    def __init__(
        self, kinds: Sequence[str], worker: str, images: Sequence[Image], *, then: str, most: int
    ) -> None:
        """Start everything. `then`, `most`: what follows restarts, and how many there may be."""
        admitted = rig.models()
        self.images = images
        self._member = HostMember.load(("primary",), admitted, {})
        (canonical,) = self._member.kinds
        self._resize = Resizer(canonical.height, canonical.width, canonical.resize)
        self._plan = [(kind, BAIT.told(kind)) for kind in kinds if kind not in FROM_OUTSIDE]
        programs = {worker: hostile.program(self._plan)} if self._plan else {}
        compiled = rig.program(sandbox="preferred", deadline=DEADLINE, then=then, most=most)
        self.rig = rig.build(compiled, admitted, hostile=programs)
        self.worker = self.rig.workers[worker]
        self.number = 0

    def honest(self, verdict: Verdict, *, label_only: bool = False) -> bool:
        """Whether a verdict carries exactly what the model says about that frame, or at least its label."""
        if verdict.answer is None or verdict.answer.frame != self.number:
            return False
        (room,) = self._member.begin(0)
        self._resize(self.image(), room)
        self._member.submit(("primary",))
        said = self._member.collect().scores["primary"].probabilities
        if label_only:
            return int(said.argmax()) == verdict.answer.label
        return bool(np.allclose(said, verdict.answer.probabilities, atol=1e-5))

    def step(self, kind: str = "") -> Verdict:
        """One frame, on which the worker attacks in this way, or not at all."""
        wanted = next((i for i, (name, _) in enumerate(self._plan) if name == kind), None)
        self.number += 1
        while self._plan and hostile.turn(self.number, len(self._plan)) != wanted:
            self.number += 1
        return self.rig.step(self.image(), self.number)

    def settle(self) -> bool:
        """Honest frames until the model has authority again."""
        until = time.monotonic() + _RECOVER_WITHIN
        while time.monotonic() < until:
            verdict = self.step()
            if verdict.authority is Authority.MODEL:
                return self.honest(verdict)
            if verdict.mode is Mode.LOCKOUT:
                return False
            self.rig.arm(verdict)
            if not all(worker.answering for worker in self.rig.workers.values()):
                time.sleep(_PAUSE)
        return False

    def inject(self, kind: str) -> Verdict:
        """One attack, and the verdict of its step."""
        if kind in FROM_OUTSIDE and self.worker.pid is not None:
            os.kill(self.worker.pid, signal.SIGKILL if kind == KILLED else signal.SIGSTOP)
        verdict = self.step(kind)
        if kind == RESUMED and self.worker.pid is not None:
            os.kill(self.worker.pid, signal.SIGCONT)
        return verdict

    def close(self) -> None:
        """End everything."""
        self.rig.guard.close()
        self._member.close()

    def image(self) -> Image:
        """Of the frame stepped last; the next one has another."""
        return self.images[self.number % len(self.images)]


def run(
    kinds: Sequence[str], count: int, *, worker: str = "eyes", images: Sequence[Image]
) -> Iterator[Tally]:
    """Inject each kind `count` times into one rig, with recovery in between."""
    with campaign(kinds, worker, images) as going:
        if not going.settle():
            raise rig.MissingError("the guard does not get to the model before any injection")
        for kind in kinds:
            yield _inject(going, Tally(kind, worker), count)


def _inject(going: Campaign, tally: Tally, count: int) -> Tally:
    kind, restarted = tally.kind, going.worker.restarted
    for _ in range(count):
        started = time.perf_counter()
        verdict = going.inject(kind)
        tally.step_ms.append(1000.0 * (time.perf_counter() - started))
        tally.injections += 1
        if verdict.authority is not Authority.MODEL:
            tally.closed += 1
        elif kind in HARMLESS | PLAUSIBLE and going.honest(verdict, label_only=kind in PLAUSIBLE):
            tally.honest += 1
        else:
            tally.breaches += 1
        tally.breaches += BAIT.taken()
        started = time.perf_counter()
        if not going.settle():
            break
        tally.recovered += 1
        tally.recovery_ms.append(1000.0 * (time.perf_counter() - started))
    tally.restarts = going.worker.restarted - restarted
    return tally


def until_lockout(
    kind: str, *, then: str, most: int, images: Sequence[Image]
) -> tuple[list[Authority], Mode]:
    """Inject until the restarts are used up: the authority of each injected step, and the last mode."""
    authorities = []
    with campaign((kind,), "eyes", images, then=then, most=most) as going:
        going.settle()
        for _ in range(most + 1):
            authorities.append(going.inject(kind).authority)
            if not going.settle():
                break
        verdict = going.step()
        authorities.append(verdict.authority)
    return authorities, verdict.mode


@contextmanager
def campaign(
    kinds: Sequence[str],
    worker: str,
    images: Sequence[Image],
    *,
    then: str = "stay_down",
    most: int = 1_000_000,
) -> Iterator[Campaign]:
    """A running campaign, ended afterwards."""
    going = Campaign(kinds, worker, images, then=then, most=most)
    try:
        yield going
    finally:
        going.close()


def steady_pictures() -> tuple[Image, ...]:
    """Frames on which the honest guard gives the model authority: else an attack could change nothing."""
    images = rig.pictures(64)
    with campaign((), "eyes", images) as going:
        going.settle()
        good = []
        for _ in images:
            verdict = going.step()
            if verdict.authority is Authority.MODEL:
                good.append(going.image())
    return tuple(good[:15])  # an odd number: each is met on odd and on even frames


_COLUMNS = (
    "| injected | worker | injections | not the model's at once | honest answer | breaches | recovered | restarts "
    "| injected step, ms p50/max | recovery, ms p50/max |"
)


def markdown(tallies: Sequence[Tally], sandbox: str) -> str:
    """A table for people."""
    lines = [
        f"Sandbox reached: {sandbox}. Deadline of a worker: {DEADLINE}. Frames: rendered sign scenes (semi-synthetic).",
        "",
        _COLUMNS,
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for tally in tallies:
        step, back = tally.step_ms or [0.0], tally.recovery_ms or [0.0]
        lines.append(
            f"| {tally.kind} | {tally.worker} | {tally.injections} | {tally.closed} | {tally.honest} "
            f"| {tally.breaches} | {tally.recovered} | {tally.restarts} | {np.median(step):.1f}/{max(step):.1f} "
            f"| {np.median(back):.1f}/{max(back):.1f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Run, print and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.injections", description="attacks by a hostile worker"
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="NAME")
    parser.add_argument("--worker", choices=tuple(rig.LOOKS), default="eyes")
    parser.add_argument("--count", type=int, default=int(os.environ.get("EDGEGUARD_INJECTIONS", "100")))
    parser.add_argument("--out", type=Path, default=rig.ROOT / "out" / "bench")
    parser.add_argument("--name", default="injections", help="of the files in --out")
    chosen = parser.parse_args(arguments)
    images = steady_pictures()
    with campaign((), chosen.worker, images) as going:
        sandbox = going.worker.describe()["sandbox"]
    chosen.out.mkdir(parents=True, exist_ok=True)
    tallies: list[Tally] = []
    for kind in chosen.kinds:
        # What costs a second each is done less often: the worker is only killed once the host's patience is over.
        count = min(chosen.count, int(_ENOUGH)) if kind in SLOW else chosen.count
        tallies += run((kind,), count, worker=chosen.worker, images=images)
        print(markdown(tallies[-1:], sandbox).splitlines()[-1], flush=True)
        document = {"sandbox": sandbox, "kinds": [tally.row() for tally in tallies]}
        (chosen.out / f"{chosen.name}.json").write_text(json.dumps(document, indent=1) + "\n")
        (chosen.out / f"{chosen.name}.md").write_text(markdown(tallies, sandbox))
    return int(any(t.breaches or t.recovered < t.injections for t in tallies))


if __name__ == "__main__":
    sys.exit(main())
