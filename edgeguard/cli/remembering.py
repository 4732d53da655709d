"""The state folder that verbs share: what a device remembers, and its known-good generations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeguard.device.device import Device
    from edgeguard.device.generations import Generations

STATE = "EDGEGUARD_STATE"


def state_folder(option: Path | None) -> Path | None:
    """The folder of `--state`, or of the environment; None: this device remembers nothing."""
    named = os.environ.get(STATE, "")
    return option if option is not None else Path(named) if named else None


def open_device(option: Path | None) -> tuple[Device, Generations | None]:
    """This machine with what it remembers.

    Raises:
        AdmissionError: `floor-missing` or `floor-damaged`.
        UsageError: the folder cannot be used.
    """
    from edgeguard.device.device import Device
    from edgeguard.device.generations import Generations

    state = state_folder(option)
    if state is None:
        return Device.here(), None
    from edgeguard.device.floors import open_floor

    return Device.here(open_floor(state)), Generations(state)
