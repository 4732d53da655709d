"""Pictures and a camera that needs no hardware."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from edgeguard.sources import hand

Paint = Callable[[str, int], Path]


@pytest.fixture
def paint(tmp_path: Path) -> Paint:
    """Write a plain red picture of a given strength below the test's folder."""

    def painted(name: str, red: int) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.zeros((6, 8, 3), np.uint8)
        image[..., 0] = red
        Pillow.fromarray(image).save(path)
        return path

    return painted


class FakeCapture:
    """One opened device of `FakeCv2`: what `read` does comes from the script that all of them share."""

    def __init__(self, cv2: FakeCv2) -> None:
        self.cv2 = cv2
        self.good = cv2.openings.pop(0) if cv2.openings else True
        if isinstance(self.good, BaseException):
            raise self.good

    def isOpened(self) -> bool:
        return bool(self.good)

    def getBackendName(self) -> str:
        return self.cv2.backend

    def get(self, key: int) -> float:
        return self.cv2.stamp_ms

    def release(self) -> None:
        self.cv2.released += 1

    def read(self) -> tuple[bool, Any]:
        cv2 = self.cv2
        if not cv2.script:
            cv2.done.set()
            cv2.more.wait(0.001)
            return False, None
        step = cv2.script.pop(0)
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, threading.Event):
            cv2.hanging.release()
            step.wait()
            return True, grey(255)
        if isinstance(step, tuple):  # a picture and its stamp
            step, cv2.stamp_ms = step
        return (False, None) if step is None else (True, grey(step) if isinstance(step, int) else step)


def grey(level: int) -> Any:
    return np.full((4, 4), level, np.uint8)


class FakeCv2(ModuleType):
    """Stands in for OpenCV: a script says what each read gives.

    A grey level or an array is a picture, with a stamp (ms) where it comes in a pair; None a failed read; an exception
    is raised; an event hangs until it is set. `openings`: the same for opening: True, False or an exception.
    """

    CAP_ANY, CAP_V4L2, CAP_FFMPEG, CAP_GSTREAMER = 0, 200, 1900, 1800
    CAP_PROP_POS_MSEC, CAP_PROP_OPEN_TIMEOUT_MSEC, CAP_PROP_READ_TIMEOUT_MSEC = 0, 53, 54

    def __init__(self) -> None:
        super().__init__("cv2")
        self.script: list[Any] = []
        self.openings: list[Any] = []
        self.backend = "FAKE"
        self.stamp_ms = 0.0
        self.opened: list[tuple[Any, ...]] = []
        self.released = 0
        self.has = {self.CAP_V4L2, self.CAP_FFMPEG}
        self.done = threading.Event()
        """The script is at its end."""
        self.more = threading.Event()
        self.hanging = threading.Semaphore(0)
        self.videoio_registry = SimpleNamespace(hasBackend=lambda kind: kind in self.has)

    def VideoCapture(self, *args: Any) -> FakeCapture:
        self.opened.append(args)
        return FakeCapture(self)


@pytest.fixture
def fake_cv2(monkeypatch: pytest.MonkeyPatch) -> FakeCv2:
    fake, utils = FakeCv2(), ModuleType("cv2.utils")
    utils.logging = SimpleNamespace(setLogLevel=print, LOG_LEVEL_SILENT=0)  # type: ignore[attr-defined] # a stand-in
    monkeypatch.setitem(sys.modules, "cv2", fake)
    monkeypatch.setitem(sys.modules, "cv2.utils", utils)
    monkeypatch.setattr(hand, "FIRST_RETRY", 0.001)
    monkeypatch.setattr(hand, "SLOWEST_RETRY", 0.002)
    return fake
