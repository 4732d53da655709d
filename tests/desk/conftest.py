"""The verbs of `edgeguard policy`, called in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgeguard.cli.app import invoke

Desk = Callable[..., tuple[int, str]]


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str]) -> Desk:
    """One verb of `edgeguard policy`: its exit code, and all that it said."""

    def said(*args: object) -> tuple[int, str]:
        capsys.readouterr()
        code = invoke(["policy", *map(str, args)])
        both = capsys.readouterr()
        return code, both.out + both.err

    return said
