"""`edgeguard policy prove` as people meet it: its page, its formats, its exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.cli.app import invoke

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "prove-a-policy.md"
VIOLATIONS = Path(__file__).parent / "violations"

Prove = Callable[..., tuple[int, str, str]]


@pytest.fixture
def prove(capsys: pytest.CaptureFixture[str]) -> Prove:
    def called(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = invoke(["policy", "prove", *(str(a) for a in args)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return called


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def timeless(text: str) -> str:
    return re.sub(r"in \d+\.\d s", "in 0.3 s", text)


def test_the_page_shows_what_the_verb_says(
    prove: Prove, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    policy, cases = blocks("yaml")
    first, mended, second = blocks("text")
    Path("door.yaml").write_text(policy)
    code, out, _ = prove("door.yaml", "--save", "cases.yaml")
    assert (code, timeless(out)) == (5, first)
    assert Path("cases.yaml").read_text() == cases
    signal, invariant = mended.splitlines()
    lines = [signal if s.startswith("  distance:") else s for s in policy.split("\n")]
    lines = [invariant if s.startswith("  - {never:") else s for s in lines]
    Path("door.yaml").write_text("\n".join(lines))
    code, out, _ = prove("door.yaml", "--only", "pairs", "--only", "invariants")
    assert (code, timeless(out)) == (0, second)


def test_json_holds_every_theorem_and_the_table_of_pairs(prove: Prove) -> None:
    code, out, _ = prove(VIOLATIONS / "pairs.yaml", "--format", "json")
    found = json.loads(out)
    assert code == 5
    status = {t["name"]: t["status"] for t in found["theorems"]}
    assert status.pop("pairs") == "refuted"
    assert set(status.values()) == {"proved"}
    (table,) = [t["pairs"] for t in found["theorems"] if t["name"] == "pairs"]
    assert {"causes", "together", "authority", "when_nobody_took_over"} == set(table[0])
    assert [d["code"] for d in found["diagnostics"]] == ["EG1607"]


@pytest.mark.parametrize(("form", "says"), [("sarif", '"ruleId": "EG1606"'), ("github", "title=EG1606::")])
def test_findings_are_told_to_code_hosts(prove: Prove, form: str, says: str) -> None:
    code, out, _ = prove(VIOLATIONS / "takeover.yaml", "--only", "takeover", "--format", form)
    assert code == 5
    assert says in out


def test_a_policy_that_does_not_load_is_refused_as_ever(prove: Prove, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("edgeguard: 1\n")
    code, _, err = prove(path)
    assert code == 3
    assert "EG11" in err


def test_an_unknown_theorem_is_a_usage_error(prove: Prove) -> None:
    code, _, err = prove(VIOLATIONS / "takeover.yaml", "--only", "everything")
    assert code == 2
    assert "`everything`" in err


def test_nothing_is_saved_where_all_is_proved(prove: Prove, tmp_path: Path) -> None:
    cases = tmp_path / "cases.yaml"
    code, _, err = prove(VIOLATIONS / "takeover.yaml", "--only", "total", "--save", cases)
    assert code == 0
    assert not cases.exists()
    assert "not written" in err


@pytest.mark.parametrize(
    "words", [("prove", "--save"), ("table", "--output"), ("doc", "--format", "md", "--output")]
)
def test_nothing_is_written_over_the_policy_that_it_was_made_from(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "door.yaml"
    policy.write_text(blocks("yaml")[0])
    assert invoke(["policy", words[0], str(policy), *words[1:], f"{tmp_path}/./door.yaml"]) == 2
    assert "door.yaml` is the policy itself: write to another file" in capsys.readouterr().err
    assert policy.read_text() == blocks("yaml")[0]
