"""Fixtures of admission's tests: a key pair, and a bundle that is signed the normal way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.admission import sign_bundle
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Forge, good_files, write_files


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return Forge.at(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    return write_files(tmp_path / "bundle", good_files())


@pytest.fixture
def bundle(unsigned: Path, forge: Forge) -> Path:
    sign_bundle(unsigned, forge.private_path)
    return unsigned


@pytest.fixture
def refused() -> Callable[[Callable[[], object], str, str], None]:
    """Check that a call is refused with this reason, for this file."""

    def check(call: Callable[[], object], reason: str, path: str) -> None:
        with pytest.raises(AdmissionError) as caught:
            call()
        assert caught.value.reason == reason, str(caught.value)
        assert caught.value.path.endswith(path), str(caught.value)

    return check
