"""What TensorRT says while it works, kept for the message that a failure becomes. Nothing is printed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from edgeguard.inference.tensorrt.api import TensorRt, Value

_KEPT = 20


class Recorder(Protocol):
    """A logger of TensorRT's that remembers errors."""

    def last(self) -> str:
        """The first line of the last error; `no reason given` where there was none."""


def recorder(trt: TensorRt) -> Recorder:
    """A logger for one of its modules. Must outlive whatever it is given to."""
    errors = (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR)
    kept: deque[str] = deque(maxlen=_KEPT)

    def start(self: object) -> None:
        trt.ILogger.__init__(self)

    def log(_self: object, severity: Value, text: str) -> None:
        if severity in errors:
            kept.append(text)

    def last(_self: object) -> str:
        return kept[-1].splitlines()[0] if kept and kept[-1] else "no reason given"

    # Its base class is only known once the module is: there is no class statement for that.
    made = type("Recorder", (trt.ILogger,), {"__init__": start, "log": log, "last": last})
    return cast("Recorder", made())
