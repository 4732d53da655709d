"""GStreamer pipelines through PyGObject: any camera that has a GStreamer element, with the time of capture.

Raises `SourceError` for whatever the pipeline does wrong. A pipeline is the integrator's word, as a command is: it must
never come from a stranger.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from edgeguard.errors import SourceError
from edgeguard.sources.device import Taken
from edgeguard.sources.pictures import rgb_of

OPENING = 5.0
"""Longest time for a pipeline to start (s)."""
WAIT = 1.0
"""Longest wait for one picture (s); a longer silence is a failed read."""
_CHANNELS = {"RGB": 3, "BGR": 3, "RGBx": 4, "BGRx": 4, "RGBA": 4, "BGRA": 4, "GRAY8": 1}
_CAPS = f"video/x-raw,format={{{','.join(_CHANNELS)}}}"
_SECOND = 1_000_000_000


def check_pipeline(text: str, name: str) -> None:
    """Refuse a pipeline that hands its pictures to nobody. Raises: SourceError."""
    if not re.search(r"!\s*appsink\b[^!]*$", text):
        raise SourceError(f"`{name}` must end in `! appsink`, like `gst: v4l2src ! videoconvert ! appsink`")


def has_gi() -> bool:
    """Whether PyGObject and the description of GStreamer are installed."""
    try:
        _gst()
    except (ImportError, ValueError):
        return False
    return True


@cache
def _gst() -> Any:  # noqa: ANN401 - a module without types
    """Import GStreamer with its appsink. Raises: ImportError or ValueError when it is not there."""
    gi: Any = import_module("gi")  # no dependency: it comes with the operating system
    gi.require_version("Gst", "1.0")
    gi.require_version("GstApp", "1.0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # how it imports is its own affair
        gst: Any = import_module("gi.repository.Gst")
        import_module("gi.repository.GstApp")  # without it an appsink has no calls of its own
    gst.init(None)
    return gst


class PipelineDevice:
    """A running pipeline. Its clock is made CLOCK_MONOTONIC, so that its stamps are times of the guard's clock."""

    def __init__(self, text: str, *, name: str) -> None:
        """Raises: SourceError when the pipeline cannot be made or does not start."""
        self._name = name
        self._gst = _gst()
        try:
            self._pipeline = self._gst.parse_launch(text)
        except Exception as error:  # noqa: BLE001 - a class of GLib's, which is known only where it is installed
            raise SourceError(f"`{name}` is no pipeline: {_reason(error)}") from None
        self._sink = _only_sink(self._pipeline, name)
        self._sink.set_property("max-buffers", 1)
        self._sink.set_property("drop", True)  # noqa: FBT003 - GStreamer's own form
        self._sink.set_property("caps", self._gst.Caps.from_string(_CAPS))
        self._pipeline.use_clock(self._gst.SystemClock.obtain())
        self._bus = self._pipeline.get_bus()
        self._start()

    def read(self) -> Taken | None:
        """Wait for the next picture."""
        sample = self._sink.try_pull_sample(int(WAIT * _SECOND))
        if sample is None:
            self._raise_error()
            return None
        return Taken(self._image(sample), self._stamp(sample))

    def release(self) -> None:
        """Stop it."""
        self._pipeline.set_state(self._gst.State.NULL)

    def _start(self) -> None:
        self._pipeline.set_state(self._gst.State.PLAYING)
        change, _, _ = self._pipeline.get_state(int(OPENING * _SECOND))
        if change in (self._gst.StateChangeReturn.SUCCESS, self._gst.StateChangeReturn.NO_PREROLL):
            return
        try:
            self._raise_error()
        finally:
            self.release()
        raise SourceError(f"`{self._name}` does not start: no picture within {OPENING:.0f} s")

    def _raise_error(self) -> None:
        """Say what the pipeline complained about, if it did. Raises: SourceError."""
        kinds = self._gst.MessageType.ERROR | self._gst.MessageType.EOS
        message = self._bus.pop_filtered(kinds)
        if message is None:
            return
        if message.type == self._gst.MessageType.EOS:
            raise SourceError(f"`{self._name}` has ended")
        raise SourceError(f"`{self._name}` fails: {_reason(message.parse_error()[0])}")

    def _image(self, sample: Any) -> Any:  # noqa: ANN401 - objects without types
        """Copy the picture out of the pipeline's memory; its rows may be padded."""
        buffer, shape = sample.get_buffer(), sample.get_caps().get_structure(0)
        height, width, form = (shape.get_value(key) for key in ("height", "width", "format"))
        channels = _CHANNELS.get(form, 0)
        good, info = buffer.map(self._gst.MapFlags.READ)
        if not good:
            raise SourceError(f"`{self._name}` gives a picture that cannot be read")
        try:
            data = np.frombuffer(info.data, np.uint8)
            stride = data.size // height if height else 0
            if stride < width * channels or not channels:
                raise SourceError(
                    f"`{self._name}` gives a picture of an unknown form: put `videoconvert` into it"
                )
            rows = data[: height * stride].reshape(height, stride)[:, : width * channels]
            return rgb_of(rows.reshape(height, width, channels), blue_first=form.startswith("BGR"))
        finally:
            buffer.unmap(info)

    def _stamp(self, sample: Any) -> float | None:  # noqa: ANN401 - an object without types
        """The buffer's time as a time of the pipeline's clock (s)."""
        stamp = sample.get_buffer().pts
        if stamp == self._gst.CLOCK_TIME_NONE:
            return None
        running = sample.get_segment().to_running_time(self._gst.Format.TIME, stamp)
        if running == self._gst.CLOCK_TIME_NONE:
            return None
        return float(self._pipeline.get_base_time() + running) / _SECOND


def _only_sink(pipeline: Any, name: str) -> Any:  # noqa: ANN401 - objects without types
    """The appsink of a pipeline. Raises: SourceError unless there is exactly one."""
    if not hasattr(pipeline, "iterate_sinks"):  # one element alone is no pipeline
        raise SourceError(f"`{name}` is no pipeline: give a camera's element, `!` and `appsink`")
    found, sinks = [], pipeline.iterate_sinks()
    while True:
        _, sink = sinks.next()
        if sink is None:
            break
        if hasattr(sink, "try_pull_sample"):
            found.append(sink)
    if len(found) != 1:
        raise SourceError(f"`{name}` has {len(found)} elements `appsink`: it must have one")
    return found[0]


def _reason(error: Any) -> str:  # noqa: ANN401 - GLib's own class
    """GStreamer's words, on one line."""
    words = str(getattr(error, "message", error)) or "no reason given"
    return " ".join(words.split())
