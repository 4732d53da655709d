"""A worker that runs attacker's code costs authority and never gains any. At length: `python -m bench.injections`.

EDGEGUARD_INJECTIONS: how often each attack is made here (default 3; attacks that end the worker cost a restart each).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench import hostile, injections, rig
from edgeguard.types import Authority, Mode

if TYPE_CHECKING:
    from edgeguard.types import Image

COUNT = int(os.environ.get("EDGEGUARD_INJECTIONS", "3"))
MISSING = not (rig.ROOT / "models" / "signs" / "primary" / "model.onnx").is_file()

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(MISSING, reason="the sign models are not exported; `make models` makes them"),
]

FATAL = ("stale", "wrong digest", "exits", "writes into the pictures")
"""Of what costs the worker its life, and so a restart: the rest differ from these, to the host, only by a field."""
ALIKE = frozenset(
    {
        "wrong size",
        "huge size",
        "looks that nobody asked for",
        "answer to another question",
        "from the future",
    }
    | {"writes behind its memory"}
)
SURVIVED = tuple(
    kind for kind in injections.KINDS if kind not in ALIKE.union(FATAL, injections.SLOW, [injections.KILLED])
)
OF_THE_REDUNDANT = ("nan", "hung", "replayed", "wrong digest")


@pytest.fixture(scope="module")
def images() -> tuple[Image, ...]:
    return injections.steady_pictures()


def test_attacks_that_the_worker_survives_never_give_the_model_authority(images: tuple[Image, ...]) -> None:
    tallies = list(injections.run(SURVIVED, COUNT, images=images))
    assert [tally.kind for tally in tallies] == list(SURVIVED)
    for tally in tallies:
        sound(tally, COUNT)


@pytest.mark.parametrize("kinds", [FATAL, (injections.KILLED,)], ids=["by itself", "killed"])
def test_attacks_that_end_the_worker_never_give_the_model_authority(
    kinds: tuple[str, ...], images: tuple[Image, ...]
) -> None:
    count = max(1, COUNT // 3)
    for tally in injections.run(kinds, count, images=images):
        sound(tally, count)
        assert tally.restarts == count


def test_attacks_by_the_redundant_model_are_no_better(images: tuple[Image, ...]) -> None:
    count = max(1, COUNT // 3)
    for tally in injections.run(OF_THE_REDUNDANT, count, worker="second", images=images):
        sound(tally, count)


def sound(tally: injections.Tally, count: int) -> None:
    assert tally.injections == tally.recovered == count
    assert tally.breaches == 0
    assert tally.closed + tally.honest == count


@pytest.mark.parametrize(
    ("then", "mode"), [("lockout", Mode.LOCKOUT), ("stay_down", Mode.NOMINAL)], ids=["lockout", "stay_down"]
)
def test_used_up_restarts_end_as_the_policy_says(
    then: str, mode: Mode, images: tuple[Image, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(injections, "_RECOVER_WITHIN", 4.0)
    authorities, last = injections.until_lockout(injections.KILLED, then=then, most=1, images=images)
    assert Authority.MODEL not in authorities
    assert (last is Mode.LOCKOUT) == (mode is Mode.LOCKOUT)


def test_every_attack_is_in_the_table() -> None:
    assert len(set(injections.KINDS)) == len(injections.KINDS) >= 30
    assert set(hostile.KINDS) < set(injections.KINDS)


def test_the_command_writes_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert injections.main(["--kinds", "nan", "--count", "2", "--out", str(tmp_path)]) == 0
    assert "| nan | eyes | 2 | 2 | 0 | 0 | 2 | 0 |" in capsys.readouterr().out
    assert "| nan | eyes | 2 | 2 |" in (tmp_path / "injections.md").read_text()
    assert '"breaches": 0' in (tmp_path / "injections.json").read_text()
