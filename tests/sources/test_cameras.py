"""A camera as a source: only the newest picture, once, with its time; lost, hung and lying drivers show as trouble."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from edgeguard.errors import SourceError
from edgeguard.sources import CameraSource, open_source
from edgeguard.sources.camera import MOST_STUCK, PATIENCE
from edgeguard.sources.hand import FIRST_RETRY, SLOWEST_RETRY, Backoff
from edgeguard.sources.opencv import OpenCvDevice
from edgeguard.types import Frame


class Clock:
    def __init__(self, t: float = 42.0) -> None:
        self.t = t

    def __call__(self) -> float:
        return self.t


@contextmanager
def opened(spec: str = "camera:0", clock: Callable[[], float] | None = None) -> Iterator[CameraSource]:
    source = open_source(spec, clock=clock or Clock())
    assert isinstance(source, CameraSource)
    try:
        yield source
    finally:
        source.close()


def until(found: Callable[[], Any]) -> Any:
    """Wait for another thread; the limit only ends a test that has failed."""
    for _ in range(5000):
        value = found()
        if value:
            return value
        time.sleep(0.002)
    raise AssertionError("it never came")


def newest(source: CameraSource, now: float = 42.0) -> Frame:
    frame = until(lambda: source.poll(now))
    assert isinstance(frame, Frame)
    return frame


def test_a_camera_gives_only_the_newest_picture_with_its_time_of_capture(fake_cv2: Any) -> None:
    fake_cv2.script = [1, 2, 3]
    with opened() as source:
        assert fake_cv2.done.wait(5.0)
        frame = source.poll(50.0)
        assert frame is not None
        assert (frame.number, frame.at, int(frame.image[0, 0, 2])) == (2, 42.0, 3)
        assert source.poll(50.1) is None
    assert source.ended
    assert fake_cv2.released >= 1


def test_pictures_that_nobody_asked_for_in_time_are_counted(fake_cv2: Any) -> None:
    fake_cv2.script = [1, 2, 3]
    with opened() as source:
        assert fake_cv2.done.wait(5.0)
        newest(source)
        assert (source.taken, source.dropped) == (1, 2)
        fake_cv2.script += [4]
        newest(source)
        assert (source.taken, source.dropped) == (2, 2)


def test_a_closed_camera_gives_nothing_more(fake_cv2: Any) -> None:
    fake_cv2.script = [1]
    with opened() as source:
        assert fake_cv2.done.wait(5.0)
    assert source.poll(43.0) is None


def test_a_lost_camera_is_opened_again_and_meanwhile_says_so(fake_cv2: Any) -> None:
    fake_cv2.script = [1, None, None, None]
    fake_cv2.openings = [True, False, RuntimeError("no bus\nat all"), True]
    with opened() as source:
        assert int(newest(source).image[0, 0, 0]) == 1
        until(lambda: len(fake_cv2.opened) >= 4)
        assert source.poll(42.0) is None
        assert "the camera `camera:0`" in source.trouble
        fake_cv2.script += [7]
        frame = newest(source)
        assert (frame.number, int(frame.image[0, 0, 0]), source.trouble) == (1, 7, "")


def test_one_failed_read_is_no_reason_to_open_it_again(fake_cv2: Any) -> None:
    # It goes on giving pictures: a script that ends here would be failed reads again before the test has looked.
    fake_cv2.script = [None, None, *[5] * 10_000]
    with opened() as source:
        assert int(newest(source).image[0, 0, 0]) == 5
        assert len(fake_cv2.opened) == 1


@pytest.mark.parametrize(
    ("step", "trouble"),
    [
        (None, "the camera `camera:0` gives no picture"),
        (RuntimeError("select failed\nmore"), "the camera `camera:0` fails: select failed"),
        (ValueError(), "the camera `camera:0` fails: the driver gives no reason"),
        (np.zeros((4, 4, 3), np.float64), "the picture is not of 8 bits a colour"),
        (np.zeros((4, 4, 2), np.uint8), "the picture is neither grey nor red-green-blue"),
        (np.zeros((0, 0, 3), np.uint8), "the picture is not of 8 bits a colour"),
        ("not a picture", "the picture is not of 8 bits a colour"),
        (KeyError("x"), "fails"),
        (MemoryError(), "fails"),
    ],
)
def test_whatever_a_driver_does_wrong_is_trouble_and_never_raised(
    fake_cv2: Any, step: Any, trouble: str
) -> None:
    seen: set[str] = set()
    fake_cv2.script = [1]
    with opened() as source:
        newest(source)
        fake_cv2.script += [step] * 60

        def told() -> bool:
            assert source.poll(42.0) is None
            seen.add(source.trouble)
            return any(trouble in text for text in seen)

        until(told)
        fake_cv2.script += [9]
        assert int(newest(source).image[0, 0, 0]) == 9
        assert source.trouble == ""


def test_a_camera_may_change_its_size(fake_cv2: Any) -> None:
    fake_cv2.script = [np.zeros((4, 6, 3), np.uint8)]
    with opened() as source:
        assert newest(source).image.shape == (4, 6, 3)
        fake_cv2.script += [np.zeros((8, 2, 4), np.uint8)]
        assert newest(source).image.shape == (8, 2, 3)


def test_a_thread_that_hangs_shows_as_trouble_and_is_replaced(fake_cv2: Any) -> None:
    gate = threading.Event()
    fake_cv2.script = [1, gate]
    with opened() as source:
        newest(source)
        assert fake_cv2.hanging.acquire(timeout=5.0)
        assert source.poll(42.5) is None
        assert source.trouble == ""
        assert source.poll(44.0) is None
        assert source.trouble == "the camera `camera:0` has not answered for 2 s"
        assert source.replaced == 0
        fake_cv2.script += [7]
        assert source.poll(42.5 + PATIENCE) is None
        assert (source.replaced, len(source._stuck)) == (1, 1)
        frame = newest(source)
        assert (frame.number, int(frame.image[0, 0, 0])) == (1, 7)
        old = source._stuck[0].thread
        gate.set()  # what the hung thread brings at last is no frame any more
        old.join(5.0)
        assert not old.is_alive()
        assert source.poll(42.6) is None
        assert source.poll(42.6) is None


def test_only_so_many_threads_may_hang_at_once(fake_cv2: Any) -> None:
    gate, clock = threading.Event(), Clock()
    fake_cv2.script = [gate] * 10
    with opened(clock=clock) as source:
        for _ in range(MOST_STUCK):
            assert fake_cv2.hanging.acquire(timeout=5.0)
            clock.t += 2 * PATIENCE
            assert source.poll(clock.t) is None
        assert fake_cv2.hanging.acquire(timeout=5.0)
        clock.t += 2 * PATIENCE
        assert source.poll(clock.t) is None
        assert (source.replaced, len(source._stuck)) == (MOST_STUCK, MOST_STUCK)
        assert source.trouble.endswith(f"{MOST_STUCK} threads hang in its driver")
        fake_cv2.script[:] = [7]
        gate.set()
        clock.t += 2 * PATIENCE
        assert int(newest(source, clock.t).image[0, 0, 0]) in (7, 255)


ENDS = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@ENDS
def test_a_thread_that_the_driver_ends_is_replaced(fake_cv2: Any) -> None:
    fake_cv2.script = [SystemExit()]
    with opened() as source:
        until(lambda: source.poll(42.0) is None and source.replaced == 1)
        fake_cv2.script += [3]
        assert int(newest(source).image[0, 0, 0]) == 3


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("no thread")


@ENDS
def test_when_the_system_has_no_thread_left_it_is_trouble_and_tried_again(
    fake_cv2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_cv2.script = [SystemExit()]
    with opened() as source:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_thread)
            until(lambda: source.poll(42.0) is None and "no thread left" in source.trouble)
        fake_cv2.script += [3]
        assert int(newest(source).image[0, 0, 0]) == 3


def test_a_camera_that_hangs_at_the_opening_is_refused() -> None:
    gate = threading.Event()

    def hangs() -> Any:
        gate.wait()
        raise SourceError("too late")

    with pytest.raises(SourceError, match="`slow` does not answer within 0 s"):
        CameraSource(hangs, name="slow", patience=0.01)
    gate.set()


@pytest.mark.parametrize("how", [False, RuntimeError("broken"), OverflowError("index")])
def test_a_camera_that_cannot_be_opened_at_first_is_refused(fake_cv2: Any, how: Any) -> None:
    fake_cv2.openings = [how]
    with pytest.raises(SourceError, match="`camera:7`"):
        open_source("camera:7")


def test_closing_does_not_wait_for_a_driver_that_hangs(
    fake_cv2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    fake_cv2.script = [gate]
    source = open_source("camera")
    assert isinstance(source, CameraSource)
    assert fake_cv2.hanging.acquire(timeout=5.0)
    waits: list[float | None] = []
    monkeypatch.setattr(threading.Thread, "join", lambda _, timeout=None: waits.append(timeout))
    source.close()
    assert waits == [2.0]
    gate.set()


def test_each_kind_of_device_goes_to_its_own_backend(fake_cv2: Any) -> None:
    for device in (3, "/dev/video2", "rtsp://host/path"):
        OpenCvDevice(device, name="x")
    OpenCvDevice("videotestsrc ! appsink", name="x", pipeline=True)
    fake_cv2.has = set()
    OpenCvDevice("rtsp://host/path", name="x")
    OpenCvDevice(3, name="x")
    assert fake_cv2.opened == [
        (3, 200),
        ("/dev/video2", 200),
        ("rtsp://host/path", 1900, [53, 5000, 54, 5000]),
        ("videotestsrc ! appsink", 1800),
        ("rtsp://host/path",),
        (3, 0),
    ]


def test_the_pauses_double_up_to_a_limit_and_begin_anew() -> None:
    pauses = Backoff()
    seen = [pauses.next() for _ in range(12)]
    limits = [min(FIRST_RETRY * 2**i, SLOWEST_RETRY) for i in range(12)]
    assert all(limit / 2 <= pause <= limit for pause, limit in zip(seen, limits))
    pauses.reset()
    assert pauses.next() <= FIRST_RETRY
    assert len({Backoff().next() for _ in range(20)}) > 1
