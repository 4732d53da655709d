"""Durations, spans, rates, shares and memory as an engineer writes them: `100ms`, `2 frames`, `4/s`, `0.5%`, `1GiB`.

Pure text to numbers. Nothing is guessed: a number without its unit has no meaning and gives None.
"""

from __future__ import annotations

import re

from edgeguard.decision.table import Span

_NUMBER = r"(?P<number>0|[1-9][0-9]{0,8}(?:\.[0-9]{1,9})?|0\.[0-9]{1,9})"
_DURATION = re.compile(_NUMBER + r" ?(?P<unit>us|ms|s|min)\Z")
_FRAMES = re.compile(r"(?P<number>[1-9][0-9]{0,5}) (?:frame|frames)\Z")
_PERCENT = re.compile(_NUMBER + r" ?%\Z")
_MEMORY = re.compile(r"(?P<number>[1-9][0-9]{0,8}) ?(?P<unit>KiB|MiB|GiB)\Z")
_RATE = re.compile(_NUMBER + r" ?/ ?s\Z")
_SECONDS = {"us": (1.0, 1e6), "ms": (1.0, 1e3), "s": (1.0, 1.0), "min": (60.0, 1.0)}
"""Factor and divisor: dividing keeps `300ms` the very float that `0.3` is."""

_BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

DURATION_HELP = "write a number and `ms`, `s` or `min`, like `100ms`"
SPAN_HELP = "write frames or a duration, like `2 frames` or `300ms`"
FRAMES_HELP = "write a whole number and `frames`, like `4 frames`"
PERCENT_HELP = "write a share like `0.005` or `0.5%`"
MEMORY_HELP = "write a whole number and `MiB` or `GiB`, like `512MiB`"
RATE_HELP = "write a number a second, like `4/s`"


def duration(text: str) -> float | None:
    """Seconds of `100ms`, `1.5s`, `2min`; None when it is not a duration."""
    match = _DURATION.match(text)
    if not match:
        return None
    factor, divisor = _SECONDS[match["unit"]]
    return float(match["number"]) * factor / divisor


def span(text: str) -> Span | None:
    """`2 frames` counts decision steps with a new frame; a duration counts seconds. None when it is neither."""
    match = _FRAMES.match(text)
    if match:
        return Span(frames=int(match["number"]))
    seconds = duration(text)
    return None if seconds is None else Span(seconds=seconds)


def rate(text: str) -> float | None:
    """`4/s` as change a second; None when it is not a rate."""
    match = _RATE.match(text)
    return float(match["number"]) if match else None


def frames(text: str) -> int | None:
    """The whole number of `4 frames`; None when it is not that."""
    match = _FRAMES.match(text)
    return int(match["number"]) if match else None


def percent(text: str) -> float | None:
    """`0.5%` as 0.005; None when it is not a percentage."""
    match = _PERCENT.match(text)
    return float(match["number"]) / 100.0 if match else None


def memory(text: str) -> int | None:
    """Bytes of `512MiB`; None when it is not an amount of memory."""
    match = _MEMORY.match(text)
    return int(match["number"]) * _BYTES[match["unit"]] if match else None


def frames_text(count: int) -> str:
    """A number of frames as an engineer would write it."""
    return "1 frame" if count == 1 else f"{count} frames"


def memory_text(size: int) -> str:
    """Bytes in the largest unit that they are a whole number of."""
    for unit in ("GiB", "MiB", "KiB"):
        if size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size} bytes"


def span_text(value: Span) -> str:
    """A span in words, as an engineer would write it."""
    if value.frames:
        return frames_text(value.frames)
    return duration_text(value.seconds) if value.seconds else "at once"


def duration_text(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    return f"{seconds * 1e3:g}ms" if seconds < 1 else f"{seconds:g}s"
