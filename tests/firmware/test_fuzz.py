"""Inputs that fuzzing once stopped at, defects that its claims must notice, and a few seconds of fuzzing itself.

`make fuzz-firmware` is the campaign. An input in tests/hostile/link/ is named `NAME.TARGET`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from firmware_stubs.verify.fuzz import prepare, run

HOSTILE = Path(__file__).parents[1] / "hostile" / "link"
FOLDERS = (f"-I{run.FIRMWARE / 'core'}", f"-I{run.FIRMWARE / 'link'}", f"-I{run.HERE}")
OPTIONS = ("-std=gnu11", "-O1", "-w", "-fsanitize=undefined", "-fno-sanitize-recover=all")
CC = os.environ.get("CC", "cc").split()
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


class Replay:
    """The targets as ordinary programs, with one source changed at will."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        prepare.write_table(folder)
        self.objects: dict[str, Path] = {}
        self.count = 0

    def build(self, target: str, changed: dict[str, str] | None = None) -> Path:
        found = next(t for t in run.targets() if t.name == target)
        self.count += 1
        program = self.folder / f"{target}-{self.count}"
        sources = [*(str(run.HERE / name) for name in (*found.own, "replay.c"))]
        sources += [str(run.FIRMWARE / name) for name in found.firmware]
        objects = [str(self._object(Path(source), changed or {})) for source in sources]
        subprocess.run([*CC, *OPTIONS, *objects, "-o", str(program)], check=True)
        return program

    def _object(self, source: Path, changed: dict[str, str]) -> Path:
        text = changed.get(str(source))
        made = self.folder / f"{source.stem}{'' if text is None else f'-{self.count}'}.o"
        if text is not None or not made.exists():
            command = [*CC, *OPTIONS, f"-I{self.folder}", *FOLDERS, "-x", "c", "-", "-c", "-o", str(made)]
            subprocess.run(command, input=(text or source.read_text()).encode(), check=True)
        return made


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    return Replay(tmp_path_factory.mktemp("replay"))


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    for target in ("framing", "session"):
        prepare.write_seeds(target, folder / target)
    return folder


def passes(program: Path, files: list[Path]) -> bool:
    done = subprocess.run([str(program), *map(str, files)], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("target", ["framing", "session"])
def test_every_input_that_fuzzing_once_stopped_at_and_every_seed_holds(
    replay: Replay, seeds: Path, target: str
) -> None:
    files = [*sorted(HOSTILE.glob(f"*.{target}")), *sorted((seeds / target).iterdir())]
    assert len(files) > 10
    assert passes(replay.build(target), files)


def test_hostile_inputs_are_named_after_a_target() -> None:
    known = {f".{target.name}" for target in run.targets()}
    assert {path.suffix for path in HOSTILE.iterdir()} <= known


@pytest.mark.parametrize(("name", "old", "new"), DEFECTS)
def test_defect_is_noticed_from_the_seeds_alone(
    replay: Replay, seeds: Path, name: str, old: str, new: str
) -> None:
    source = run.FIRMWARE / name
    text = source.read_text()
    assert text.count(old) >= 1, "the defect's place has changed: write it anew"
    target = "framing" if name.endswith("eg_wire.c") else "session"
    program = replay.build(target, {str(source): text.replace(old, new)})
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
