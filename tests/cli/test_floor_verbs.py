"""floor new, show, raise and time: made once, only ever up, and every refusal with an exit code and no traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.device.doubles import MemoryTpm

Call = Callable[..., Any]


@pytest.fixture
def state(call: Call, tmp_path: Path) -> Path:
    """A state folder with a floor in a file."""
    assert call("floor", "new", tmp_path / "state").code == 0
    return tmp_path / "state"


@pytest.fixture
def keys(call: Call, tmp_path: Path) -> tuple[Path, Path]:
    """A key pair."""
    call("keys", "new", tmp_path / "release")
    return tmp_path / "release.key", tmp_path / "release.pub"


@pytest.fixture
def signed_time(call: Call, tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    """A signed time in 2026."""
    assert call("floor", "time", tmp_path / "now.json", "--at", "2026-11-21T09:00:00Z").code == 0
    assert call("sign", tmp_path / "now.json", "--key", keys[0]).code == 0
    return tmp_path / "now.json"


def shown(call: Call, state: Path) -> Any:
    return json.loads(call("floor", "show", state, "--format", "json").out)


def test_a_new_floor_is_made_and_shown(call: Call, tmp_path: Path) -> None:
    said = call("floor", "new", tmp_path / "state")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{tmp_path / 'state'}: a floor in a file, epoch 0\ntime none was ever signed\n"
    assert call("floor", "show", tmp_path / "state").out == said.out
    assert shown(call, tmp_path / "state") == {
        "state": str(tmp_path / "state"),
        "strength": "file",
        "epoch": 0,
        "time": None,
        "versions": {},
    }


def test_a_floor_is_made_once(call: Call, state: Path) -> None:
    before = (state / "floor").read_bytes()
    said = call("floor", "new", state)
    assert (said.code, (state / "floor").read_bytes()) == (2, before)
    assert "made once and never anew" in said.err


def test_versions_are_raised_and_never_lowered(call: Call, state: Path) -> None:
    assert call("floor", "raise", state, "--version", "primary=7", "--version", "policy=2").code == 0
    said = call("floor", "raise", state, "--version", "primary=3")
    assert said.code == 0
    assert said.out.endswith("policy 2\nprimary 7\n")
    assert shown(call, state)["versions"] == {"policy": 2, "primary": 7}


def test_a_signed_time_is_raised(
    call: Call, state: Path, signed_time: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("floor", "raise", state, "--time", signed_time, "--trust", keys[1]).code == 0
    assert shown(call, state)["time"] == "2026-11-21T09:00:00Z"
    monkeypatch.setenv("EDGEGUARD_TRUST", str(keys[1]))
    assert "time 2026-11-21T09:00:00Z" in call("floor", "raise", state, "--time", signed_time).out


def test_a_time_that_nobody_trusted_signed_raises_nothing(
    call: Call, state: Path, signed_time: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEGUARD_TRUST", raising=False)
    assert call("floor", "raise", state, "--time", signed_time).code == 2
    call("keys", "new", tmp_path / "other")
    said = call("floor", "raise", state, "--time", signed_time, "--trust", tmp_path / "other.pub")
    assert said.code == 4
    assert "unknown-signer" in said.err
    assert shown(call, state)["time"] is None


def test_a_signed_policy_is_no_time(call: Call, state: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"policy": 1}')
    call("sign", tmp_path / "other.json", "--key", keys[0])
    said = call("floor", "raise", state, "--time", tmp_path / "other.json", "--trust", keys[1])
    assert said.code == 4
    assert "statement-invalid" in said.err


def test_the_time_is_now_where_none_is_given(call: Call, tmp_path: Path) -> None:
    assert call("floor", "time", tmp_path / "now.json").code == 0
    assert json.loads((tmp_path / "now.json").read_text())["time"] > "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "words",
    [
        ("raise", "STATE"),
        ("raise", "STATE", "--version", "primary"),
        ("raise", "STATE", "--version", "primary=-1"),
        ("raise", "STATE", "--version", "primary=1e3"),
        ("raise", "STATE", "--version", "primary=" + "9" * 20),
        ("raise", "STATE", "--version", "primary=" + "9" * 19),
        ("raise", "STATE", "--version", "No Place=1"),
        ("raise", "STATE", "--version", "primary=\u0661"),
        ("time", "/nowhere/now.json"),
        ("time", "nul\0"),
        ("time", "now.json", "--at", "tomorrow"),
        ("new", "other", "--pcrs", "sha256:7"),
        ("new", "other", "--tpm", "--index", "x"),
        ("new", "missing/folder"),
    ],
)
def test_a_wrong_call_changes_nothing(
    words: tuple[str, ...], call: Call, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgeguard.device.tpm.open_tpm", MemoryTpm)
    before = sorted(tmp_path.rglob("*"))
    said = call("floor", *(str(state) if word == "STATE" else word for word in words))
    assert said.code == 2
    assert "error: " in said.err.lower()
    assert "Traceback" not in said.err
    assert (sorted(tmp_path.rglob("*")), shown(call, state)["epoch"]) == (before, 0)


@pytest.mark.parametrize("verb", [("show",), ("raise", "--version", "primary=1")])
def test_a_wiped_or_damaged_floor_is_refused(verb: tuple[str, ...], call: Call, state: Path) -> None:
    (state / "floor").write_text("damaged")
    said = call("floor", *verb, state)
    assert (said.code, said.out) == (4, "")
    assert "floor-damaged" in said.err
    (state / "floor").unlink()
    said = call("floor", *verb, state)
    assert (said.code, said.out) == (4, "")
    assert "floor-missing" in said.err
    assert not (state / "floor").exists()


def test_a_floor_with_a_tpm_is_made_shown_and_raised(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tpm = MemoryTpm()
    monkeypatch.setattr("edgeguard.device.tpm.open_tpm", lambda: tpm)
    monkeypatch.setattr("edgeguard.device.floors.open_tpm", lambda: tpm)
    state = tmp_path / "state"
    said = call("floor", "new", state, "--tpm", "--index", "0x01800001", "--pcrs", "sha256:7")
    assert (said.code, said.out.splitlines()[0]) == (0, f"{state}: a floor in a TPM, epoch 1")
    assert list(tpm.counters) == [0x01800001]
    assert call("floor", "raise", state, "--version", "primary=7").code == 0
    assert shown(call, state)["versions"] == {"primary": 7}
    tpm.counter_remove(0x01800001)
    assert "floor-missing" in call("floor", "show", state).err


def test_the_state_folder_may_come_from_the_environment(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEGUARD_STATE", raising=False)
    for verb in ("new", "show", "raise"):
        said = call("floor", verb, *(["--version", "primary=1"] if verb == "raise" else []))
        assert (said.code, said.err) == (2, "error: no state folder: name it, or set `EDGEGUARD_STATE`\n")
    monkeypatch.setenv("EDGEGUARD_STATE", str(tmp_path / "state"))
    assert call("floor", "new").code == 0
    assert call("floor", "raise", "--version", "primary=2").code == 0
    assert call("floor", "show").out == call("floor", "show", tmp_path / "state").out
