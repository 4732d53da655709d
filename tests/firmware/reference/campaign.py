"""The campaign of `make compare-machines`: every policy of the repository and many generated ones, both machines.

Exit status 5 when anything differs, or when the traces did not reach what they are there to reach.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgeguard.errors import LinkError
from edgeguard.program import Program
from tests.firmware.reference import tables
from tests.firmware.reference.compare import Account, compare, difference, unlike_resets
from tests.firmware.reference.gates import GateAccount, GateRun
from tests.firmware.reference.machine import Machine, compile_core
from tests.firmware.reference.policies import MOST_ACTUATORS, random_policy, repository_policies
from tests.firmware.reference.shrink import Difference, flat, literal, shrink
from tests.firmware.reference.soundness import sound_table
from tests.firmware.reference.table import table_of
from tests.firmware.reference.words import Action, Mode, Reason, Refusal

BATCH = 4_096
"""Traces at once: what the processor's caches hold."""
CHANGED_TABLES = 25
"""For each policy."""
GATE_TRACES, GATE_PERIODS = 30, 20
OFTEN = 1_000
"""How often each refusal and each reason has to occur in a full run, at least."""
FULL_RUN = 1_000_000
NEVER_IN_A_STEP = {Reason.BOOTED, Reason.TABLE_INVALID, Reason.KEY_REFUSED, Reason.RESET}
"""Reasons that only a reset or the link gives."""


@dataclass
class Campaign:
    """What was compared so far."""

    seed: int
    traces: int
    steps: int
    policies: int = 0
    tables: int = 0
    unsound: int = 0
    account: Account = field(default_factory=Account)
    gates: GateAccount = field(default_factory=GateAccount)
    differences: list[str] = field(default_factory=list)

    def policy(self, program: Program, folder: Path) -> None:
        """Compare everything for one policy: its table, its traces, tables near it, and the gate."""
        machine = Machine(compile_core(program, folder))
        table = machine.table()
        self._table(program, table, table_of(program, machine.layout))
        for done in range(0, self.traces, BATCH):
            seed = self.seed * 1_000_003 + self.policies * 1_009 + done
            self._traces(machine, table, seed, min(BATCH, self.traces - done), self.steps)
        rng = np.random.default_rng([self.seed, self.policies])
        for near in tables.many(rng, table, CHANGED_TABLES):
            self._near(machine, near, int(rng.integers(2**32)))
        run = GateRun(machine, program, seed=self.seed + self.policies, traces=GATE_TRACES)
        self.gates.merge(run.run(GATE_PERIODS))
        self.policies += 1

    def _table(self, program: Program, compiled: Any, computed: Any) -> None:
        self.tables += 1
        for (name, theirs), (_, ours) in zip(flat(compiled), flat(computed)):
            if ours != theirs:
                self.differences.append(f"{program.name}: table: {name}: {ours} / {theirs}")

    def _traces(self, machine: Machine, table: Any, seed: int, traces: int, steps: int) -> None:
        account, found = compare(machine, table, seed=seed, traces=traces, steps=steps)
        self.account.merge(account)
        self.differences += [_smallest(machine, case) for case in found[:3]]

    def _near(self, machine: Machine, table: Any, seed: int) -> None:
        """A table near the policy's: few traces where it is sound, otherwise only that both lock out."""
        self.tables += 1
        if sound_table(table):
            self._traces(machine, table, seed, 32, 8)
            return
        self.unsound += 1
        if unlike_resets(machine, table, seed):
            self.differences.append(f"a table that is not sound: {dict(flat(table))}")


def _smallest(machine: Machine, found: Difference) -> str:
    if found.layout is None:
        return literal(found)

    def again(*case: Any) -> bool:
        return bool(difference(machine, found.table, *case).fields)

    small = shrink(found, again)
    return literal(difference(machine, found.table, small.before, small.inputs, small.now))


def policies(seed: int, generated: int) -> Iterator[Program]:
    """Those of the repository, then generated ones with 1 to 16 actuators."""
    yield from repository_policies()
    rng = np.random.default_rng(seed)
    for index in range(generated):
        actuators = 1 + index % MOST_ACTUATORS
        yield random_policy(rng, actuators=actuators, name=f"generated-{index}")


def unreached(account: Account) -> list[str]:
    """Refusals and reasons that occurred less often than `OFTEN`."""
    refusals = account.asked.sum(axis=(0, 1))
    found = [f"refusal {r.name.lower()}: {refusals[r]}" for r in Refusal if refusals[r] < OFTEN]
    reasons = sorted(set(Reason) - NEVER_IN_A_STEP)
    found += [f"reason {r.name.lower()}: {account.reasons[r]}" for r in reasons if account.reasons[r] < OFTEN]
    found += [f"mode {m.name.lower()}" for m in Mode if account.asked[m].sum() < OFTEN]
    return found


def report(campaign: Campaign, seconds: float) -> Iterator[str]:
    """What the run reached, as lines."""
    account, gates = campaign.account, campaign.gates
    yield (
        f"{account.traces} traces, {account.steps} steps, {campaign.policies} policies, "
        f"{campaign.tables} tables ({campaign.unsound} not sound), {seconds:.0f} s"
    )
    steps = max(account.steps, 1)
    yield (
        f"enabled in {account.enabled / steps:.1%} of the steps, an output moved in {account.moved / steps:.1%}, "
        f"{account.damaged} states damaged, {account.begun.sum()} resets ({account.begun[Reason.RESET]} while enabled)"
    )
    yield ""
    yield _row("action / refusal", [mode.name.lower() for mode in Mode])
    names = [*(action.name.lower() for action in Action), "other"]
    for index, action in enumerate(names):
        for refusal in Refusal:
            counts = account.asked[:, index, refusal]
            if counts.any():
                yield _row(f"{action} {refusal.name.lower()}", counts)
    yield ""
    yield _row("mode before / after", [mode.name.lower() for mode in Mode])
    for mode in Mode:
        yield _row(mode.name.lower(), account.ways[mode])
    yield ""
    yield "new reason: " + ", ".join(
        f"{r.name.lower()} {account.reasons[r]}" for r in Reason if account.reasons[r]
    )
    yield (
        f"gate: {gates.commands} commands let out, {gates.exact} reached to the digit, the others within rounding "
        f"(most {gates.worst}e-6), {len(gates.problems)} problems"
    )
    yield f"{len(campaign.differences)} differences"


def _row(name: str, cells: Any) -> str:
    return f"{name:28}" + "".join(f"{cell!s:>15}" for cell in cells)


def main() -> int:
    """Run the campaign; 0 when nothing differs."""
    try:
        return _run()
    except LinkError as error:
        print(f"compare-machines: {error}", file=sys.stderr)
        return 1


def _run() -> int:
    parser = argparse.ArgumentParser(prog="compare-machines", description=__doc__)
    parser.add_argument("--traces", type=int, default=FULL_RUN, help="in total, at least")
    parser.add_argument("--steps", type=int, default=12, help="a trace")
    parser.add_argument(
        "--policies", type=int, default=32, help="generated ones, besides those of the repository"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    chosen = list(policies(options.seed, options.policies))
    campaign = Campaign(options.seed, -(-options.traces // len(chosen)), options.steps)
    with tempfile.TemporaryDirectory() as folder:
        for index, program in enumerate(chosen):
            campaign.policy(program, Path(folder) / str(index))
            if sys.stderr.isatty():
                print(f"\r{index + 1} of {len(chosen)} policies", end="", file=sys.stderr)
    for line in report(campaign, time.monotonic() - started):
        print(line)
    missing = unreached(campaign.account) if options.traces >= FULL_RUN else []
    for line in [
        *campaign.differences[:20],
        *campaign.gates.problems[:20],
        *(f"not reached: {m}" for m in missing),
    ]:
        print(line)
    return 5 if campaign.differences or campaign.gates.problems or missing else 0


if __name__ == "__main__":
    sys.exit(main())
