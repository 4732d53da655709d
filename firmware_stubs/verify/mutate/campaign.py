"""Break the firmware in every small way, one change at a time, and see a test fail each time: `make mutate-firmware`.

A mutant of the core is asked the second implementation's cases first, one of the link the claims of the fuzz targets
over their seeds; whichever nothing notices so far, then, the ordinary tests.
One that nothing notices and that compiles to the very code of the original is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = os.devnull  # what a mutant breaks is no example to remember

from edgeguard.policy.emit_c import emit
from firmware_stubs.verify.fuzz.prepare import write_seeds
from firmware_stubs.verify.fuzz.replays import Replays, passes
from firmware_stubs.verify.mutate import cases, suite
from firmware_stubs.verify.mutate.builds import FIRMWARE, Workshop
from firmware_stubs.verify.mutate.operators import Mutant, enumerations, mutants
from tests.firmware.reference.machine import Machine

OUT = FIRMWARE.parent / "out" / "mutate"
CORE = ("core/eg_core.c", "core/eg_envelope.c", "core/eg_pair.c", "core/eg_retained.c")
LINK = ("link/eg_device.c", "link/eg_report.c", "link/eg_wire.c", "link/eg_sha256.c")
HEADERS = ("core/eg_core.h", "link/eg_device.h", "link/eg_wire.h")
CLAIMS = ("framing", "session")
"""Fuzz targets whose claims mutants of the link must break."""
SEED, TABLES, TRACES, STEPS = 1, 24, 300, 12
SECONDS = 10
"""Until a mutant that does not end counts as killed."""


@dataclass
class Account:
    """What became of one file's mutants. Each is counted once."""

    killed_by_cases: Counter[str] = field(default_factory=Counter)
    """Or by the claims."""
    killed_by_tests: Counter[str] = field(default_factory=Counter)
    survivors: list[Mutant] = field(default_factory=list)
    alike: int = 0
    """Compile to what the original compiles to."""
    broken: int = 0
    """Do not compile."""

    def killed(self) -> int:
        """Killed, by whatever."""
        return sum(self.killed_by_cases.values()) + sum(self.killed_by_tests.values())


class Campaign:
    """One run over some files. `tests`: ask the ordinary tests as well where the cases notice nothing."""

    def __init__(self, *, tests: bool = True, files: list[str] | None = None) -> None:
        self.tests = tests
        self.files = files or suite.test_files()
        self.table = emit(cases.largest_policy())
        core = [
            path for path in suite.sources() if path.parent.name == "core" or path.stem == "eg_lib_traces"
        ]
        self.core = Workshop(OUT / "core", self.table, core)
        self.whole = Workshop(OUT / "core", self.table, suite.sources())
        control = self.core.library({}, "control")
        assert control is not None  # noqa: S101 - it raises where the original does not compile
        self.cases = cases.make_cases(
            Machine(control).layout, seed=SEED, tables=TABLES, traces=TRACES, steps=STEPS
        )
        self.replays = Replays(OUT / "claims")
        for target in CLAIMS:
            write_seeds(target, OUT / "seeds" / target)
        headers = "".join((FIRMWARE / name).read_text() for name in HEADERS)
        self.groups = enumerations(headers)

    def control(self) -> bool:
        """Whether the original passes all that mutants are asked."""
        library = self.core.library({}, "control")
        assert library is not None  # noqa: S101 - as above
        claims = self._claims_hold(self.replays, {})
        return (
            claims
            and self._agrees(library)
            and (not self.tests or suite.run(OUT / "tests", {}, "control", self.files))
        )

    def mutants(self, name: str) -> list[Mutant]:
        """Every mutant of one file, relative to `firmware_stubs`."""
        return mutants((FIRMWARE / name).read_text(), self.groups)

    def judge(self, name: str, chosen: list[Mutant]) -> Iterator[tuple[Mutant, str]]:
        """Each mutant with `broken`, `cases`, `tests`, `alike` or `survived`."""
        source = FIRMWARE / name
        text = source.read_text()
        original = self.whole.code(source, text)
        for mutant in chosen:
            changed = mutant.applied(text)
            fate = self._first_fate(source, changed)
            if not fate:
                fate = (
                    "alike"
                    if self.whole.code(source, changed) == original
                    else self._last_fate(source, changed)
                )
            yield mutant, fate

    def _first_fate(self, source: Path, text: str) -> str:
        """`broken` or `cases`; empty where neither the cases nor the claims notice anything."""
        changed = {source: text}
        if source.parent.name != "core":
            if self.replays.build("session", changed) is None:
                return "broken"
            return "" if self._claims_hold(self.replays, changed) else "cases"
        library = self.core.library(changed, "mutant")
        if library is None:
            return "broken"
        good = self._agrees(library)
        library.unlink()
        return "" if good else "cases"

    @staticmethod
    def _claims_hold(replays: Replays, changed: dict[Path, str]) -> bool:
        for target in CLAIMS:
            program = replays.build(target, changed)
            if program is None or not passes(program, sorted((OUT / "seeds" / target).iterdir())):
                return False
        return True

    def _last_fate(self, source: Path, text: str) -> str:
        noticed = self.tests and not suite.run(OUT / "tests", {source: text}, "mutant", self.files)
        return "tests" if noticed else "survived"

    def _agrees(self, library: Path) -> bool:
        """Whether a library gives what the second implementation gives, in a process of its own."""

        def question() -> bool:
            machine = Machine(library)
            return all(case.holds(machine) for case in self.cases)

        return suite.forked(question, SECONDS)


def run(campaign: Campaign, name: str, chosen: list[Mutant]) -> Account:
    """Judge these mutants of a file, and tell of each survivor when it is found."""
    account = Account()
    log = (OUT / f"{Path(name).stem}.jsonl").open("w")
    for mutant, fate in campaign.judge(name, chosen):
        log.write(json.dumps({"mutant": str(mutant), "fate": fate}) + "\n")
        log.flush()
        if fate == "cases":
            account.killed_by_cases[mutant.operator] += 1
        elif fate == "tests":
            account.killed_by_tests[mutant.operator] += 1
        elif fate == "survived":
            account.survivors.append(mutant)
            print(f"survived: {name}:{mutant}", flush=True)
        elif fate == "alike":
            account.alike += 1
        else:
            account.broken += 1
    log.close()
    return account


def left_before(name: str) -> set[str]:
    """Return the mutants of a file that the run before left, as they print."""
    lines = (OUT / f"{Path(name).stem}.jsonl").read_text().splitlines()
    return {entry["mutant"] for entry in map(json.loads, lines) if entry["fate"] == "survived"}


def table(accounts: dict[str, Account]) -> str:
    """What became of all of them, by file and by operator."""
    lines = ["| file | mutants | killed by cases or claims | by the tests | left | alike | do not compile |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, a in accounts.items():
        counted = a.killed() + len(a.survivors)
        by = sum(a.killed_by_cases.values()), sum(a.killed_by_tests.values())
        lines.append(
            f"| `{name}` | {counted} | {by[0]} | {by[1]} | {len(a.survivors)} | {a.alike} | {a.broken} |"
        )
    lines += ["", "| operator | killed | left |", "|---|---|---|"]
    killed, left = Counter[str](), Counter[str]()
    for a in accounts.values():
        killed += a.killed_by_cases + a.killed_by_tests
        left += Counter(mutant.operator for mutant in a.survivors)
    lines += [f"| {operator} | {killed[operator]} | {left[operator]} |" for operator in sorted(killed | left)]
    return "\n".join(lines)


def main() -> int:
    """Run what was asked for; 5 when a mutant survives, 1 when the control fails, 2 without a compiler."""
    parser = argparse.ArgumentParser(prog="mutate-firmware", description=__doc__)
    parser.add_argument("files", nargs="*", help="as `core/eg_core.c`; all of core and link if none is named")
    parser.add_argument("--every", type=int, default=1, help="one mutant of so many")
    parser.add_argument("--lines", help="first-last: only mutants of these lines")
    parser.add_argument("--left", action="store_true", help="only what the run before left")
    parser.add_argument(
        "--tests", nargs="+", metavar="FILE", help="these instead of all tests of the firmware"
    )
    parser.add_argument(
        "--cases-only", action="store_true", help="do not run the tests: what is left is only listed"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.files) - {*CORE, *LINK}:
        parser.error(f"there is no `{min(unknown)}`: choose of {', '.join((*CORE, *LINK))}")
    if arguments.every < 1 or not re.fullmatch(r"\d+-\d+", arguments.lines or "0-0"):
        parser.error("`--every` must be at least 1, and `--lines` like 10-40")
    if shutil.which("cc") is None:
        print("mutate-firmware: `cc` is not installed: on Debian or Ubuntu `apt-get install gcc libc6-dev`")
        return 2
    OUT.mkdir(parents=True, exist_ok=True)
    campaign = Campaign(tests=not arguments.cases_only, files=arguments.tests)
    if not campaign.control():
        print("mutate-firmware: the unchanged firmware does not pass; nothing was judged")
        return 1
    first, last = map(int, arguments.lines.split("-")) if arguments.lines else (0, 10**9)
    accounts: dict[str, Account] = {}
    for name in arguments.files or (*CORE, *LINK):
        began = time.monotonic()
        left = left_before(name) if arguments.left else None
        chosen = [
            m for m in campaign.mutants(name) if first <= m.line <= last and (left is None or str(m) in left)
        ]
        chosen = chosen[:: arguments.every]
        accounts[name] = run(campaign, name, chosen)
        print(f"{name}: {len(chosen)} changes in {time.monotonic() - began:.0f} s", flush=True)
    print(table(accounts))
    return 5 if any(account.survivors for account in accounts.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
