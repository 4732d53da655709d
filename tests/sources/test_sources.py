"""Frame sources: each picture once, at its time, and a clear word when there is none."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edgeguard import sources
from edgeguard.errors import SourceError
from edgeguard.sources import CameraSource, FolderSource, VideoSource, open_source

Paint = Callable[[str, int], Path]


def test_a_folder_gives_each_picture_once_in_order_at_its_pace(tmp_path: Path, paint: Paint) -> None:
    for i, name in enumerate(["b.png", "a.png", "c.bmp"]):
        paint(name, 10 * i)
    (tmp_path / "notes.txt").write_text("not a picture")
    source = open_source(str(tmp_path), fps=10.0)
    seen = [
        (round(now, 2), f)
        for now in np.arange(100.0, 100.5, 0.02)
        if (f := source.poll(float(now))) is not None
    ]
    assert [(now, f.number, int(f.image[0, 0, 0])) for now, f in seen] == [
        (100.0, 0, 10),
        (100.1, 1, 0),
        (100.2, 2, 20),
    ]
    assert [f.at for _, f in seen] == pytest.approx([100.0, 100.1, 100.2])
    assert seen[0][1].image.shape == (6, 8, 3)
    assert source.ended
    assert source.poll(200.0) is None


def test_a_late_loop_skips_pictures_and_gets_the_newest(tmp_path: Path, paint: Paint) -> None:
    for i in range(5):
        paint(f"{i}.png", i)
    source = FolderSource(tmp_path, fps=10.0)
    assert len(source) == 5
    numbers = [frame.number for now in (0.0, 0.35) if (frame := source.poll(now)) is not None]
    assert numbers == [0, 3]


def test_pictures_sorted_into_a_folder_a_class_are_found(tmp_path: Path, paint: Paint) -> None:
    paint("stop/1.png", 1)
    paint("none/2.png", 2)
    assert len(FolderSource(tmp_path)) == 2


def test_one_picture_is_a_source_too(paint: Paint) -> None:
    source = open_source(str(paint("only.png", 9)))
    frame = source.poll(1.0)
    assert frame is not None
    assert int(frame.image[0, 0, 0]) == 9
    source.close()
    assert source.poll(2.0) is None


def test_a_picture_that_cannot_be_read_is_no_frame_and_says_why(tmp_path: Path, paint: Paint) -> None:
    paint("1.png", 1)
    (tmp_path / "2.png").write_bytes(b"broken")
    paint("3.png", 3)
    source = FolderSource(tmp_path, fps=1.0)
    assert source.poll(0.0) is not None
    assert source.poll(1.0) is None
    assert "cannot read the picture" in source.trouble
    assert source.poll(2.0) is not None
    assert source.trouble == ""


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no picture"):
        open_source(str(tmp_path))


def test_a_folder_whose_first_picture_is_broken_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"broken")
    with pytest.raises(SourceError, match=r"cannot read the picture `.*1.png`"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("spec", ["nowhere", "camera:x", "5", "camera:-1"])
def test_what_is_no_source_is_refused_with_what_to_give(spec: str) -> None:
    with pytest.raises(SourceError, match=f"there is no `{spec}`: give a folder"):
        open_source(spec)


@pytest.mark.parametrize("spec", ["camera:63", "/dev/video63"])
def test_a_camera_that_is_not_there_is_a_clear_message(spec: str) -> None:
    with pytest.raises(SourceError, match=f"cannot open the camera `{spec}`"):
        open_source(spec)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_pace_must_be_a_pace(tmp_path: Path, fps: float) -> None:
    with pytest.raises(SourceError, match="frames a second"):
        open_source(str(tmp_path), fps=fps)


def test_a_missing_extra_is_named(tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    paint("1.png", 1)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(SourceError, match=r"edgeguard-runtime\[images\]"):
        open_source(str(tmp_path))
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SourceError, match=r"edgeguard-runtime\[video\]"):
        open_source("camera")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (32, 16))
    for i in range(5):
        picture = np.zeros((16, 32, 3), np.uint8)
        picture[..., 2] = 50 * i  # red, in OpenCV's order
        writer.write(picture)
    writer.release()
    return path


def test_a_video_gives_its_frames_in_rgb_at_its_own_pace(video: Path) -> None:
    source = open_source(str(video), fps=99.0)
    seen = [f for now in np.arange(0.0, 0.7, 0.02) if (f := source.poll(float(now))) is not None]
    assert [f.number for f in seen] == [0, 1, 2, 3, 4]
    assert [f.at for f in seen] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert all(abs(int(f.image[0, 0, 0]) - 50 * f.number) < 12 and f.image[0, 0, 2] < 12 for f in seen)
    assert source.ended
    source.close()


def test_a_late_loop_skips_frames_of_a_video(video: Path) -> None:
    source = VideoSource(video)
    assert source.poll(0.0) is not None
    frame = source.poll(0.3)
    assert frame is not None
    assert (frame.number, abs(int(frame.image[0, 0, 0]) - 150) < 12) == (3, True)
    assert source.poll(9.0) is None
    assert source.ended


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.avi").write_bytes(b"no video")
    with pytest.raises(SourceError, match=r"cannot read `.*x.avi` as a video"):
        open_source(str(tmp_path / "x.avi"))


class FakeCamera:
    """Gives what its script says: a grey level, None for a failed read; then waits to be closed."""

    def __init__(self, script: list[int | None]) -> None:
        self.script = script
        self.opened = 0
        self.released = 0
        self.done = threading.Event()

    def __call__(self, device: int | str) -> FakeCamera:
        self.opened += 1
        return self

    def isOpened(self) -> bool:
        return True

    def release(self) -> None:
        self.released += 1

    def read(self) -> tuple[bool, Any]:
        if not self.script:
            self.done.set()
            time.sleep(0.001)
            return False, None
        level = self.script.pop(0)
        return (False, None) if level is None else (True, np.full((4, 4), level, np.uint8))


def camera(monkeypatch: pytest.MonkeyPatch, script: list[int | None]) -> tuple[CameraSource, FakeCamera]:
    fake = FakeCamera(script)
    monkeypatch.setattr(sources, "_opencv", lambda: SimpleNamespace(VideoCapture=fake))
    monkeypatch.setattr(sources, "FIRST_RETRY", 0.0)
    return CameraSource(0, name="camera:0", clock=lambda: 42.0), fake


def test_a_camera_gives_only_the_newest_picture_with_its_time_of_capture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, fake = camera(monkeypatch, [1, 2, 3])
    assert fake.done.wait(5.0)
    frame = source.poll(0.0)
    source.close()
    assert frame is not None
    assert (frame.number, frame.at, int(frame.image[0, 0, 2])) == (2, 42.0, 3)
    assert source.poll(1.0) is None
    assert source.ended
    assert fake.released >= 1


def test_a_lost_camera_is_opened_again_and_meanwhile_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    source, fake = camera(monkeypatch, [1, None, None, 7])
    assert fake.done.wait(5.0)
    frame = source.poll(0.0)
    source.close()
    assert frame is not None
    assert (frame.number, int(frame.image[0, 0, 0])) == (1, 7)
    assert fake.opened >= 3
    assert source.trouble == "the camera `camera:0` gives no picture"
