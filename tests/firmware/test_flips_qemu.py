"""Bits flip in the firmware as it runs under QEMU: a slice of `python -m hil.flips_qemu`."""

from __future__ import annotations

import pytest

from hil import mcu_qemu
from hil.flips_qemu import BREACH, flips

pytestmark = [
    pytest.mark.process,
    pytest.mark.qemu,
    pytest.mark.skipif(not mcu_qemu.available(), reason="no qemu-system-arm or arm-none-eabi-gcc"),
]
SEED = 2
SLICE = 5


def test_no_flip_in_a_running_emulator_lets_an_output_leave_its_envelope() -> None:
    found = list(flips(SLICE, SEED))
    assert len(found) == SLICE
    assert [flip for flip in found if flip.kind == BREACH] == []
