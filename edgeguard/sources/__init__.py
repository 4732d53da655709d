"""Frame sources: pictures, videos, cameras, streams and pipelines, as something to poll for the newest frame.

A source never waits for a camera, never hands out a frame twice, and never repeats the last one when there is none.
Opening raises `SourceError`; polling only ever returns nothing, and says why in `trouble`.
"""

from __future__ import annotations

from edgeguard.sources.camera import CameraSource
from edgeguard.sources.device import Device, Taken
from edgeguard.sources.files import FolderSource, VideoSource
from edgeguard.sources.opening import open_source
from edgeguard.sources.pictures import IMAGES, read_image
from edgeguard.sources.source import Source

__all__ = [
    "IMAGES",
    "CameraSource",
    "Device",
    "FolderSource",
    "Source",
    "Taken",
    "VideoSource",
    "open_source",
    "read_image",
]
