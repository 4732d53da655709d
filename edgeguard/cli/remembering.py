"""The state folder that verbs share: what a device remembers, and its known-good generations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.device.generations import Generations
    from edgeguard.here import Device

STATE = "EDGEGUARD_STATE"

_HELP = f"The device's state folder. Or {STATE}."
StateArgument = Annotated[Path | None, typer.Argument(metavar="STATE", help=_HELP)]
"""Of a verb that is about the state; any other verb takes `StateOption`."""
StateOption = Annotated[Path | None, typer.Option("--state", metavar="STATE", help=_HELP)]


def state_folder(given: Path | None) -> Path | None:
    """The folder that was given, or that of the environment; None: this device remembers nothing."""
    named = os.environ.get(STATE, "")
    return given if given is not None else Path(named) if named else None


def needed_state(given: Path | None) -> Path:
    """The folder that was given, or that of the environment.

    Raises:
        UsageError: neither is.
    """
    state = state_folder(given)
    if state is None:
        raise UsageError(f"no state folder: name it, or set `{STATE}`")
    return state


def open_device(given: Path | None) -> tuple[Device, Generations | None]:
    """This machine with what it remembers.

    Raises:
        AdmissionError: `floor-missing` or `floor-damaged`.
        UsageError: the folder cannot be used.
    """
    from edgeguard.device.generations import Generations
    from edgeguard.here import Device

    state = state_folder(given)
    if state is None:
        return Device.here(), None
    from edgeguard.device.floors import open_floor

    return Device.here(open_floor(state)), Generations(state)
