"""Frame sources: a folder of pictures, a video file, a camera, as something to poll for the newest frame.

A source never blocks the control loop for a camera's next picture, never hands out a frame twice, and never repeats the
last one when there is none. Opening raises `SourceError`; polling only ever returns nothing, and says why in `trouble`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edgeguard.errors import SourceError
from edgeguard.types import Frame

if TYPE_CHECKING:
    from types import ModuleType

    from edgeguard.types import Image

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm"})
FIRST_RETRY = 0.1
"""Pause before the first attempt to get a lost camera back (s); it doubles from there."""
SLOWEST_RETRY = 5.0
"""Longest pause between two attempts to get a lost camera back (s)."""


class Source(Protocol):
    """Where frames come from. `name`: for people. `ended`: no frame will ever come again."""

    name: str
    ended: bool
    trouble: str
    """Why there is no picture at the moment; empty when all is well."""

    def poll(self, now: float) -> Frame | None:
        """Return the newest frame not handed out before, None when there is none. `now`: s, monotonic."""
        ...

    def close(self) -> None:
        """Let go of files, devices and threads."""
        ...


def open_source(spec: str, *, fps: float = 20.0, clock: Callable[[], float] = time.monotonic) -> Source:
    """Open what `spec` names: a folder of pictures, one picture, a video file, or a camera.

    A camera is `camera` or `camera:N`, a device such as `/dev/video0`, or a stream such as `rtsp://host/path`.
    `fps`: pace of a folder, and of a video that does not state its own (1/s, > 0).

    Raises: SourceError when there is no such thing, or the extra that reads it is not installed.
    """
    if not 0.0 < fps < float("inf"):
        message = f"`{fps}` frames a second: give a number above 0"
        raise SourceError(message)
    path = Path(spec)
    if path.is_dir() or (path.is_file() and path.suffix.lower() in IMAGES):
        return FolderSource(path, fps=fps)
    if path.is_file():
        return VideoSource(path, fps=fps)
    camera = _camera(spec)
    if camera is None:
        message = f"there is no `{spec}`: give a folder of pictures, a video file, `camera:0` or a stream"
        raise SourceError(message)
    return CameraSource(camera, name=spec, clock=clock)


def _camera(spec: str) -> int | str | None:
    """What OpenCV opens for a camera: an index or an address; None when `spec` is no camera."""
    if spec == "camera":
        return 0
    kind, _, index = spec.partition(":")
    if kind == "camera" and index.isdecimal():
        return int(index)
    if "://" in spec or spec.startswith("/dev/"):
        return spec
    return None


class FolderSource:
    """The pictures of a folder in the order of their names, at a steady pace. Frames may differ in size."""

    def __init__(self, path: Path, *, fps: float = 20.0) -> None:
        """Raises: SourceError when there is no picture in it, or Pillow is not installed."""
        self.name = str(path)
        self.ended = False
        self.trouble = ""
        self._files = [path] if path.is_file() else _pictures(path)
        if not self._files:
            message = f"`{path}` holds no picture: put {', '.join(sorted(IMAGES))} files into it"
            raise SourceError(message)
        self._period = 1.0 / fps
        self._start: float | None = None
        self._next = 0
        read_image(self._files[0])  # an unreadable format or a missing extra shows now, not in the loop

    def __len__(self) -> int:
        return len(self._files)

    def poll(self, now: float) -> Frame | None:
        """Return the picture that is due. A picture that cannot be read is no frame; late calls skip pictures."""
        self._start = now if self._start is None else self._start
        due = int((now - self._start) / self._period + 1e-9)
        if self.ended or due < self._next:
            return None
        if due >= len(self._files):
            self.ended = True
            return None
        self._next = due + 1
        try:
            image = read_image(self._files[due])
        except SourceError as error:
            self.trouble = str(error)
            return None
        self.trouble = ""
        return Frame(image, due, self._start + due * self._period)

    def close(self) -> None:
        """Nothing is held open between two pictures."""
        self.ended = True


def _pictures(folder: Path) -> list[Path]:
    """The pictures of a folder; those of its subfolders (such as one a class) when it has none itself."""
    for pattern in ("*", "*/*"):
        found = sorted(p for p in folder.glob(pattern) if p.suffix.lower() in IMAGES and p.is_file())
        if found:
            return found
    return []


def read_image(path: Path) -> Image:
    """Read one picture as uint8 RGB, (height, width, 3). Raises: SourceError."""
    try:
        from PIL import Image as Pillow  # noqa: PLC0415 - an extra, and not on the frame path of a camera
    except ImportError:
        message = "reading pictures needs pillow: pip install 'edgeguard-runtime[images]'"
        raise SourceError(message) from None
    try:
        with Pillow.open(path) as picture:
            return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError) as error:
        message = f"cannot read the picture `{path}`: it is damaged or of an unknown format"
        raise SourceError(message) from error


class VideoSource:
    """The frames of a video file at the file's own pace; what the loop is too late for is skipped."""

    def __init__(self, path: Path, *, fps: float = 20.0) -> None:
        """Raises: SourceError when it is no video that OpenCV can read, or OpenCV is not installed."""
        cv2 = _opencv()
        self.name = str(path)
        self.ended = False
        self.trouble = ""
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            message = f"cannot read `{path}` as a video: give a folder of pictures or a common video file"
            raise SourceError(message)
        stated = float(self._capture.get(cv2.CAP_PROP_FPS))
        self._period = 1.0 / (stated if 0.0 < stated < 1000.0 else fps)
        self._start: float | None = None
        self._next = 0

    def poll(self, now: float) -> Frame | None:
        """Return the frame that is due."""
        self._start = now if self._start is None else self._start
        due = int((now - self._start) / self._period + 1e-9)
        if self.ended or due < self._next:
            return None
        while self._next < due and not self.ended:
            self.ended = not self._capture.grab()
            self._next += 1
        good, picture = (False, None) if self.ended else self._capture.read()
        self._next = due + 1
        if not good or picture is None:
            self.ended = True
            return None
        return Frame(_rgb(picture), due, self._start + due * self._period)

    def close(self) -> None:
        """Close the file."""
        self.ended = True
        self._capture.release()


class CameraSource:
    """The newest picture of a camera, taken by a thread of its own; a lost camera is opened again and again."""

    def __init__(self, device: int | str, *, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: the one that `poll` is called with; frames carry its time of capture.

        Raises: SourceError when the camera cannot be opened, or OpenCV is not installed.
        """
        self._cv2 = _opencv()
        self.name = name
        self.ended = False
        self.trouble = ""
        self._device = device
        self._clock = clock
        self._capture = self._cv2.VideoCapture(device)
        if not self._capture.isOpened():
            self._capture.release()
            message = f"cannot open the camera `{name}`: check that it is plugged in and that you may read it"
            raise SourceError(message)
        self._frame: Frame | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._take, name=f"camera {name}", daemon=True)
        self._thread.start()

    def poll(self, now: float) -> Frame | None:  # noqa: ARG002 - a camera keeps its own time of capture
        """Return the newest frame, if it is new. One assignment hands it over: no lock on the frame path."""
        frame, self._frame = self._frame, None
        return frame

    def close(self) -> None:
        """Stop the thread and let go of the camera."""
        self.ended = True
        self._stop.set()
        self._thread.join(timeout=2.0)

    def _take(self) -> None:
        number = 0
        pause = FIRST_RETRY
        while not self._stop.is_set():
            good, picture = self._capture.read()
            at = self._clock()
            if good and picture is not None:
                self._frame = Frame(_rgb(picture), number, at)
                number += 1
                self.trouble, pause = "", FIRST_RETRY
                continue
            self.trouble = f"the camera `{self.name}` gives no picture"
            self._capture.release()
            self._stop.wait(pause)
            pause = min(2.0 * pause, SLOWEST_RETRY)
            self._capture = self._cv2.VideoCapture(self._device)
        self._capture.release()


def _rgb(picture: Image) -> Image:
    """OpenCV's blue-green-red (or grey) picture as contiguous red-green-blue."""
    if picture.ndim == 2:
        return np.repeat(picture[:, :, None], 3, axis=2)
    return np.ascontiguousarray(picture[:, :, 2::-1])


def _opencv() -> ModuleType:
    try:
        import cv2  # noqa: PLC0415 - an extra
        from cv2.utils import logging  # noqa: PLC0415
    except ImportError:
        message = "reading videos and cameras needs OpenCV: pip install 'edgeguard-runtime[video]'"
        raise SourceError(message) from None
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # its complaints would stand beside ours, in another voice
    return cv2
