"""`edgeguard publish` and `edgeguard pull` as commands: what they say, their exit codes, and never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.delivery.builders_delivery import rewrite_json

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Publisher

Say = Callable[..., tuple[int, str, str]]


def test_a_pull_answers_programs_too(pull: Say, publisher: Publisher, tmp_path: Path) -> None:
    code, out, _ = pull("--root", publisher.first_root, "--format", "json")
    answer = json.loads(out)
    assert code == 0
    assert answer["current"] == str(tmp_path / "state/current")
    assert (answer["release"], answer["changed"], answer["fetched"]) == ("1", True, 7)
    assert "models/signs/model.onnx" in answer["files"]
    code, out, _ = pull("--format", "json")
    assert (code, json.loads(out)["changed"]) == (0, False)


def test_a_refusal_exits_with_4_and_names_its_reason(pull: Say, publisher: Publisher) -> None:
    pull("--root", publisher.first_root)
    rewrite_json(publisher.repo / "metadata/timestamp.json", lambda v: v["signed"].update(version=9))
    code, _, err = pull()
    assert code == 4
    assert err.startswith("error: repository: below-threshold: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "give its root once with `--root root.json`"),
        (("--root", "nowhere.json"), "cannot read `nowhere.json`"),
        (("--device", "../x"), "cannot name a device"),
    ],
)
def test_a_wrong_option_exits_with_2(pull: Say, options: tuple[str, ...], said: str) -> None:
    code, _, err = pull(*options)
    assert code == 2
    assert said in err


@pytest.mark.parametrize(
    "root", [b"", b"{}", b"[1]", b'{"signed": {"_type": "root"}, "signatures": []}', b"\xff"]
)
def test_a_root_that_is_none_is_refused_and_not_kept(pull: Say, tmp_path: Path, root: bytes) -> None:
    (tmp_path / "bad.json").write_bytes(root)
    code, _, err = pull("--root", tmp_path / "bad.json")
    assert code == 4
    assert "metadata-invalid" in err
    assert not (tmp_path / "state/root.json").exists()


def test_other_metadata_than_a_root_is_refused(pull: Say, publisher: Publisher) -> None:
    code, _, err = pull("--root", publisher.repo / "metadata/timestamp.json")
    assert code == 4
    assert "this is `timestamp` and not the root" in err


def test_a_root_that_its_own_keys_did_not_sign_is_refused(pull: Say, publisher: Publisher) -> None:
    publisher.forge("root", lambda _: None, "root1")
    code, _, err = pull("--root", publisher.first_root)
    assert code == 4
    assert "below-threshold" in err


def test_without_a_key_nothing_is_pulled(say: Say, publisher: Publisher, tmp_path: Path) -> None:
    code, _, err = say("pull", publisher.repo, "--state", tmp_path / "s", "--root", publisher.first_root)
    assert code == 2
    assert "no key to verify with" in err
    assert not (tmp_path / "s").exists()


def test_a_floor_in_the_state_folder_is_held_against_what_is_pulled(
    pull: Say, publisher: Publisher, tmp_path: Path
) -> None:
    from edgeguard.device.floors import create_floor

    create_floor(tmp_path / "state").raise_to({"primary": 4})
    code, _, err = pull("--root", publisher.first_root)
    assert code == 4
    assert "rollback" in err
    assert "this device ran 4 already" in err


def test_a_time_in_the_floor_is_later_than_a_clock_that_was_turned_back(
    pull: Say, publisher: Publisher, tmp_path: Path
) -> None:
    from edgeguard.device.floors import create_floor

    create_floor(tmp_path / "state").raise_to({}, time=4e9)
    code, _, err = pull("--root", publisher.first_root)
    assert code == 4
    assert "expired" in err


def test_without_python_tuf_both_verbs_say_what_to_install(
    pull: Say, say: Say, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    import builtins
    import importlib

    def gone(name: str, *rest: Any) -> Any:
        if name.startswith("tuf"):
            raise ImportError(name)
        return builtins.__import__(name, *rest)

    monkeypatch.setattr(importlib, "import_module", gone)
    for code, _, err in (pull("--root", publisher.first_root), say("publish", "show", publisher.repo)):
        assert code == 2
        assert "install `edgeguard-runtime[tuf]`" in err


def test_a_device_that_the_repository_does_not_know_is_told_so(pull: Say, publisher: Publisher) -> None:
    code, out, _ = pull("--root", publisher.first_root, "--device", "cell-7")
    assert code == 0
    assert "nothing is offered to `cell-7` alone: the repository has no role `device-cell-7`" in out
