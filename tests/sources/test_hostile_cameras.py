"""Cameras and programs at their worst: nothing that a driver does comes out of `poll`."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.sources import CameraSource, Taken, hand
from edgeguard.sources.pictures import rgb_of

ROOT = Path(__file__).parents[2]

FORGETFUL = """
import time
from edgeguard.sources import CameraSource

class Device:
    def read(self):
        time.sleep(0.001)
    def release(self):
        print("released")

CameraSource(Device, name="forgotten")
"""


@pytest.mark.process
def test_a_program_that_forgets_to_close_a_camera_still_lets_go_of_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORGETFUL], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "released" in done.stdout


class Scripted:
    """A device that gives what a hypothesis example says."""

    def __init__(self, script: list[Any], done: threading.Event) -> None:
        self.script = script
        self.done = done

    def read(self) -> Taken | None:
        if not self.script:
            self.done.set()
            time.sleep(0.0005)
            return None
        step = self.script.pop(0)
        if isinstance(step, BaseException):
            raise step
        picture, stamp = step
        return None if picture is None else Taken(rgb_of(picture), stamp)

    def release(self) -> None:
        if self.script:
            raise OSError("not even that")


PICTURES = st.one_of(
    st.none(),
    st.text(max_size=3),
    st.builds(
        np.zeros,
        st.lists(st.integers(0, 5), max_size=4).map(tuple),
        st.sampled_from([np.uint8, np.uint8, np.uint16, np.float32, np.bool_, object]),
    ),
)
STEPS = st.one_of(
    st.tuples(PICTURES, st.one_of(st.none(), st.floats())),
    st.sampled_from([RuntimeError("a"), ValueError(), OSError(5, "io"), MemoryError(), StopIteration()]),
)


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=12))
def test_no_camera_makes_poll_raise_or_give_a_frame_that_is_none(script: list[Any]) -> None:
    done, last = threading.Event(), -1
    source = CameraSource(lambda: Scripted(script, done), name="hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hand, "FIRST_RETRY", 0.0005)
        patch.setattr(hand, "SLOWEST_RETRY", 0.0005)
        while not done.is_set():
            now = time.monotonic()
            frame = source.poll(now)
            if frame is None:
                time.sleep(0.0002)
                continue
            assert frame.number > last
            assert frame.image.dtype == np.uint8
            assert frame.image.size > 0
            assert frame.image.shape[2:] == (3,)
            assert frame.at <= time.monotonic()
            last = frame.number
        source.close()
