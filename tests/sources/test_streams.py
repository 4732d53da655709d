"""Streams and pipelines for real: an HTTP camera of this test's own through OpenCV, GStreamer where it is installed."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from edgeguard.errors import SourceError
from edgeguard.sources import CameraSource, gstreamer, open_source
from edgeguard.sources.gstreamer import has_gi
from edgeguard.types import Frame


class StreetCamera(ThreadingHTTPServer):
    """Sends one red MJPEG stream to whoever asks, and hangs up after `pictures` of them."""

    daemon_threads = True
    pictures = 10**9
    asked = 0


class Stream(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, StreetCamera)
        server.asked += 1
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[..., 2] = 200
        data = cv2.imencode(".jpg", picture)[1].tobytes()
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        try:
            for _ in range(server.pictures):
                self.wfile.write(
                    b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                )
                self.wfile.write(data + b"\r\n")
                time.sleep(0.01)
        except OSError:
            return

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def street() -> Iterator[StreetCamera]:
    server = StreetCamera(("127.0.0.1", 0), Stream)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def newest(source: CameraSource) -> Frame:
    for _ in range(4000):
        frame = source.poll(time.monotonic())
        if frame is not None:
            return frame
        time.sleep(0.005)
    raise AssertionError(source.trouble)


def test_a_stream_gives_pictures_and_comes_back_after_it_was_cut(street: StreetCamera) -> None:
    street.pictures = 60
    address = f"http://me:secret@127.0.0.1:{street.server_address[1]}/live.mjpg"
    source = open_source(address)
    assert isinstance(source, CameraSource)
    try:
        assert "secret" not in source.name
        frame = newest(source)
        assert frame.image.shape == (48, 64, 3)
        assert frame.image[0, 0, 0] > 180
        assert frame.image[0, 0, 2] < 60
        last = frame
        while street.asked < 2:  # the stream is cut after a moment, and asked for again
            frame = newest(source)
            assert frame.number > last.number
            assert last.at <= frame.at <= time.monotonic()
            last = frame
        assert newest(source).number > last.number
    finally:
        source.close()


def test_a_stream_that_nobody_serves_is_refused_by_its_address() -> None:
    with pytest.raises(SourceError, match=r"`rtsp://127.0.0.1:9/x`: check the address"):
        open_source("rtsp://me:secret@127.0.0.1:9/x")


@pytest.mark.parametrize(
    "spec", ["gst: videotestsrc ! fakesink", "gst:", "gst: appsink", "gst: a ! appsink ! b"]
)
def test_a_pipeline_must_end_in_an_appsink(spec: str) -> None:
    with pytest.raises(SourceError, match="must end in `! appsink`"):
        open_source(spec)


@pytest.fixture
def no_gi(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    gstreamer._gst.cache_clear()
    monkeypatch.setitem(sys.modules, "gi", None)
    yield
    gstreamer._gst.cache_clear()


@pytest.mark.usefixtures("fake_cv2", "no_gi")
def test_without_gstreamer_a_pipeline_is_refused_with_what_to_install() -> None:
    with pytest.raises(SourceError, match="apt-get install python3-gi"):
        open_source("gst: videotestsrc ! appsink")


@pytest.mark.usefixtures("no_gi")
def test_without_pygobject_a_pipeline_runs_in_an_opencv_that_has_gstreamer(fake_cv2: Any) -> None:
    fake_cv2.has = {fake_cv2.CAP_GSTREAMER}
    fake_cv2.script = [8]
    source = open_source("gst: videotestsrc ! appsink")
    assert isinstance(source, CameraSource)
    assert int(newest(source).image[0, 0, 0]) == 8
    source.close()
    assert fake_cv2.opened[0] == ("videotestsrc ! appsink", fake_cv2.CAP_GSTREAMER)


@pytest.mark.usefixtures("no_gi")
def test_pygobject_without_gstreamer_is_no_gstreamer(monkeypatch: pytest.MonkeyPatch) -> None:
    gi = ModuleType("gi")

    def refuse(name: str, version: str) -> None:
        raise ValueError(f"Namespace {name} not available")

    gi.require_version = refuse  # type: ignore[attr-defined] # a stand-in
    monkeypatch.setitem(sys.modules, "gi", gi)
    assert not has_gi()


REAL = pytest.mark.skipif(not has_gi(), reason="PyGObject and GStreamer are not installed for this Python")


@REAL
def test_a_pipeline_gives_pictures_with_the_time_they_were_taken() -> None:
    source = open_source(
        "gst: videotestsrc is-live=true pattern=red ! video/x-raw,format=RGB,width=13,height=7 ! appsink"
    )
    assert isinstance(source, CameraSource)
    frames = [newest(source) for _ in range(5)]
    source.close()
    assert all(frame.image.shape == (7, 13, 3) for frame in frames)
    assert all((frame.image == [255, 0, 0]).all() for frame in frames)
    assert all(a.at < b.at for a, b in pairwise(frames))
    assert frames[-1].at <= time.monotonic()


@REAL
@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ("videotestsrc ! nosuch ! appsink", 'is no pipeline: no element "nosuch"'),
        ("v4l2src device=/dev/video63 ! videoconvert ! appsink", "fails: Cannot identify device"),
        ("videotestsrc ! video/x-raw,format=I420 ! appsink", "fails: "),
        ("videotestsrc ! tee name=t ! appsink t. ! appsink", "has 2 elements `appsink`"),
    ],
)
def test_a_pipeline_that_cannot_run_is_refused_in_gstreamer_s_words(pipeline: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_source(f"gst: {pipeline}")


@REAL
def test_a_pipeline_that_ends_is_started_again() -> None:
    source = open_source(
        "gst: videotestsrc num-buffers=2 ! video/x-raw,width=8,height=8 ! videoconvert ! appsink"
    )
    assert isinstance(source, CameraSource)
    assert max(newest(source).number for _ in range(4)) >= 3
    source.close()
