"""Fixtures of the hostile bundles: one key, one good bundle, and the check that a refusal is a good one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Forge, good_files, write_files


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return Forge.at(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def folder(tmp_path: Path, forge: Forge) -> Path:
    """A good signed bundle."""
    files = good_files()
    return write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})


_ADVICE = re.compile(
    r"\b(sign|add|check|copy|correct|export|give|have|install|make|put|remove|rename|set|stop|trust)\b"
)
"""What a refusal may tell its reader to do."""


@pytest.fixture
def refused() -> Callable[[Callable[[], object], str, str], None]:
    """Check that a call is refused with this reason, for this file, in words that say what to do."""

    def check(call: Callable[[], object], reason: str, path: str) -> None:
        with pytest.raises(AdmissionError) as caught:
            call()
        error = caught.value
        assert error.reason == reason, str(error)
        assert error.path.endswith(path)
        assert error.exit_code == 4
        said = str(error).partition(f"{reason}: ")[2]
        assert _ADVICE.search(said.rpartition(": ")[2]), said
        assert said[0] != said[0].upper() or said[0] == "`"
        assert not said.endswith(".")
        assert "\n" not in said
        assert len(said) < 700

    return check
