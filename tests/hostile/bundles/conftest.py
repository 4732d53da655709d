"""Fixtures of the hostile bundles: one key, one good bundle, and the check that a refusal is a good one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.admission import admit_bundle
from tests import refusals
from tests.hostile.bundles.builders import Forge, good_files, write_files
from tests.refusals import Refused


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return Forge.at(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def folder(tmp_path: Path, forge: Forge) -> Path:
    """A good signed bundle."""
    files = good_files()
    return write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})


@pytest.fixture
def refused() -> Refused:
    """See `tests.refusals`."""
    return refusals.refused


@pytest.fixture
def refused_model(tmp_path: Path, forge: Forge) -> Callable[[bytes, str], None]:
    """Check that a model file is refused with this reason in a bundle that is good and signed but for it."""

    def check(model: bytes, reason: str) -> None:
        files = {**good_files(), "model.onnx": model}
        folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
        refusals.refused(lambda: admit_bundle(folder, forge.signers), reason, "model.onnx")

    return check
