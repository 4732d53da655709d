"""When a picture was taken: the device's word where it counts on our clock, and never the future."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.sources import CameraSource, open_source
from edgeguard.sources.device import Stamps


def begun(now: float) -> Stamps:
    stamps = Stamps(time.monotonic)
    stamps._opened = now
    return stamps


def test_a_stamp_between_the_opening_and_now_is_believed_from_then_on_however_old() -> None:
    stamps = begun(100.0)
    assert stamps.time_of(100.5, 102.0) == 100.5
    assert stamps.time_of(100.6, 160.0) == 100.6


@pytest.mark.parametrize("first", [0.0, 99.9, 102.1, 1.7e9, -1.0, math.nan])
def test_a_device_on_another_clock_is_not_believed_until_it_is_opened_again(first: float) -> None:
    stamps = begun(100.0)
    assert stamps.time_of(first, 102.0) == 102.0
    assert stamps.time_of(102.5, 103.0) == 103.0


def test_a_stamp_that_does_not_advance_is_no_new_picture() -> None:
    stamps = begun(100.0)
    assert stamps.time_of(101.0, 102.0) == 101.0
    assert stamps.time_of(101.0, 103.0) is None
    assert stamps.time_of(100.9, 103.0) is None
    assert stamps.time_of(math.nan, 103.0) is None
    assert stamps.time_of(101.1, 103.0) == 101.1


def test_a_device_without_stamps_has_the_time_at_which_it_answered() -> None:
    assert begun(100.0).time_of(None, 102.0) == 102.0


def test_on_a_clock_of_the_caller_s_own_no_stamp_is_believed() -> None:
    assert Stamps(lambda: 100.0).time_of(100.0, 101.0) == 101.0


@given(st.lists(st.tuples(st.floats(), st.floats(0.0, 1e6)), max_size=20))
def test_no_picture_is_from_the_future_and_times_never_run_back_beyond_a_stamp(
    steps: list[tuple[float, float]],
) -> None:
    stamps, now, last = begun(0.0), 0.0, -math.inf
    for stamp, ahead in steps:
        now += ahead
        at = stamps.time_of(stamp, now)
        if at is not None:
            assert last <= at <= now
            last = at


def test_a_v4l2_picture_carries_the_driver_s_time_and_a_repeated_one_is_trouble(fake_cv2: Any) -> None:
    fake_cv2.backend = "V4L2"
    source = open_source("/dev/video0")
    assert isinstance(source, CameraSource)
    stamp = time.monotonic()
    fake_cv2.script.append((1, stamp * 1000.0))
    frame = None
    while frame is None:
        frame = source.poll(time.monotonic())
    assert frame.at == pytest.approx(stamp, abs=1e-6)
    fake_cv2.script += [(2, stamp * 1000.0)] * 1000
    while not source.trouble.endswith("repeats its last picture"):
        assert source.poll(time.monotonic()) is None
    source.close()


@pytest.mark.parametrize(("backend", "stamp"), [("FFMPEG", 5.0), ("V4L2", 0.0)])
def test_a_stream_s_position_or_no_stamp_is_no_time(fake_cv2: Any, backend: str, stamp: float) -> None:
    fake_cv2.backend = backend
    fake_cv2.script = [(1, stamp)]
    before = time.monotonic()
    source = open_source("/dev/video0")
    frame = None
    while frame is None:
        frame = source.poll(time.monotonic())
    source.close()
    assert before <= frame.at <= time.monotonic()
