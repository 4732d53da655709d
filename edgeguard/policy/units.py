"""Durations, spans and rates as an engineer writes them: `100ms`, `3s`, `2 frames`, `4/s`.

Pure text to numbers. Nothing is guessed: a number without its unit has no meaning and gives None.
"""

from __future__ import annotations

import re

from edgeguard.decision.table import Span

_NUMBER = r"(?P<number>0|[1-9][0-9]{0,8}(?:\.[0-9]{1,9})?|0\.[0-9]{1,9})"
_DURATION = re.compile(_NUMBER + r" ?(?P<unit>us|ms|s|min)\Z")
_FRAMES = re.compile(r"(?P<number>[1-9][0-9]{0,5}) (?:frame|frames)\Z")
_RATE = re.compile(_NUMBER + r" ?/ ?s\Z")
_SECONDS = {"us": (1.0, 1e6), "ms": (1.0, 1e3), "s": (1.0, 1.0), "min": (60.0, 1.0)}
"""Factor and divisor: dividing keeps `300ms` the very float that `0.3` is."""

DURATION_HELP = "write a number and `ms`, `s` or `min`, like `100ms`"
SPAN_HELP = "write frames or a duration, like `2 frames` or `300ms`"
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


def span_text(value: Span) -> str:
    """A span in words, as an engineer would write it."""
    if value.frames:
        return "1 frame" if value.frames == 1 else f"{value.frames} frames"
    return duration_text(value.seconds) if value.seconds else "at once"


def duration_text(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    return f"{seconds * 1e3:g}ms" if seconds < 1 else f"{seconds:g}s"
