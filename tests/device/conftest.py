"""Fixtures of a device's memory: a state folder, and a TPM, in memory or of software."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeguard.device.tpm import Tpm, Tpm2Tools
from tests.device.doubles import MemoryTpm
from tests.software_tpm import swtpm

__all__ = ["swtpm"]


@pytest.fixture(params=["memory", "swtpm"])
def tpm(request: pytest.FixtureRequest) -> Tpm:
    """A TPM: the double, then a software TPM through the real driver."""
    if request.param == "memory":
        return MemoryTpm()
    return Tpm2Tools(request.getfixturevalue("swtpm").tcti)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where a state folder goes."""
    return tmp_path / "state"
