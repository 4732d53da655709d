"""Whatever the bytes: the loader gives a document or a policy error with places inside the file, nothing else."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.errors import Diagnostic, PolicyError
from edgeguard.policy import parse

SEED = (Path(__file__).parents[2] / "policies" / "sign_gate.yaml").read_bytes()
LINES = SEED.split(b"\n")
PIECES = st.sampled_from(
    b"\x00 |\n|\t|- |: |{|}|[|]|'|\"|&a |*a|!!x |#|>|\xff|\xc3\xa9|no|010|1e999|~|true|-1|inf|<<: |? |%|---\n|&&|"
    b"calibrated.|speed|999999999999999999999|0x|1:30|\xe2\x80\xae|  |||".split(b"|")
)
EDITS = st.lists(st.tuples(st.integers(0, len(SEED)), st.integers(0, 12), PIECES), min_size=1, max_size=6)


def findings(data: bytes) -> tuple[Diagnostic, ...] | None:
    try:
        parse(data, file="p.yaml")
    except PolicyError as error:
        return error.diagnostics
    return None


def holds(data: bytes) -> None:
    found = findings(data)
    lines = data.count(b"\n") + data.count(b"\r") + 2
    assert found is None or found
    assert all(1 <= d.line <= lines and d.column >= 1 for d in found or ())


@settings(max_examples=150)
@given(EDITS)
def test_mutated_policy_is_read_or_refused(edits: list[tuple[int, int, bytes]]) -> None:
    data = SEED
    for at, length, piece in edits:
        data = data[:at] + piece + data[at + length :]
    holds(data)


@settings(max_examples=100)
@given(st.lists(st.integers(0, len(LINES) - 1), max_size=60))
def test_shuffled_lines_are_read_or_refused(order: list[int]) -> None:
    holds(b"\n".join(LINES[i] for i in order))


@settings(max_examples=50)
@given(st.integers(0, len(SEED)))
def test_policy_cut_anywhere_is_read_or_refused(length: int) -> None:
    holds(SEED[:length])
