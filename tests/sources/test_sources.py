"""Frame sources: each picture once, at its time, and a clear word when there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edgeguard.errors import SourceError
from edgeguard.sources import FolderSource, VideoSource, open_source
from edgeguard.sources.opening import without_secrets
from edgeguard.sources.pictures import rgb_of

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


def test_a_video_that_cannot_be_decoded_ends_and_says_so(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = VideoSource(video)

    def fails() -> Any:
        raise cv2.error("decoder")

    monkeypatch.setattr(source, "_capture", SimpleNamespace(read=fails, grab=fails, release=lambda: None))
    assert source.poll(0.0) is None
    assert (source.ended, source.trouble) == (True, f"the video `{video}` is damaged at frame 0")
    source.close()


def test_a_damaged_video_gives_what_is_left_of_it_and_ends(video: Path) -> None:
    data = bytearray(video.read_bytes())
    data[len(data) // 2 : len(data) * 3 // 4] = bytes(len(data) * 3 // 4 - len(data) // 2)
    video.write_bytes(data)
    source = VideoSource(video)
    seen = [f for now in np.arange(0.0, 0.7, 0.02) if (f := source.poll(float(now))) is not None]
    assert 0 < len(seen) <= 5
    assert source.ended


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("rtsp://me:secret@host/path", "rtsp://host/path"),
        ("rtsp://me:se@cret@host:8554/a@b", "rtsp://host:8554/a@b"),
        ("rtsp://host/path", "rtsp://host/path"),
        ("gst: rtspsrc user-id=me user-pw=secret ! appsink", "gst: rtspsrc user-id=me user-pw=... ! appsink"),
    ],
)
def test_the_password_of_a_stream_is_never_shown(spec: str, shown: str) -> None:
    assert without_secrets(spec) == shown


def test_a_name_that_is_too_long_for_a_path_is_refused_like_any_other() -> None:
    with pytest.raises(SourceError, match="there is no"):
        open_source("x" * 5000)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4, 3), np.uint16),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(7, np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.array(None),
        None,
        "picture",
        [[1, 2]],
    ],
)
def test_what_is_no_picture_of_8_bits_is_refused(picture: object) -> None:
    with pytest.raises(SourceError, match="the picture is n"):
        rgb_of(picture)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (2, 3, 3), (2, 3, 4)])
def test_every_common_form_becomes_red_green_blue_in_memory_of_its_own(shape: tuple[int, ...]) -> None:
    picture = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    image = rgb_of(picture)
    assert image.shape == (2, 3, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    grey = len(shape) == 2 or shape[2] == 1
    assert image[0, 0].tolist() == ([0, 0, 0] if grey else [2, 1, 0])
    assert not np.shares_memory(image, picture)
    assert rgb_of(picture, blue_first=False)[0, 0].tolist() == ([0, 0, 0] if grey else [0, 1, 2])
