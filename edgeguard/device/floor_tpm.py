"""A floor in a file that is tied to a counter in a TPM: an old copy of it is worth nothing.

The file names its epoch. It counts when the TPM's counter shows that epoch, or the one before: then a cut came between
the two, and the counter is raised before anything is read from it. No other difference is ever made good.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgeguard.admission.reasons import refusal
from edgeguard.device import files
from edgeguard.device.floor_file import FLOOR, FileFloor, Held, Secret
from edgeguard.device.tpm import Tpm

INDEX = 0x01818E60
"""Where the counter lies, unless it is named otherwise."""
_WHY = "check who restored or copied it; to start anew see `docs/how-to/remember-versions.md`"


class TpmFloor(FileFloor):
    """See `FileFloor`. Of two contents that were ever written for one epoch, neither counts after the next raise."""

    strength = "tpm"

    def __init__(self, state: Path, secret: Secret, tpm: Tpm) -> None:
        """Read the floor, and complete a raise that a power cut left half done.

        Raises:
            AdmissionError: `floor-missing`, `floor-damaged`.
        """
        self._tpm = tpm
        super().__init__(state, secret)

    def _agreed(self, held: Held) -> Held:
        path = str(self._state / FLOOR)
        counter = self._tpm.counter_read(held.index, self._secret.auth) if held.index else None
        if counter is None:
            raise refusal("floor-missing", path, f"the TPM has no counter for it: {_WHY}")
        if held.epoch == counter + 1:
            self._tpm.counter_increment(held.index, self._secret.auth)
            counter += 1
        if held.epoch != counter:
            raise refusal(
                "floor-damaged", path, f"it is of epoch {held.epoch}, the TPM counts {counter}: {_WHY}"
            )
        return held

    def _store(self, folder: files.Folder, found: Held, wanted: Held) -> Held:
        """Write what was found once more, then what is wanted, each for an epoch of its own.

        A raise that a cut or an error ended may have left a file of the next epoch in somebody's hands. That epoch is
        spent on the old content, so that such a file never counts beside one that was acknowledged.
        """
        spent = self._advance(folder, found, found)
        return self._advance(folder, spent, wanted)

    def _advance(self, folder: files.Folder, found: Held, wanted: Held) -> Held:
        held = self._write(folder, msgspec.structs.replace(wanted, epoch=found.epoch + 1))
        self._tpm.counter_increment(held.index, self._secret.auth)
        return held
