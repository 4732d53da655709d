"""What a hostile policy can make the checks do: effort counted, not timed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edgeguard.errors import PolicyError
from edgeguard.policy import diagnostics
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.document import parse
from edgeguard.policy.expr import interpreter

HEAD = """\
edgeguard: 1
policy: {name: effort, version: 1}
envelope: {a: {min: 0, max: 1, safe: 0}}
signals:
"""
SIGNAL = "{from: context, range: [0, 1], max_age: 1s}"
NAMES = [f"n{i:03}" + "ab" * 8 for i in range(200)]
SIGNALS = "".join(f"  {name}: {SIGNAL}\n" for name in NAMES)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many names each hint was looked for in."""
    found: list[int] = []
    real = difflib.get_close_matches

    def count(word: str, known: Sequence[str], n: int = 3, cutoff: float = 0.6) -> list[str]:
        found.append(len(known))
        return list(real(word, known, n, cutoff))

    monkeypatch.setattr(difflib, "get_close_matches", count)
    return found


def unknown(prefix: str) -> str:
    return "".join(f"{prefix}n{i:03}{'ba' * 8}: 0\n" for i in range(300))


@pytest.mark.parametrize(
    "section",
    [
        "tests:\n- name: t\n  expect: {mode: standby}\n  given:\n" + unknown("    "),
        "fallback:\n- command:\n" + unknown("    "),
        "redundancy:\n"
        + "".join(f"- {{id: r{i}, agree: [x{i}, y{i}], tolerance: 1, then: rules}}\n" for i in range(300)),
    ],
    ids=["given", "command", "agree"],
)
def test_no_hint_is_looked_for_once_findings_are_only_counted(section: str, compared: list[int]) -> None:
    with pytest.raises(PolicyError) as caught:
        parse((HEAD + SIGNALS + section).encode(), file="effort.yaml")
    assert len(compared) <= diagnostics.MOST_SHOWN + 1
    assert len(caught.value.diagnostics) == diagnostics.MOST_SHOWN + 1


def test_long_names_are_compared_with_few(compared: list[int]) -> None:
    diagnostics.suggest("ab" * 32, [f"n{i:03}" + "ba" * 30 for i in range(200)])
    assert compared == [diagnostics.MOST_COMPARED // 64**2]


def test_a_name_that_is_misspelt_all_over_an_expression_is_looked_up_once(compared: list[int]) -> None:
    text = " || ".join(["n000ababababababab < 1"] * 30)
    with pytest.raises(PolicyError):
        parse((HEAD + SIGNALS + f"rules: [{{id: r, when: {text}, then: rules}}]\n").encode(), file="f")
    assert len(compared) == 1


def test_a_constant_sum_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[object] = []
    real: Callable[..., float | None] = interpreter.number

    def count(*given: object) -> float | None:
        found.append(given)
        return real(*given)

    monkeypatch.setattr(interpreter, "number", count)
    text = HEAD + f"  x: {SIGNAL}\nrules: [{{id: r, when: {' + '.join(['1'] * 100)} < x, then: rules}}]\n"
    compile_policy(parse(text.encode(), file="f"), base=Path("/p"))
    assert len(found) <= 4  # when looked at, and when compiled for each function


def test_an_overflow_beside_a_signal_is_still_found() -> None:
    text = (
        HEAD + f"  x: {SIGNAL}\nrules: [{{id: r, when: 'x + (1e308 * 10.0 - 1e308) > 0.0', then: rules}}]\n"
    )
    with pytest.raises(PolicyError, match="EG1206"):
        compile_policy(parse(text.encode(), file="f"), base=Path("/p"))
