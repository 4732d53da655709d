"""Power cuts and failing calls: afterwards the floor opens, is never lower than what was acknowledged, and goes on.

The cuts are played on a model of a disk that loses every unsynced byte and name; each cut is followed by a second one.
"""

from __future__ import annotations

import copy
import fcntl
import itertools
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edgeguard import disk
from edgeguard.admission.reasons import refusal
from edgeguard.device import files
from edgeguard.device.floor_file import FileFloor
from edgeguard.device.floors import create_floor, open_floor
from edgeguard.errors import AdmissionError, UsageError
from tests.device.doubles import Disk, FailOnce, MemoryTpm, Watched, write_folder

Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: Patch) -> None:
    """What a disk does with its waits is modelled here; the real one need not be waited for."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture(params=["file", "tpm"])
def chip(request: pytest.FixtureRequest) -> MemoryTpm | None:
    return MemoryTpm() if request.param == "tpm" else None


def begun(state: Path, chip: MemoryTpm | None) -> FileFloor:
    floor = create_floor(state, chip)
    floor.raise_to({"primary": 3}, 30.0)
    return floor


def watch(patch: Patch, calls: Watched) -> None:
    """From now on, everything that is asked of the operating system for a floor goes through `calls`."""
    patch.setattr(files, "os", calls)
    patch.setattr(disk, "os", calls)


def failing(fail: FailOnce, chip: MemoryTpm | None, patch: Patch) -> None:
    """From now on, one call fails: of the operating system, or of the TPM before or after it did what it was asked."""
    watch(patch, Watched(lambda name, _: fail(name), lambda *_: None))
    lock = fcntl.flock

    def flock(file: int, how: int) -> None:
        fail("flock")
        lock(file, how)

    patch.setattr(fcntl, "flock", flock)
    if chip is not None:
        chip.calls = fail.tpm


def working(chip: MemoryTpm | None, patch: Patch) -> None:
    patch.undo()
    if chip is not None:
        chip.calls = lambda _: None


def every_call(fail: FailOnce) -> bool:
    """Whether the call that was to fail was made at all; if not, there are no more."""
    return len(fail.seen) > fail.n


def test_whatever_call_fails_in_a_raise_the_floor_is_old_or_new_and_can_be_raised(
    tmp_path: Path, chip: MemoryTpm | None
) -> None:
    seen: list[str] = []
    for n in itertools.count():
        state, fail = tmp_path / str(n), FailOnce(n)
        if chip is not None:
            chip.counters.clear()
        floor = begun(state, chip)
        with pytest.MonkeyPatch.context() as patch:
            failing(fail, chip, patch)
            refused = refused_as(partial(floor.raise_to, {"primary": 4}, 40.0), "floor-damaged")
            working(chip, patch)
        acknowledged = 3 if refused else 4
        assert acknowledged == 3 or n >= len(fail.seen) or fail.seen[n] in ("unlink", "close")
        found = open_floor(state, tpm=chip).at("primary")
        assert acknowledged <= found <= 4
        floor.raise_to({"primary": 5})  # the one that failed goes on
        assert (open_floor(state, tpm=chip).at("primary"), floor.at("primary")) == (5, 5)
        if not every_call(fail):
            break
        seen.append(fail.seen[n])
    assert {"open", "flock", "write", "fsync", "rename", "unlink", "close", "read", "fstat"} <= set(seen)
    assert chip is None or {"read", "increment", "incremented"} <= set(seen)


def test_whatever_call_fails_in_opening_the_floor_is_refused_and_not_changed(
    tmp_path: Path, chip: MemoryTpm | None
) -> None:
    state = tmp_path / "state"
    begun(state, chip)
    before = (state / "floor").read_bytes()
    for n in itertools.count():
        fail = FailOnce(n)
        with pytest.MonkeyPatch.context() as patch:
            failing(fail, chip, patch)
            if every_call_is_made(fail, lambda: open_floor(state, tpm=chip)):
                break
            working(chip, patch)
        assert (state / "floor").read_bytes() == before
        assert open_floor(state, tpm=chip).at("primary") == 3


def every_call_is_made(fail: FailOnce, call: Callable[[], object]) -> bool:
    refused_as(call, "floor-damaged")
    return not every_call(fail)


def refused_as(call: Callable[[], object], *reasons: str) -> bool:
    """Whether a call is refused; then for one of these reasons and no other."""
    try:
        call()
    except AdmissionError as error:
        reason = error.reason
    else:
        return False
    assert reason in reasons
    return True


def test_whatever_call_fails_in_making_a_floor_it_is_refused_and_half_of_one_never_opens(
    tmp_path: Path, chip: MemoryTpm | None
) -> None:
    for n in itertools.count():
        state, fail = tmp_path / str(n), FailOnce(n)
        if chip is not None:
            chip.counters.clear()
        with pytest.MonkeyPatch.context() as patch:
            failing(fail, chip, patch)
            try:
                create_floor(state, chip)
                made = True
            except (UsageError, AdmissionError):
                made = False
            working(chip, patch)
        whole = not refused_as(partial(open_floor, state, tpm=chip), "floor-missing", "floor-damaged")
        assert whole >= made
        if not every_call(fail):
            break


def test_a_disk_that_takes_a_byte_at_a_time_gets_the_whole_floor(state: Path, monkeypatch: Patch) -> None:
    floor = create_floor(state)
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, bytes(data[:1])))
    floor.raise_to({"primary": 4})
    assert open_floor(state).at("primary") == 4


class Story:
    """A floor on the modelled disk: raised some times, while everything that it does is written down."""

    def __init__(self, folder: Path, chip: MemoryTpm | None, patch: Patch) -> None:
        self.folder = folder
        self.chip = chip
        self.disk = Disk.of(folder)
        self.counters = {-1: copy.deepcopy(chip.counters)} if chip is not None else {}
        self.calls = self.disk.watched()
        watch(patch, self.calls)
        if chip is not None:
            chip.calls = self._heard

    def _heard(self, name: str) -> None:
        if name == "incremented" and self.chip is not None:
            self.counters[len(self.disk.log)] = copy.deepcopy(self.chip.counters)
            self.disk.note("incremented")

    def tell(self, floor: FileFloor, versions: list[int]) -> None:
        for version in versions:
            self.disk.note("asked", version)
            floor.raise_to({"primary": version})
            self.disk.note("acknowledged", version)

    def cuts(self, lowest: int) -> list[tuple[dict[str, bytes], Any, int, int]]:
        """Every folder after every cut, the TPM's counters then, and between what the floor must be."""
        found = []
        for cut in range(len(self.disk.log) + 1):
            done = self.disk.log[:cut]
            low = max([entry[1] for entry in done if entry[0] == "acknowledged"], default=lowest)
            high = max([entry[1] for entry in done if entry[0] == "asked"], default=lowest)
            counters = next((c for at, c in sorted(self.counters.items(), reverse=True) if at < cut), None)
            found += [(names, counters, low, high) for names in self.disk.after(cut)]
        return found


def test_a_power_cut_at_any_point_and_another_one_after_it_lose_nothing_acknowledged(
    tmp_path: Path, chip: MemoryTpm | None
) -> None:
    folders = (tmp_path / str(i) for i in itertools.count())
    first = next(folders)
    begun(first, chip)
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, Watched(lambda *_: None, lambda *_: None, sync=False))
        floor = open_floor(first, tpm=chip)
        story = Story(first, chip, patch)
        story.tell(floor, [4, 5])
        working(chip, patch)
    once = story.cuts(3)
    twice = 0
    for names, counters, low, high in once:
        second = write_folder(next(folders), names)
        with pytest.MonkeyPatch.context() as patch:
            if chip is not None:
                chip.counters = copy.deepcopy(counters)
            again = Story(second, chip, patch)  # a cut can come while the last one is repaired, too
            floor = open_floor(second, tpm=chip)
            assert low <= floor.at("primary") <= high
            assert floor.time == 30.0
            held = floor.at("primary")
            again.tell(floor, [9])
            assert open_floor(second, tpm=chip).at("primary") == 9
            working(chip, patch)
        for names_2, counters_2, low_2, high_2 in again.cuts(held):
            twice += 1
            third = write_folder(next(folders), names_2)
            with pytest.MonkeyPatch.context() as patch:
                if chip is not None:
                    chip.counters = copy.deepcopy(counters_2)
                watch(patch, Watched(lambda *_: None, lambda *_: None, sync=False))
                assert low_2 <= open_floor(third, tpm=chip).at("primary") <= high_2
    assert (len(once), twice) == ((33, 701) if chip is None else (63, 2278))


def test_the_model_of_the_disk_finds_a_floor_that_is_not_synced(tmp_path: Path, monkeypatch: Patch) -> None:
    """The model itself is tested: without the wait for the data, some cut must leave no floor."""
    begun(tmp_path / "state", None)
    floor = open_floor(tmp_path / "state")
    with pytest.MonkeyPatch.context() as patch:
        story = Story(tmp_path / "state", None, patch)
        story.calls.fsync = lambda _: None
        story.tell(floor, [4])
    after = story.disk.after(len(story.disk.log))
    damaged = 0
    for i, names in enumerate(after):
        try:
            open_floor(write_folder(tmp_path / str(i), names))
        except AdmissionError:
            damaged += 1
    assert damaged > 0


def test_a_raise_that_failed_at_its_last_wait_is_acknowledged_only_when_the_disk_has_it(
    tmp_path: Path, chip: MemoryTpm | None
) -> None:
    """The file is in its place and the disk may still lose it: asking again must not answer from what is seen there."""
    begun(tmp_path / "state", chip)
    floor = open_floor(tmp_path / "state", tpm=chip)
    with pytest.MonkeyPatch.context() as patch:
        story = Story(tmp_path / "state", chip, patch)
        waits = story.calls.fsync
        fail = FailOnce(
            2 if chip is None else 4
        )  # settle, the content, the name; with a TPM, the last two twice
        patch.setattr(story.calls, "fsync", lambda file: _wait(fail, waits, file))
        assert refused_as(lambda: floor.raise_to({"primary": 4}), "floor-damaged")
        floor.raise_to({"primary": 4})
        working(chip, patch)
    for i, names in enumerate(story.disk.after(len(story.disk.log))):
        assert open_floor(write_folder(tmp_path / str(i), names), tpm=chip).at("primary") == 4


def _wait(fail: FailOnce, waits: Callable[[int], object], file: int) -> None:
    fail("fsync")
    waits(file)


def test_no_file_of_a_raise_that_failed_counts_after_the_next_one(tmp_path: Path) -> None:
    """Whoever copied what a failed raise left behind cannot put it in the place of what was acknowledged after it."""
    chip = MemoryTpm()
    for n in itertools.count():
        state, fail = tmp_path / str(n), FailOnce(n)
        chip.counters.clear()
        floor = begun(state, chip)
        copies: set[bytes] = set()

        def take(*_: object, state: Path = state, copies: set[bytes] = copies, fail: FailOnce = fail) -> None:
            copies.update(p.read_bytes() for p in state.iterdir() if p.name != "floor.key")

        with pytest.MonkeyPatch.context() as patch:
            failing(fail, chip, patch)
            watch(patch, Watched(lambda name, _, fail=fail: fail(name), take))
            try:
                floor.raise_to({"redundant": 8})
            except AdmissionError:
                pass
            finally:
                take()
            working(chip, patch)
        open_floor(state, tpm=chip).raise_to({"primary": 5})
        right = (state / "floor").read_bytes()
        for data in copies - {right}:
            (state / "floor").write_bytes(data)
            with pytest.raises(AdmissionError, match="floor-damaged"):
                open_floor(state, tpm=chip)
        if not every_call(fail):
            break
    assert n > 30


def test_a_refusal_that_has_its_own_name_keeps_it() -> None:
    from edgeguard.device.floor_file import as_floor

    with pytest.raises(AdmissionError, match="why: floor-missing: so"), as_floor(Path("state")):
        raise refusal("floor-missing", "why", "so")
