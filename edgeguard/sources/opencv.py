"""Cameras, streams and pipelines through OpenCV. Only here and in `gstreamer` is a driver called.

OpenCV says when a V4L2 picture was taken; of streams it gives positions in the stream, which are no times of ours.
"""

from __future__ import annotations

from typing import Any

from edgeguard.errors import SourceError
from edgeguard.sources.device import Taken
from edgeguard.sources.pictures import rgb_of

STREAM_TIMEOUT = 5000
"""Longest time that a stream's server may take to answer (ms)."""


def opencv() -> Any:  # noqa: ANN401 - a module without types, or a test's stand-in
    """Import OpenCV. Raises: SourceError when it is not installed."""
    try:
        import cv2  # noqa: PLC0415 - an extra
        from cv2.utils import logging  # noqa: PLC0415
    except ImportError:
        message = "reading videos and cameras needs OpenCV: pip install 'edgeguard-runtime[video]'"
        raise SourceError(message) from None
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # its complaints would stand beside ours, in another voice
    return cv2


def has_gstreamer() -> bool:
    """Whether OpenCV is installed and was built with GStreamer (the wheels of the public index are not)."""
    try:
        cv2 = opencv()
    except SourceError:
        return False
    return bool(cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER))


class OpenCvDevice:
    """A camera by number or path, a stream by address, or a pipeline, held open by OpenCV."""

    def __init__(self, device: int | str, *, name: str, pipeline: bool = False) -> None:
        """`pipeline`: `device` is a GStreamer pipeline. Raises: SourceError when it cannot be opened."""
        self._cv2 = opencv()
        self._capture = _capture(self._cv2, device, pipeline=pipeline)
        if not self._capture.isOpened():
            self._capture.release()
            remote = "://" in name and not pipeline
            check = (
                "the address, and that it answers"
                if remote
                else "that it is plugged in and that you may read it"
            )
            raise SourceError(f"cannot open the camera `{name}`: check {check}")
        self._stamped = self._capture.getBackendName() == "V4L2"

    def read(self) -> Taken | None:
        """Wait for the next picture."""
        good, picture = self._capture.read()
        if not good or picture is None:
            return None
        return Taken(rgb_of(picture), self._stamp())

    def release(self) -> None:
        """Let go of it."""
        self._capture.release()

    def _stamp(self) -> float | None:
        """The driver's own stamp of the newest picture (s); 0 is none."""
        if not self._stamped:
            return None
        stamp = float(self._capture.get(self._cv2.CAP_PROP_POS_MSEC))
        return stamp / 1000.0 if stamp > 0.0 else None


def _capture(cv2: Any, device: int | str, *, pipeline: bool) -> Any:  # noqa: ANN401 - a module without types
    """Choose the backend here: OpenCV would try them all in turn, each with waits of its own."""
    has = cv2.videoio_registry.hasBackend
    if pipeline:
        return cv2.VideoCapture(device, cv2.CAP_GSTREAMER)
    if isinstance(device, str) and "://" in device:
        if not has(cv2.CAP_FFMPEG):
            return cv2.VideoCapture(device)
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            STREAM_TIMEOUT,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            STREAM_TIMEOUT,
        ]
        return cv2.VideoCapture(device, cv2.CAP_FFMPEG, limits)
    return cv2.VideoCapture(device, cv2.CAP_V4L2 if has(cv2.CAP_V4L2) else cv2.CAP_ANY)
