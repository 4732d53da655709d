"""Every bad policy is refused with the expected code at the expected place; every code has a page and a fixture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeguard.desk.codes import FINDINGS
from edgeguard.errors import PolicyError
from edgeguard.policy.calibration import Calibration
from edgeguard.policy.codes import CODES
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.document import parse
from edgeguard.policy.reader import MOST_BYTES

if TYPE_CHECKING:
    from tests.policy.conftest import Hostile

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "errors"


def findings(data: bytes, calibration: Calibration | None = None) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        compile_policy(parse(data, file="p.yaml"), base=Path(), calibration=calibration)
    return caught.value


def test_bad_policy_is_refused_with_code_line_and_column(hostile: Hostile) -> None:
    error = findings(hostile.data, hostile.calibration)
    got = tuple(f"{d.code} {d.line}:{d.column}" for d in error.diagnostics)
    assert got == hostile.expected, str(error)
    assert error.exit_code == 3


def test_message_is_lower_case_without_full_stop_or_internal_names(hostile: Hostile) -> None:
    for finding in findings(hostile.data, hostile.calibration).diagnostics:
        for text in (finding.message, finding.hint):
            assert not text.endswith(".")
            assert not text[:1].isupper() or text.startswith("YAML")
            for word in (
                "NoneType",
                "dict",
                "str ",
                "pydantic",
                "Traceback",
                "tuple",
                "instance",
                "validator",
            ):
                assert word not in text


def test_too_large_file_is_refused_before_it_is_read() -> None:
    assert [d.code for d in findings(b"#" * (MOST_BYTES + 1)).diagnostics] == ["EG1001"]


def test_every_code_has_a_triggering_fixture(every_hostile: list[Hostile]) -> None:
    triggered = {expected.split()[0] for case in every_hostile for expected in case.expected}
    assert set(CODES) - triggered == {"EG1001"}  # built in memory above: it would be a large file
    assert len(every_hostile) >= 80


def test_every_code_has_a_page_with_cause_and_fix() -> None:
    pages = {page.stem: page.read_text() for page in PAGES.glob("EG*.md")}
    every = {**CODES, **FINDINGS}
    assert set(pages) == set(every)
    for code, title in every.items():
        assert pages[code].startswith(f"# {code}: {title}\n")
        assert "\n## Cause\n" in pages[code]
        assert "\n## Fix\n" in pages[code]


def test_index_of_errors_lists_every_code() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "error-index", "--show"], capture_output=True, text=True, check=True
    )
    assert (PAGES / "index.md").read_text() == done.stdout, "out of date: run tools/error-index"
