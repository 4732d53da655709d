"""Files as sources: a folder of pictures, a video. They go at the pace of the caller's clock, so that a run can be
repeated; a file is read when its picture is due, in the caller's thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.errors import SourceError
from edgeguard.sources.opencv import opencv
from edgeguard.sources.pictures import IMAGES, find_pictures, read_image, rgb_of
from edgeguard.types import Frame

if TYPE_CHECKING:
    from edgeguard.types import Image


class FolderSource:
    """The pictures of a folder in the order of their names, at a steady pace. Frames may differ in size."""

    def __init__(self, path: Path, *, fps: float = 20.0) -> None:
        """Raises: SourceError when there is no picture in it, or Pillow is not installed."""
        self.name = str(path)
        self.ended = False
        self.trouble = ""
        self._files = [path] if path.is_file() else find_pictures(path)
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


class VideoSource:
    """The frames of a video file at the file's own pace; what the loop is too late for is skipped."""

    def __init__(self, path: Path, *, fps: float = 20.0) -> None:
        """Raises: SourceError when it is no video that OpenCV can read, or OpenCV is not installed."""
        cv2 = opencv()
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
        try:
            image = self._read(due)
        except Exception:  # noqa: BLE001 - a decoder may raise anything at a damaged file
            self.ended, image = True, None
            self.trouble = f"the video `{self.name}` is damaged at frame {due}"
        self._next = due + 1
        return None if image is None else Frame(image, due, self._start + due * self._period)

    def close(self) -> None:
        """Close the file."""
        self.ended = True
        self._capture.release()

    def _read(self, due: int) -> Image | None:
        while self._next < due and not self.ended:
            self.ended = not self._capture.grab()
            self._next += 1
        good, picture = (False, None) if self.ended else self._capture.read()
        self.ended = not good or picture is None
        return None if self.ended else rgb_of(picture)
