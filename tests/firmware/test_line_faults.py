"""A slice of `make line-faults`, and proof that it would see firmware that takes what it must not."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator

import pytest

from edgeguard.link import wire
from edgeguard.program import Program
from hil import firmware
from hil.line_faults import FAULTS, Line, campaign, sampled

TRIES = 80


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_forged_replayed_or_stale_is_accepted(program: Program, name: str) -> None:
    outcome = campaign(program, name, TRIES, seed=5)
    assert outcome.wrong == []
    assert outcome.recovered >= outcome.tries


def test_a_torn_frame_made_whole_by_what_came_before_it_is_rightly_accepted(program: Program) -> None:
    """Seen once in 30,000 tries: the byte that was lost is the one that the line held already."""
    line = Line(program, random.Random(1))
    line.deliver(bytes((wire.START,)))
    line.deliver(line.command()[1:])
    assert (line.outcome.accepted, line.outcome.wrong) == (1, [])


def test_a_line_of_the_right_speed_is_heard_as_it_is() -> None:
    data = bytes(range(256))
    assert sampled(data, 1.0) == data
    assert sampled(data, 1.02) == data
    assert sampled(data, 0.5) != data


BROKEN = (
    ("if (counter <= d->heard[key]) {", "if (false) {"),
    (".age_ms = (uint32_t)(now_us / 1000u) - (uint32_t)eg_load(&payload[12], 4u),", ".age_ms = 0u,"),
    ("|| !eg_equal(&payload[0], d->session, 8u)", ""),
    ("silent_for(state, table->lost_us, now_us)", "silent_for(state, 400000u, now_us)"),
)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The firmware without its counter, age and session checks, and with a deadline that is too long."""
    folder = tmp_path_factory.mktemp("broken")
    shutil.copytree(firmware.SOURCES, folder / "firmware_stubs")
    for check, instead in BROKEN:
        files = (folder / "firmware_stubs").glob("*/eg_*.c")
        [file] = [path for path in files if check in path.read_text(encoding="utf-8")]
        file.write_text(file.read_text(encoding="utf-8").replace(check, instead), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(firmware, "SOURCES", folder / "firmware_stubs")
        patch.setattr(firmware, "CACHE", folder / "out")
        yield


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("name", ["duplicate", "reorder", "replay", "delay", "forge", "silence"])
def test_firmware_with_its_checks_taken_out_is_caught(program: Program, name: str) -> None:
    assert campaign(program, name, TRIES, seed=5).wrong
