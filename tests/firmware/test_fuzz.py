"""Inputs that fuzzing once stopped at, defects that its claims must notice, and a few seconds of fuzzing itself.

`make fuzz-firmware` is the campaign. An input in tests/hostile/link/ is named `NAME.TARGET`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_stubs.verify.fuzz import prepare, run
from firmware_stubs.verify.fuzz.replays import Replays, passes

HOSTILE = Path(__file__).parents[1] / "hostile" / "link"
SECONDS = 3
"""For each target."""

DEFECTS = (
    ("link/eg_device.c", "counter <= d->heard[key]", "counter < d->heard[key]"),
    ("link/eg_device.c", "d->heard[key] = counter;", ""),
    ("link/eg_device.c", "new_nonce(d); /* an OPEN works once */", ""),
    ("link/eg_device.c", "return (key == EG_OPERATOR_KEY) ? 0u : (uint8_t)EG_KEY_WRONG;", "return 0u;"),
    ("core/eg_core.c", "(request->age_ms > request->valid_ms) ||", ""),
    ("core/eg_core.c", "request->policy_hash != table->policy_hash", "false"),
    ("core/eg_core.c", "state->latches |= EG_LATCH_STOP;", ""),
    (
        "core/eg_core.c",
        "silent_for(state, table->lost_us, now_us)",
        "silent_for(state, table->lost_us * 2u, now_us)",
    ),
    ("core/eg_core.c", "state->latches = before->latches & EG_LATCHES;", ""),
    ("core/eg_envelope.c", "step = -down;", "step = -down - 1;"),
    ("core/eg_envelope.c", "goal = led(limits, &senses->measured[i], c->target);", "goal = c->target;"),
    (
        "link/eg_wire.c",
        "if ((tail[2] >= LINKS) || !eg_equal(expected, &tail[3u + STAMP], SIGNATURE)) {",
        "if (false) {",
    ),
)


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Replays:
    return Replays(tmp_path_factory.mktemp("replay"))


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    for target in ("framing", "session"):
        prepare.write_seeds(target, folder / target)
    return folder


@pytest.mark.parametrize("target", ["framing", "session"])
def test_every_input_that_fuzzing_once_stopped_at_and_every_seed_holds(
    replay: Replays, seeds: Path, target: str
) -> None:
    files = [*sorted(HOSTILE.glob(f"*.{target}")), *sorted((seeds / target).iterdir())]
    assert len(files) > 10
    program = replay.build(target)
    assert program is not None
    assert passes(program, files)


def test_hostile_inputs_are_named_after_a_target() -> None:
    known = {f".{target.name}" for target in run.targets()}
    assert {path.suffix for path in HOSTILE.iterdir()} <= known


@pytest.mark.parametrize(("name", "old", "new"), DEFECTS)
def test_defect_is_noticed_from_the_seeds_alone(
    replay: Replays, seeds: Path, name: str, old: str, new: str
) -> None:
    source = run.FIRMWARE / name
    text = source.read_text()
    assert text.count(old) >= 1, "the defect's place has changed: write it anew"
    target = "framing" if name.endswith("eg_wire.c") else "session"
    program = replay.build(target, {source: text.replace(old, new)})
    assert program is not None
    assert not passes(program, sorted((seeds / target).iterdir()))


@pytest.mark.parametrize("target", [target.name for target in run.targets()])
def test_seconds_of_fuzzing_find_nothing(
    target: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clang = run.find_clang()
    if clang is None:
        pytest.skip(f"there is no clang with libFuzzer: {run.INSTALL}")
    monkeypatch.setattr(run, "OUT", tmp_path)
    result = run.fuzz(next(t for t in run.targets() if t.name == target), clang, SECONDS, seed=1)
    if result.reason.startswith("no pymavlink"):
        pytest.skip(result.reason)
    assert (result.reason, result.findings) == ("", ())
    assert result.runs > 100
