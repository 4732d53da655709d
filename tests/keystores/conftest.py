"""A security token and a TPM of software, and the token's PIN."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.software_token import PIN, soft_token
from tests.software_tpm import swtpm

__all__ = ["soft_token", "swtpm"]


@pytest.fixture
def pin(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the PIN in the environment."""
    monkeypatch.setenv("EDGEGUARD_PIN", PIN)
    return lambda text: monkeypatch.setenv("EDGEGUARD_PIN", text)
