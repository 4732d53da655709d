"""Several large files are read together, by several threads, and refused as if they had been read in turn."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from edgeguard.admission import large, reading, store
from edgeguard.admission.bundle import Content
from edgeguard.admission.large import CHUNK
from edgeguard.admission.memory import blank_bytes
from edgeguard.admission.reading import BESIDE, Reader
from edgeguard.errors import AdmissionError

NAMES = [f"shard{i}" for i in range(8)]
Preadv = Callable[[int, Sequence[memoryview], int], int]


@pytest.fixture(params=[1, 2, 5, 16])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    number = int(request.param)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(number)))
    return number


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    threads, files = threading.active_count(), _open_files()
    yield
    assert threading.active_count() == threads
    assert _open_files() == files


def _open_files() -> list[Path]:
    return sorted(Path("/proc/self/fd").iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, name in enumerate(NAMES):
        (tmp_path / name).write_bytes(random.Random(i).randbytes(BESIDE + i * 1000))
    return tmp_path


def _read(folder: Path, names: Sequence[str] = NAMES) -> dict[str, Content]:
    with store.open_folder(str(folder)) as descriptor:
        return store.read_files(descriptor, str(folder), names)


def _refused(folder: Path) -> tuple[str, str]:
    with pytest.raises(AdmissionError) as caught:
        _read(folder)
    return caught.value.reason, Path(caught.value.path).name


def _before_reading(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    """Change something when all files were opened and nothing was read."""
    real = large.read_all

    def changed(files: Sequence[large.LargeFile]) -> None:
        change()
        real(files)

    monkeypatch.setattr(reading, "read_all", changed)


def _when_reading(monkeypatch: pytest.MonkeyPatch, path: Path, at: int, then: Callable[[], None]) -> None:
    """Do something when a piece of one file is about to be read, by whichever thread."""
    real: Preadv = os.preadv
    inode = path.stat().st_ino

    def read(file: int, parts: Sequence[memoryview], place: int) -> int:
        if place == at and os.fstat(file).st_ino == inode:
            then()
        return real(file, parts, place)

    monkeypatch.setattr(os, "preadv", read)


def _fails(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.usefixtures("cores")
def test_eight_large_files_and_small_ones_between_are_each_what_they_are(folder: Path) -> None:
    (folder / "shard2a").write_bytes(b"small")
    (folder / "shard5").write_bytes(random.Random(9).randbytes(7 * BESIDE + 3))
    names = sorted([*NAMES, "shard2a"])
    found = _read(folder, names)
    assert list(found) == names
    assert found == {name: Content.of((folder / name).read_bytes()) for name in names}


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("by", [-1, 1])
def test_the_third_of_eight_changes_its_size(by: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (folder / "shard2").stat().st_size
    _before_reading(monkeypatch, lambda: os.truncate(folder / "shard2", size + by))
    assert _refused(folder) == ("unreadable", "shard2")


@pytest.mark.usefixtures("cores")
def test_the_third_of_eight_is_cut_while_it_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _when_reading(monkeypatch, folder / "shard2", CHUNK, lambda: os.truncate(folder / "shard2", CHUNK))
    assert _refused(folder) == ("unreadable", "shard2")


@pytest.mark.usefixtures("cores")
def test_the_third_of_eight_vanishes_before_it_is_opened(folder: Path) -> None:
    (folder / "shard2").unlink()
    assert _refused(folder) == ("file-missing", "shard2")


@pytest.mark.usefixtures("cores")
def test_a_file_that_vanishes_after_it_was_opened_is_still_the_one_that_was_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (folder / "shard2").read_bytes()
    _before_reading(monkeypatch, (folder / "shard2").unlink)
    assert _read(folder)["shard2"] == Content.of(data)


@pytest.mark.usefixtures("cores")
def test_of_several_refusals_the_first_by_name_counts_whichever_comes_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing file is found at once, a shorter one when it is read: as if they had been read in turn."""

    def change() -> None:
        for name in ("shard6", "shard3"):
            os.truncate(folder / name, BESIDE - 1)

    (folder / "shard7").unlink()
    _before_reading(monkeypatch, change)
    assert _refused(folder) == ("unreadable", "shard3")


@pytest.mark.usefixtures("cores")
def test_a_file_that_is_missing_counts_before_later_ones_that_cannot_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "shard1").unlink()
    _when_reading(monkeypatch, folder / "shard4", 0, _fails(OSError(5, "Input/output error")))
    assert _refused(folder) == ("file-missing", "shard1")


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("at", [0, CHUNK, 4 * CHUNK])
def test_an_error_of_the_disk_in_any_piece_is_a_refusal(
    at: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _when_reading(monkeypatch, folder / "shard2", at, _fails(OSError(5, "Input/output error")))
    assert _refused(folder) == ("unreadable", "shard2")


@pytest.mark.usefixtures("cores")
def test_a_file_for_which_there_is_no_room_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = blank_bytes

    def full(size: int) -> tuple[bytes, memoryview]:
        if size == BESIDE + 2000:
            raise MemoryError
        return real(size)

    monkeypatch.setattr(large, "blank_bytes", full)
    assert _refused(folder) == ("too-large", "shard2")


@pytest.mark.usefixtures("cores")
def test_an_error_that_nobody_expects_is_raised(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _when_reading(monkeypatch, folder / "shard2", CHUNK, _fails(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        _read(folder)


@pytest.mark.usefixtures("cores")
def test_an_interrupt_ends_all_threads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this thread happens to get nothing to read, it is interrupted while it waits for the others."""
    preadv, join = os.preadv, threading.Thread.join
    left = [KeyboardInterrupt()]

    def interrupted() -> None:
        if threading.current_thread() is threading.main_thread() and left:
            raise left.pop()

    def read(file: int, parts: Sequence[memoryview], at: int) -> int:
        interrupted()
        return preadv(file, parts, at)

    def wait(self: threading.Thread) -> None:
        interrupted()
        join(self)

    monkeypatch.setattr(os, "preadv", read)
    monkeypatch.setattr(threading.Thread, "join", wait)
    with pytest.raises(KeyboardInterrupt):
        _read(folder)


def test_an_interrupt_while_files_are_opened_reads_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    monkeypatch.setattr(os, "preadv", lambda *_: read.append(1))
    with pytest.raises(KeyboardInterrupt), (folder / "shard0").open("rb") as file, Reader(1 << 30) as reader:
        reader.read(file.fileno(), "shard0")
        raise KeyboardInterrupt
    assert read == []


@pytest.mark.parametrize("batch", [1, 3, 8, 9])
def test_only_so_many_files_are_open_at_once(
    batch: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = large.read_all
    sizes: list[int] = []

    def count(files: Sequence[large.LargeFile]) -> None:
        sizes.append(len(files))
        real(files)

    monkeypatch.setattr(reading, "_MOST_OPEN", batch)
    monkeypatch.setattr(reading, "read_all", count)
    assert _read(folder) == {name: Content.of((folder / name).read_bytes()) for name in NAMES}
    assert (max(sizes), sum(sizes)) == (min(batch, 8), 8)


def test_a_refusal_of_an_earlier_batch_ends_the_reading(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MOST_OPEN", 3)
    _before_reading(monkeypatch, lambda: os.truncate(folder / "shard1", BESIDE))
    (folder / "shard4").unlink()
    assert _refused(folder) == ("unreadable", "shard1")


def test_all_files_together_are_bounded_by_their_sizes_before_anything_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_BUNDLE_BYTES", 6 * BESIDE)
    assert _refused(folder) == ("too-large", "shard5")


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_the_limit_of_threads_only_makes_it_slower(
    allowed: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = threading.Thread.start
    started: list[threading.Thread] = []

    def limited(self: threading.Thread) -> None:
        if len(started) >= allowed:
            raise RuntimeError("can't start new thread")
        started.append(self)
        real(self)

    monkeypatch.setattr(threading.Thread, "start", limited)
    assert _read(folder) == {name: Content.of((folder / name).read_bytes()) for name in NAMES}


def test_no_more_threads_than_cores_are_started(
    cores: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, started = threading.Thread.start, []

    def counted(self: threading.Thread) -> None:
        started.append(self)
        real(self)

    monkeypatch.setattr(threading.Thread, "start", counted)
    _read(folder)
    assert len(started) == cores - 1
    started.clear()
    _read(folder, NAMES[:1])
    assert len(started) == min(cores - 1, 1)


def test_every_piece_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    data = random.Random(1).randbytes(24 * CHUNK)
    (tmp_path / "one").write_bytes(data)
    real: Preadv = os.preadv
    places: list[int] = []

    def read(file: int, parts: Sequence[memoryview], at: int) -> int:
        places.append(at)
        return real(file, parts, at)

    monkeypatch.setattr(os, "preadv", read)
    assert _read(tmp_path, ["one"])["one"] == Content.of(data)
    assert sorted(places) == [i * CHUNK for i in range(24)]
