"""What every good refusal is like: its reason, the file, and words that say what to do, in one line."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from edgeguard.errors import AdmissionError

Refused = Callable[[Callable[[], object], str, str], None]

ADVICE = re.compile(
    r"\b(sign|add|check|copy|correct|export|give|have|install|make|put|remove|rename|run|set|stop|trust)\b"
)
"""What a refusal may tell its reader to do."""


def refused(call: Callable[[], object], reason: str, path: str) -> None:
    """Check that a call is refused with this reason (or one of `a|b`), for this file, in words that say what to do."""
    with pytest.raises(AdmissionError) as caught:
        call()
    error = caught.value
    assert error.reason in reason.split("|"), str(error)
    assert error.path.endswith(path), error.path
    assert error.exit_code == 4
    assert error.__cause__ is None
    said = str(error).partition(f"{error.reason}: ")[2]
    assert ADVICE.search(said.rpartition(": ")[2]), said
    assert said[0] != said[0].upper() or said[0] == "`"
    assert not said.endswith(".")
    assert "\n" not in said
    assert "Error" not in said
    assert len(said) < 700
