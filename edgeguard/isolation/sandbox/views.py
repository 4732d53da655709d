"""A view of the file system that holds nothing but what a loader reads: own mounts, read-only, the rest taken away.

What Landlock forbids, this does not show: on a kernel without Landlock it is what keeps the host's data from a worker.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgeguard.isolation.sandbox import kernel
from edgeguard.isolation.sandbox.levels import ON

_MS_NOSUID = 0x2
_MS_NODEV = 0x4
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
_MNT_DETACH = 0x2
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_ATTR_RDONLY = 0x1
_ATTR_NOSUID = 0x2
_ATTR_NODEV = 0x4

_ROOM = "size=1m,mode=755"
_STARTS = ("/mnt", "/srv", "/media", "/opt", "/run", "/tmp", "/var")  # noqa: S108  # a mount point, not a place for files


def narrow(readable: Iterable[str], devices: Iterable[str]) -> str:
    """Replace the root folder, in this process's own mount namespace: `on`, or why not.

    Needs the capabilities that a new namespace gives. Nothing of the host's changes.
    """
    absent = kernel.missing("mounts")
    if absent:
        return absent
    driven = _existing(devices)
    shown = [path for path in _existing(readable) if path not in driven]
    try:
        start = _start([*shown, *driven])
        _mount("none", "/", "", _MS_REC | _MS_PRIVATE)
        _mount("tmpfs", start, "tmpfs", _MS_NOSUID | _MS_NODEV, _ROOM)
        for path in shown:
            inside = path.startswith("/dev/")
            _show(path, start, _ATTR_RDONLY | _ATTR_NOSUID | (0 if inside else _ATTR_NODEV))
        for path in driven:
            _show(path, start, _ATTR_NOSUID)
        _enter(start)
    except OSError as error:
        return kernel.why(error)
    return ON


def _existing(paths: Iterable[str]) -> list[str]:
    """Those that are there and do not lie in another one of them, which shows them already."""
    there = {Path(path) for path in paths if os.access(path, os.F_OK)} - {Path("/")}
    return sorted(str(path) for path in there if not there.intersection(path.parents))


def _start(paths: Sequence[str]) -> str:
    """A folder to build the view on, which covers none of `paths`."""
    for start in _STARTS:
        if Path(start).is_dir() and not any(
            Path(start) in (Path(p), *Path(p).resolve().parents) for p in paths
        ):
            return start
    raise OSError(0, "no folder to build a view of the file system on")


def _show(path: str, start: str, attributes: int) -> None:
    """Let `path` be seen below `start` as it is seen below `/`."""
    target = Path(start + path)
    if Path(path).is_dir():
        target.mkdir(0o755, parents=True, exist_ok=True)
    else:
        target.parent.mkdir(0o755, parents=True, exist_ok=True)
        target.touch(0o644)
    _mount(path, str(target), "", _MS_BIND | _MS_REC)
    _set(str(target), attributes, _AT_RECURSIVE)


def _enter(start: str) -> None:
    os.chdir(start)
    here = _text(".")
    kernel.syscall("pivot_root", ctypes.addressof(here), ctypes.addressof(here))
    # The old root now lies over the new one.
    kernel.syscall("umount2", ctypes.addressof(here), _MNT_DETACH)
    os.chdir("/")
    _set("/", _ATTR_RDONLY, 0)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    texts = [_text(word) for word in (source, target, kind)]
    options = _text(data)
    given = ctypes.addressof(options) if data else 0
    kernel.syscall("mount", *map(ctypes.addressof, texts), flags, given)


def _set(target: str, attributes: int, flags: int) -> None:
    """Add mount attributes; none is ever taken away, so what the host forbade stays forbidden."""
    room = ctypes.create_string_buffer(struct.pack("=4Q", attributes, 0, 0, 0), 32)
    path = _text(target)
    kernel.syscall("mount_setattr", _AT_FDCWD, ctypes.addressof(path), flags, ctypes.addressof(room), 32)


def _text(word: str) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(os.fsencode(word))
