"""The engine and the slow one that was written from the page alone give the same verdicts in random runs.

`EDGEGUARD_REFERENCE_STEPS` sets how many steps are compared, `EDGEGUARD_REFERENCE_SEED` where they begin.
"""

from __future__ import annotations

import ast
import importlib
import os
from pathlib import Path
from types import ModuleType

import pytest

from edgeguard import decider, guard
from edgeguard.decision import causes, machine, notices
from edgeguard.gate import gate
from edgeguard.types import GateDecision, Mode, Status
from tests.desk.reference import play
from tests.desk.reference.play import campaign

STEPS = int(os.environ.get("EDGEGUARD_REFERENCE_STEPS", "8000"))
SEED = int(os.environ.get("EDGEGUARD_REFERENCE_SEED", "1")) * 10_000_000
ENOUGH = 20_000
"""Steps within which a fault of the engine has to show."""
ENGINES = (
    "edgeguard.decider",
    "edgeguard.decision",
    "edgeguard.gate",
    "edgeguard.guard",
    "edgeguard.desk.trial",
    "edgeguard.signals",
)
ROOM = Path(__file__).parents[3] / "edgeguard" / "desk" / "reference"

SEEN = (
    *(mode for mode in Mode if mode is not Mode.INIT), *GateDecision, *Status,
    "notices", "deadline", "alerts", "expired",
    *(f"event:{name}" for name in ("ready", "reset", "take", "stop", "integrity", "no-suggestion")),
)  # fmt: skip
"""What random runs must come by, or they show too little."""
READINGS = importlib.import_module("edgeguard.signals.readings")
"""The room gives its function the same name."""
CALLED = {"readings": "read"}
"""What the guard calls what it imports under another name."""
CALLERS: dict[ModuleType, ModuleType] = {guard: play, decider: guard, READINGS: guard}
"""Who calls what is rebuilt; of everything else, the decider does."""
FAULTS = (
    (machine, "step", "frames >= span.frames and now - start >= span.seconds and", "frames > span.frames and"),
    (machine, "step", "not now - start < span.seconds", "now - start > span.seconds"),
    (machine, "step", "frames = rule.frames + counted", "frames = rule.frames + 1"),
    (machine, "step", "(clear is Truth.TRUE and not holds)", "(clear is Truth.TRUE)"),
    (machine, "step", "(clear is Truth.TRUE and not holds)", "(clear is not Truth.FALSE and not holds)"),
    (machine, "step", "holds = when is not Truth.FALSE", "holds = when is Truth.TRUE"),
    (machine, "step", "not now < rule.since + row.within", "now > rule.since + row.within"),
    (machine, "step", "rule.since >= since", "rule.since > since"),
    (machine, "step", "not (summary.active or summary.pending)", "not summary.active"),
    (machine, "step", "entries >= lockout_after", "entries > lockout_after"),
    (machine, "step", "opened = state.mode is Mode.STANDBY or", "opened ="),
    (machine, "step", "Event.TAKE in events and summary.demand is not Authority.SAFE_STATE", "Event.TAKE in events"),
    (machine, "step", "rule._replace(frames=0, start=None)", "rule"),
    (machine, "step", "cause.since, cause.rule)", "cause.rule)"),
    (causes, "CauseChain", "if truth is not Truth.FALSE:", "if truth is Truth.TRUE:"),
    (gate, "gate", "min(max(inside, base - down), base + up)", "min(inside, base + up)"),
    (gate, "gate", "mode is Mode.MANUAL and manual is not None", "manual is not None"),
    (READINGS, "readings", "not -CLOCK_SLACK <= age <= spec.max_age", "not -CLOCK_SLACK <= age < spec.max_age"),
    (READINGS, "readings", "not -CLOCK_SLACK <= age", "not 0.0 <= age"),
    (notices, "Notices", "opened = mode is Mode.STANDBY or", "opened ="),
    (guard, "Guard", "self._signals.clear()", "pass"),
    (guard, "Guard", "if now < self._decider.last:", "if False:"),
    (guard, "Guard", "if self._decider.mode is Mode.INIT:", "if False:"),
    (decider, "Decider", "if self._unplanned_since is None:", "if True:"),
    (decider, "Decider", "chosen = program.choose(world.values, world.healthy)", "pass"),
    (decider, "Decider", "self._state.rules is not idle(count) or self._notices.active", "self._notices.active"),
    (guard, "Guard", "frame.number <= self._last_frame", "frame.number < self._last_frame"),
)  # fmt: skip


def test_both_engines_say_the_same_in_every_step() -> None:
    tally, found = campaign(STEPS, SEED)
    print(dict(tally))
    assert found == []
    assert [word for word in SEEN if not tally[word]] == []


def test_engine_that_is_rebuilt_as_it_is_is_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in {(module, name) for module, name, *_ in FAULTS}:
        rebuild(module, name, "", "", monkeypatch)
    assert campaign(1000, 1)[1] == []


@pytest.mark.parametrize(("module", "name", "good", "bad"), FAULTS, ids=[f"{bad}" for *_, bad in FAULTS])
def test_a_fault_in_the_engine_is_seen(
    module: ModuleType, name: str, good: str, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild(module, name, good, bad, monkeypatch)
    assert campaign(ENOUGH, 1)[1] != []


def rebuild(module: ModuleType, name: str, good: str, bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the guard the module's `name` as it would be with `bad` where it says `good`."""
    source = Path(str(module.__file__)).read_text()
    assert good in source, "the engine says this in other words now: plant the fault again"
    built = ModuleType(module.__name__)
    exec(compile(source.replace(good, bad), "rebuilt", "exec"), built.__dict__)  # noqa: S102 - our own text
    caller = CALLERS.get(module, decider)
    monkeypatch.setattr(caller, CALLED.get(name, name), getattr(built, name))


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.name)
def test_reference_shares_nothing_that_decides(path: Path) -> None:
    imported = {
        name
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else []
        )
    }  # fmt: skip
    assert not [name for name in imported if name.startswith(ENGINES)]
    assert not [
        name for name in imported if name in ("edgeguard.policy.compiler", "edgeguard.policy.triggers")
    ]
