"""From what a person names to a source: the one place that knows how sources are spelled."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edgeguard.errors import SourceError
from edgeguard.sources.camera import CameraSource
from edgeguard.sources.device import Device
from edgeguard.sources.files import FolderSource, VideoSource
from edgeguard.sources.gstreamer import PipelineDevice, check_pipeline, has_gi
from edgeguard.sources.opencv import OpenCvDevice, has_gstreamer
from edgeguard.sources.pictures import IMAGES
from edgeguard.sources.source import Source

PIPELINE = "gst:"
_SECRETS = ((re.compile(r"//[^/\s]*@"), "//"), (re.compile(r"\buser-pw=\S+"), "user-pw=..."))


def open_source(spec: str, *, fps: float = 20.0, clock: Callable[[], float] = time.monotonic) -> Source:
    """Open what `spec` names: a folder of pictures, one picture, a video file, a camera, a stream or a pipeline.

    A camera is `camera` or `camera:N`, or a device such as `/dev/video0`; a stream is an address such as
    `rtsp://host/path`; a pipeline is `gst: ... ! appsink`.
    `fps`: pace of a folder, and of a video that does not state its own (1/s, > 0).

    Raises: SourceError when there is no such thing, or what reads it is not installed.
    """
    if not 0.0 < fps < float("inf"):
        message = f"`{fps}` frames a second: give a number above 0"
        raise SourceError(message)
    file = _file(spec, fps)
    if file is not None:
        return file
    name = without_secrets(spec)
    opener = _opener(spec, name)
    if opener is None:
        message = f"there is no `{name}`: give a folder of pictures, a video file, `camera:0` or a stream"
        raise SourceError(message)
    return CameraSource(opener, name=name, clock=clock)


def without_secrets(spec: str) -> str:
    """`spec` as it may be shown and logged: without the user and the password of an address."""
    for pattern, instead in _SECRETS:
        spec = pattern.sub(instead, spec)
    return spec


def _file(spec: str, fps: float) -> Source | None:
    """The folder, picture or video of this path; None when there is none."""
    path = Path(spec)
    try:
        folder, file = path.is_dir(), path.is_file()
    except (OSError, ValueError):  # too long for a path, as a pipeline may be
        return None
    if folder or (file and path.suffix.lower() in IMAGES):
        return FolderSource(path, fps=fps)
    return VideoSource(path, fps=fps) if file else None


def _opener(spec: str, name: str) -> Callable[[], Device] | None:
    """What opens a camera, again and again; None when `spec` names none."""
    if spec.startswith(PIPELINE):
        return _pipeline(spec[len(PIPELINE) :].strip(), name)
    device = _camera(spec)
    return None if device is None else partial(OpenCvDevice, device, name=name)


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


def _pipeline(text: str, name: str) -> Callable[[], Device]:
    check_pipeline(text, name)
    if has_gi():
        return partial(PipelineDevice, text, name=name)
    if has_gstreamer():
        return partial(OpenCvDevice, text, name=name, pipeline=True)
    raise SourceError(
        f"`{name}` needs GStreamer: install PyGObject (apt-get install python3-gi gir1.2-gst-plugins-base-1.0 "
        "gstreamer1.0-plugins-good) for this Python, or an OpenCV that was built with GStreamer"
    )
