"""Flips one bit in the running ARM firmware, thousands of times, and says what came of it: `python -m hil.flips`.

Each flip is drawn from a seed and its number alone: `--only SEED:NUMBER` runs that one again and tells its story.
Exits with 5 if an output left its envelope.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from edgeguard.errors import EdgeguardError
from hil.firmware import build
from hil.flips_control import build_control
from hil.flips_machine import RESET, Machine
from hil.flips_oracle import BREACH, CLASSES, Verdict, judge
from hil.flips_places import FLAGS, MEMORY, STACKED, Chances, Firmware, study
from hil.flips_scenario import PAGE, PROGRAM, SCRIPTS, Flip, Golden, Outcome, live, live_on


@dataclass(frozen=True, slots=True)
class Injection:
    """One flip and what came of it."""

    number: int
    script: str
    flip: Flip
    function: str
    kind: str
    reasons: tuple[str, ...]


@final
class Bench:
    """The firmware's lives without a flip, ready to be repeated with one."""

    def __init__(self, elf: Path | None = None) -> None:
        """`elf`: a build of the firmware in a folder of `hil.firmware`; absent: built for `PROGRAM`."""
        self.firmware: Firmware = study(elf or build(PROGRAM, "qemu"))
        self.lives: list[tuple[Machine, Golden, Chances]] = []
        for script in SCRIPTS:
            machine = Machine(self.firmware.elf, PAGE, rooms=self.firmware.rooms)
            golden = live(machine, script, self.firmware.named())
            self.lives.append((machine, golden, Chances(self.firmware, golden)))

    def run(self, seed: int, number: int) -> tuple[Injection, Golden, Outcome]:
        """Run the flip that a seed and a number stand for."""
        rng = random.Random(f"{seed}:{number}")
        machine, golden, chances = self.lives[rng.randrange(len(self.lives))]
        flip = chances.draw(rng)
        outcome = live_on(machine, golden, flip, self.firmware.used)
        verdict: Verdict = judge(golden, outcome)
        function = self.firmware.function(outcome.flip_pc)
        found = Injection(number, golden.script.name, flip, function, verdict.kind, verdict.reasons)
        return found, golden, outcome


# ---- many ------------------------------------------------------------------------------------------------------------


def campaign(elf: Path | None, seed: int, numbers: Iterable[int], processes: int) -> Iterator[Injection]:
    """Run many flips, in order of their numbers."""
    chosen = elf or build(PROGRAM, "qemu")  # once, before the processes all want it
    with multiprocessing.get_context("spawn").Pool(processes, _start, (chosen, seed)) as pool:
        yield from pool.imap(_one, numbers, chunksize=20)


_bench: list[tuple[Bench, int]] = []
"""Of a process of the pool."""


def _start(elf: Path, seed: int) -> None:
    _bench.append((Bench(elf), seed))


def _one(number: int) -> Injection:
    bench, seed = _bench[0]
    return bench.run(seed, number)[0]


def table(found: Iterable[Injection]) -> str:
    """Count by place and class, as a Markdown table."""
    counts: dict[str, Counter[str]] = {}
    for injection in found:
        counts.setdefault(injection.flip.name, Counter())[injection.kind] += 1
    rows = [f"| place | flips | {' | '.join(CLASSES)} |", "|---|" + "---:|" * (len(CLASSES) + 1)]
    total: Counter[str] = Counter()
    for name, row in counts.items():
        total.update(row)
        rows.append(_row(name, row))
    return "\n".join([*rows, _row("**all**", total)])


def _row(name: str, counts: Counter[str]) -> str:
    return f"| {name} | {sum(counts.values())} | {' | '.join(str(counts[kind]) for kind in CLASSES)} |"


# ---- one -------------------------------------------------------------------------------------------------------------


def tell(bench: Bench, seed: int, number: int) -> str:
    """Tell one flip's story."""
    found, _, outcome = bench.run(seed, number)
    flip = found.flip
    where = flip.name
    if flip.kind in (MEMORY, STACKED):
        where += f" at {outcome.flip_address:#x}, in {bench.firmware.function(outcome.flip_address)}"
    lines = [
        f"flip {seed}:{number}, {found.script}: {where}, mask {flip.mask:#x}, before {outcome.flip_before:#x}",
        f"before instruction {flip.instruction}, at {found.function}, in the 10 ms before {outcome.flip_us} us",
        f"{found.kind}: {'; '.join(found.reasons) or 'nobody noticed'}",
        f"resets {outcome.resets}, pairs refused {outcome.refused}, faults {outcome.faults}"
        + " from ".join(f" {bench.firmware.function(at)}" for at in outcome.fault_at if outcome.faults),
        f"{'as without the flip' if outcome.converged else 'different'} from {outcome.until_us} us on",
        "went on at " + " ".join(bench.firmware.function(address) for address in outcome.trace),
        "outputs after it:",
        *(
            _told(change.us, change.actuator, change.value)
            for change in outcome.log
            if _near(change.us, outcome)
        ),
        "the board's records (modes as they change):",
        *_modes(outcome.records),
    ]
    return "\n".join(lines)


def _near(us: int, outcome: Outcome) -> bool:
    return outcome.flip_us - 15_000 <= us <= outcome.flip_us + 30_000


def _told(us: int, actuator: int, value: int) -> str:
    if actuator == RESET:
        return f"  {us} reset by the watchdog"
    return f"  {us} {PROGRAM.envelope[actuator].name} {value / 1e6}"


def _modes(records: bytes) -> Iterator[str]:
    mode = ""
    for line in records.decode("ascii", errors="replace").splitlines():
        parts = line.split()
        if len(parts) == 4 and parts[3] != mode:
            mode = parts[3]
            yield f"  {line}"


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="flip-bits", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="how many flips (10000)")
    parser.add_argument("--seed", type=int, default=1, help="what they are drawn from (1)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (0)")
    parser.add_argument("--processes", type=int, default=2, help="how many run at once (2)")
    parser.add_argument("--only", metavar="SEED:NUMBER", help="run one again and tell its story")
    parser.add_argument("--elf", type=Path, help="another build of the firmware, in its folder")
    parser.add_argument(
        "--control", action="store_true", help="a firmware without its second copy: breaches are to be found"
    )
    parser.add_argument("--output", type=Path, help="write every flip here, a line of JSON each")
    chosen = parser.parse_args(arguments)
    if chosen.count < 1 or chosen.processes < 1 or chosen.first < 0:
        parser.error("`--count` and `--processes` must be at least 1, `--first` at least 0")
    if chosen.only and not re.fullmatch(r"\d+:\d+", chosen.only):
        parser.error(f"`--only {chosen.only}`: write it as SEED:NUMBER, like 1:2458")
    try:
        if chosen.control:
            chosen.elf = build_control(PROGRAM)
        if chosen.only:
            seed, _, number = chosen.only.partition(":")
            print(tell(Bench(chosen.elf), int(seed), int(number)))
            return 0
        return _report(chosen)
    except (EdgeguardError, ValueError) as bad:
        print(f"flip-bits: {bad}", file=sys.stderr)
        return 2


def _report(chosen: argparse.Namespace) -> int:
    numbers = range(chosen.first, chosen.first + chosen.count)
    found: list[Injection] = []
    with (chosen.output or Path("/dev/null")).open("w", encoding="ascii") as file:
        for injection in campaign(chosen.elf, chosen.seed, numbers, chosen.processes):
            found.append(injection)
            file.write(json.dumps(asdict(injection)) + "\n")
            if injection.kind == BREACH:
                print(
                    f"{chosen.seed}:{injection.number} {injection.flip.name} {'; '.join(injection.reasons)}"
                )
    order = {place: i for i, place in enumerate(dict.fromkeys(i.flip.name for i in found))}
    print(table(sorted(found, key=lambda i: (i.flip.kind > FLAGS, i.flip.kind, order[i.flip.name]))))
    breaches = sum(injection.kind == BREACH for injection in found)
    print(f"seed {chosen.seed}: {len(found)} flips, {breaches} breaches of the envelope")
    return 5 if breaches else 0


if __name__ == "__main__":
    raise SystemExit(main())
