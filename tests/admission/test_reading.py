"""The one-pass reader gives the bytes of a regular file with the digest of these very bytes, or a refusal."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edgeguard.admission import large, store
from edgeguard.admission.bundle import Content
from edgeguard.admission.large import CHUNK
from edgeguard.admission.memory import blank_bytes
from edgeguard.admission.reading import BESIDE, Reader
from edgeguard.errors import AdmissionError

LIMIT = 256 * 1024**2


def _noise(size: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size)


def _write(folder: Path, *contents: bytes) -> list[Path]:
    paths = [folder / f"{i}.bin" for i in range(len(contents))]
    for path, content in zip(paths, contents):
        path.write_bytes(content)
    return paths


def _read(*paths: Path, limit: int = LIMIT) -> list[Content]:
    files = [os.open(path, os.O_RDONLY) for path in paths]
    try:
        with Reader(limit) as reader:
            contents = [reader.read(file, str(path)) for file, path in zip(files, paths)]
        return [content() for content in contents]
    finally:
        for file in files:
            os.close(file)


def _refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(AdmissionError) as caught:
        call()
    return caught.value.reason, str(caught.value)


EDGES = (0, 1, 2, CHUNK - 1, CHUNK, BESIDE - 1, BESIDE, BESIDE + 1, BESIDE + CHUNK - 1, BESIDE + CHUNK)


@pytest.mark.parametrize("size", EDGES)
def test_what_is_read_is_the_file_and_its_digest(size: int, tmp_path: Path) -> None:
    data = _noise(size)
    (content,) = _read(*_write(tmp_path, data))
    assert type(content.data) is bytes
    assert content.data == data
    assert content.digest == hashlib.sha256(data).hexdigest()


def test_bytes_that_were_filled_in_place_are_bytes_like_any_other(tmp_path: Path) -> None:
    data = _noise(BESIDE)
    (content,) = _read(*_write(tmp_path, data))
    assert {content.data: 1}[data] == 1
    assert content.data[-1:] == data[-1:]
    assert content.data + b"x" == data + b"x"


@pytest.mark.parametrize("size", [BESIDE - 1, BESIDE + CHUNK])
def test_short_reads_are_put_together(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv, read = os.preadv, os.read
    monkeypatch.setattr(os, "preadv", lambda file, to, at: preadv(file, [to[0][: CHUNK // 3 + 1]], at))
    monkeypatch.setattr(os, "read", lambda file, size: read(file, min(size, CHUNK // 3 + 1)))
    data = _noise(size)
    (content,) = _read(*_write(tmp_path, data))
    assert content == Content.of(data)


@pytest.mark.parametrize("cores", [1, 2, 8])
def test_many_files_each_have_their_own_digest_on_any_number_of_cores(
    cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    contents = [
        _noise(size, seed) for seed, size in enumerate((BESIDE, 10, BESIDE + 5, BESIDE, 0, BESIDE + CHUNK))
    ]
    assert _read(*_write(tmp_path, *contents)) == [Content.of(data) for data in contents]


def test_no_thread_stays_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    _read(*_write(tmp_path, *[_noise(BESIDE)] * 3))
    with pytest.raises(AdmissionError):
        _read(*_write(tmp_path, _noise(BESIDE), _noise(BESIDE)), limit=BESIDE + 1)
    assert threading.active_count() == before


def test_small_files_start_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    assert _read(*_write(tmp_path, *[b"small"] * 9)) == [Content.of(b"small")] * 9


@pytest.mark.parametrize("size", [10, BESIDE])
def test_all_files_together_are_bounded_before_anything_is_allocated(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = _write(tmp_path, bytes(size), bytes(size))
    assert len(_read(*paths, limit=2 * size)) == 2
    real = blank_bytes
    allocated: list[int] = []

    def count(size: int) -> tuple[bytes, memoryview]:
        allocated.append(size)
        return real(size)

    monkeypatch.setattr(large, "blank_bytes", count)
    assert _refused(lambda: _read(*paths, limit=2 * size - 1))[0] == "too-large"
    assert len(allocated) <= 1


def test_a_sparse_file_is_refused_for_its_size_alone(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(LIMIT + 1)
    assert _refused(lambda: _read(tmp_path / "huge"))[0] == "too-large"


def test_a_file_that_does_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> tuple[bytes, memoryview]:
        raise MemoryError

    monkeypatch.setattr(large, "blank_bytes", full)
    assert _refused(lambda: _read(*_write(tmp_path, bytes(BESIDE))))[0] == "too-large"


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "."])
def test_what_is_no_regular_file_is_refused(path: str) -> None:
    assert _refused(lambda: _read(Path(path)))[0] == "not-a-file"


@pytest.mark.parametrize("size", [100, BESIDE + CHUNK])
@pytest.mark.parametrize(("by", "how"), [(-1, "shrinks"), (1, "grows")])
def test_a_file_that_changes_its_size_while_it_is_read_is_refused(
    size: int, by: int, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = _write(tmp_path, bytes(size))
    real = os.fstat

    def then_change(file: int) -> os.stat_result:
        status = real(file)
        os.truncate(path, size + by)
        return status

    monkeypatch.setattr(os, "fstat", then_change)
    reason, said = _refused(lambda: _read(path))
    assert (reason, how in said) == ("unreadable", True)


def test_a_file_that_says_it_is_empty_but_is_not_is_refused() -> None:
    assert _refused(lambda: _read(Path("/proc/self/status")))[0] == "unreadable"


@pytest.mark.parametrize("allowed", [0, 1])
def test_with_fewer_threads_than_cores_everything_is_read_all_the_same(
    allowed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
    real = threading.Thread.start
    started: list[str] = []

    def limited(self: threading.Thread) -> None:
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(self.name)
        real(self)

    monkeypatch.setattr(threading.Thread, "start", limited)
    contents = [_noise(BESIDE, seed) for seed in range(3)]
    assert _read(*_write(tmp_path, *contents)) == [Content.of(data) for data in contents]
    assert len(started) == allowed


def test_an_error_in_the_middle_of_a_file_is_a_refusal_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").write_bytes(bytes(BESIDE + 3 * CHUNK))
    real = os.preadv

    def fail_late(file: int, parts: Sequence[memoryview], at: int) -> int:
        if at == 4 * CHUNK:
            raise OSError(5, os.strerror(5))
        return real(file, parts, at)

    monkeypatch.setattr(os, "preadv", fail_late)
    before = threading.active_count()
    with store.open_folder(str(tmp_path)) as folder:
        reason, _ = _refused(lambda: store.read_file(folder, str(tmp_path), "model", LIMIT))
    assert (reason, threading.active_count()) == ("unreadable", before)


def test_memory_is_the_file_and_little_more(tmp_path: Path) -> None:
    """The peak of a fresh process: what it held before, and at most a fifth more than the bytes."""
    size = 128 * 1024**2
    with (tmp_path / "model").open("wb") as file:
        file.truncate(size)
    script = (
        "import sys\n"
        "from edgeguard.admission import store\n"
        "used = lambda: int(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0]) * 1024\n"
        "with store.open_folder(sys.argv[1]) as folder:\n"
        "    before = used()\n"
        "    content = store.read_file(folder, sys.argv[1], 'model', 2**31)\n"
        "print(len(content.data), used() - before)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True
    )
    read, peak = map(int, out.stdout.split())
    assert read == size
    assert 0.9 * size < peak <= 1.2 * size
