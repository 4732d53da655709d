"""`edgeguard publish` as a command: what they say, their exit codes, and never a traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.delivery.builders_delivery import POLICY, rewrite_json
from tests.hostile.bundles.builders import good_model, manifest, sha256, write_files

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Publisher

Say = Callable[..., tuple[int, str, str]]


def test_show_tells_what_is_staged_against_what_is_released(say: Say, publisher: Publisher) -> None:
    publisher.bundle("signs", version=4)
    publisher.bundle("spare")
    publisher.add("models/signs", "models/spare")
    _, out, _ = say("publish", "show", publisher.repo)
    assert "models 2: staged, 0 of 2 signatures, 2 missing" in out
    assert "policies 1: released, 1 of 1 signatures, valid until" in out
    assert any(line.startswith("+ models/signs/edgeguard.json ") for line in out.splitlines())
    assert any(line.startswith("  models/signs/model.onnx ") for line in out.splitlines())
    say("publish", "remove", publisher.repo, "models/signs")
    code, out, _ = say("publish", "show", publisher.repo, "--format", "json")
    answer = json.loads(out)
    assert code == 0
    assert "- models/signs/model.onnx" in answer["offers"]["models"]
    (models,) = [role for role in answer["roles"] if role["role"] == "models"]
    assert (models["version"], models["staged"], models["signed"], models["needed"]) == (2, True, 0, 2)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("new", "REPO"), "Missing option"),
        (("new", "NEW", "--key", "root=KEYS/root1.pub"), "nobody signs for `timestamp`"),
        (("new", "NEW", "--key", "root"), "write ROLE=VALUE"),
        (("new", "NEW", "--key", "root=KEYS/root1.pub", "--threshold", "models=2"), "`models` has no key"),
        (("new", "NEW", "--key", "root=KEYS/root1.pub", "--threshold", "root=x"), "give a whole number"),
        (("new", "NEW", "--key", "root=KEYS/root1.key"), "holds a private key"),
        (("show", "NOWHERE"), "cannot read"),
        (("sign", "REPO", "--key", "KEYS/root1.key"), "waits for signatures"),
        (("sign", "REPO", "--key", "NOWHERE"), "cannot read the private key"),
        (("remove", "REPO", "models/none"), "is not offered: name one of models/signs"),
        (("remove", "REPO", "models/signs", "--device", "x"), "there is no role `device-x`"),
        (("add", "REPO", "MODELS/signs"), "no key to admit with"),
        (("add", "REPO", "NOWHERE", "--trust", "KEYS/release.pub"), "is not there"),
        (("keys", "REPO", "models"), "name the keys of the role"),
        (("keys", "REPO", "device-x", "--remove"), "is not the role of a device"),
        (("keys", "REPO", "models", "--remove"), "is not the role of a device"),
        (("keys", "REPO", "models", "--key", "KEYS/root1.pub", "--days", "0"), "cannot be valid for 0 days"),
        (("renew", "REPO", "timestamp"), "is made anew by"),
        (("renew", "REPO", "cameras"), "has no role `cameras`"),
    ],
)
def test_publishing_something_that_cannot_be_exits_with_2(
    say: Say, publisher: Publisher, tmp_path: Path, args: tuple[str, ...], said: str
) -> None:
    places = {
        "REPO": publisher.repo,
        "NEW": tmp_path / "new",
        "NOWHERE": tmp_path / "nowhere",
        "KEYS": publisher.folder / "keys",
        "MODELS": publisher.folder / "models",
    }
    filled = [
        re.sub("NEW|NOWHERE|REPO|KEYS|MODELS", lambda found: str(places[found[0]]), arg) for arg in args
    ]
    code, _, err = say("publish", *filled)
    assert code == 2, err
    assert said in err


def test_a_bundle_that_a_device_would_refuse_is_not_published(say: Say, publisher: Publisher) -> None:
    publisher.bundle("spare", key="other")
    trust = publisher.folder / "keys/release.pub"
    code, _, err = say("publish", "add", publisher.repo, publisher.folder / "models/spare", "--trust", trust)
    assert code == 4
    assert "unknown-signer" in err
    assert publisher.repository.staged_roles() == []


def test_a_bundle_that_a_policy_pins_needs_no_signature_of_ours(
    say: Say, pull: Say, publisher: Publisher, tmp_path: Path
) -> None:
    from edgeguard.admission import sign_file
    from edgeguard.admission.keys import load_private_key
    from edgeguard.admission.statement import folder_statement, pin_digest

    theirs = write_files(
        publisher.folder / "models/theirs", {"model.onnx": good_model(), "LICENSE": b"free\n"}
    )
    digests = {path.name: sha256(path.read_bytes()) for path in theirs.iterdir()}
    pin = pin_digest(folder_statement(digests, "theirs").resources)
    ours = publisher.folder / "policies/theirs.json"
    ours.write_bytes(manifest())
    sign_file(ours, load_private_key(publisher.folder / "keys/release.key"))
    text = POLICY.replace("../models/signs", f'../models/theirs, pin: "{pin}", manifest: theirs.json')
    publisher.policy("theirs.yaml", text)
    trust = ("--trust", publisher.folder / "keys/release.pub")
    add = ("publish", "add", publisher.repo, theirs, "--manifest", ours, *trust, "--pin")
    code, _, err = say(*add, "0" * 64)
    assert code == 4
    assert "pin-mismatch" in err
    assert say(*add, pin)[0] == 0
    assert (
        say("publish", "add", publisher.repo, ours, publisher.folder / "policies/theirs.yaml", *trust)[0] == 0
    )
    publisher.release()
    code, out, err = pull("--root", publisher.first_root)
    assert code == 0, err
    assert f"policy {tmp_path}/state/current/policies/theirs.yaml" in out


def test_adding_a_policy_warns_of_what_no_device_would_find(say: Say, publisher: Publisher) -> None:
    publisher.policy("other.yaml", POLICY.replace("../models/signs", "../models/spare"))
    trust = ("--trust", publisher.folder / "keys/release.pub")
    code, _, err = say("publish", "add", publisher.repo, publisher.folder / "policies/other.yaml", *trust)
    assert code == 0
    assert err.startswith("warning: policies/other.yaml names models/spare, which is not offered: add it")
    assert len(err.splitlines()) == 1
    publisher.bundle("spare")
    both = (publisher.folder / "policies/other.yaml", publisher.folder / "models/spare")
    assert say("publish", "add", publisher.repo, *both, *trust)[2] == ""


def test_a_refusal_names_the_file_on_the_desk(say: Say, publisher: Publisher) -> None:
    trust = ("--trust", publisher.folder / "keys/release.pub")
    (publisher.folder / "models/signs/model.onnx").write_bytes(b"x")
    (publisher.folder / "policies/gate.yaml").write_bytes(b"x")
    for name in ("models/signs/model.onnx", "policies/gate.yaml"):
        at = publisher.folder / name
        path = at.parent if name.startswith("models/") else at
        code, _, err = say("publish", "add", publisher.repo, path, *trust)
        assert (code, err.startswith(f"error: {at}: digest-mismatch: ")) == (4, True)


def test_a_release_below_a_threshold_exits_with_4(say: Say, publisher: Publisher) -> None:
    publisher.bundle("signs", version=4)
    publisher.add("models/signs")
    code, _, err = say("publish", "release", publisher.repo, "--key", publisher.folder / "keys/online.key")
    assert code == 4
    assert "below-threshold: `models` 2 has 0 of 2 signatures" in err
    publisher.sign("models1", "models2")
    code, _, err = say("publish", "release", publisher.repo, "--key", publisher.folder / "keys/other.key")
    assert code == 4
    assert "`snapshot` 2 has 0 of 1 signatures" in err
    assert publisher.repository.versions()["models"] == 1


def test_a_new_repository_is_not_made_over_an_old_one(say: Say, publisher: Publisher) -> None:
    keys = publisher.folder / "keys"
    roles = [f"--key={role}={keys}/root1.pub" for role in ("root", "models", "policies", "timestamp")]
    code, _, err = say("publish", "new", publisher.repo, *roles)
    assert code == 2
    assert "exists and is not empty" in err


@pytest.mark.parametrize("data", [b"", b"{}", b"nothing", b'{"signed": 1, "signatures": []}'])
def test_staged_metadata_that_was_damaged_is_refused(say: Say, publisher: Publisher, data: bytes) -> None:
    (publisher.repo / "staged/models.json").write_bytes(data)
    for args in (("show",), ("sign", "--key", publisher.folder / "keys/models1.key")):
        code, _, err = say("publish", args[0], publisher.repo, *args[1:])
        assert code == 4
        assert "metadata-invalid" in err


def test_keys_on_the_larger_curves_sign_a_repository(tmp_path: Path, say: Say) -> None:
    from edgeguard.admission import new_key

    for name, curve in (("a", "P-384"), ("b", "P-521")):
        new_key(tmp_path / f"{name}.key", tmp_path / f"{name}.pub", curve=curve)
    owner = {"root": "a", "models": "b", "policies": "b", "timestamp": "a"}
    roles = [f"--key={role}={tmp_path}/{name}.pub" for role, name in owner.items()]
    assert say("publish", "new", tmp_path / "repo", *roles)[0] == 0
    keys = ("--key", tmp_path / "a.key", "--key", tmp_path / "b.key")
    assert say("publish", "sign", tmp_path / "repo", *keys)[0] == 0
    assert say("publish", "release", tmp_path / "repo", *keys)[0] == 0


@pytest.mark.parametrize("role", ["root", "targets", "models"])
def test_metadata_of_another_kind_that_was_staged_is_refused(
    say: Say, publisher: Publisher, role: str
) -> None:
    staged = publisher.repo / "staged" / f"{role}.json"
    staged.write_bytes((publisher.repo / "metadata/1.snapshot.json").read_bytes())
    code, _, err = say("publish", "show", publisher.repo)
    assert code == 4
    assert "metadata-invalid" in err


def test_a_staged_root_that_leaves_one_out_is_refused(say: Say, publisher: Publisher) -> None:
    staged = publisher.repo / "staged/root.json"
    staged.write_bytes(publisher.first_root.read_bytes())
    rewrite_json(staged, lambda v: v["signed"].update(version=3))
    code, _, err = say("publish", "show", publisher.repo)
    assert code == 4
    assert "not the one after 1" in err


@pytest.mark.parametrize("change", ["gone", "other"])
def test_a_release_without_its_files_is_not_made(say: Say, publisher: Publisher, change: str) -> None:
    publisher.bundle("spare")
    publisher.add("models/spare")
    publisher.sign("models1", "models2")
    place = publisher.target("models/spare/model.sig")
    place.unlink()
    if change == "other":
        place.write_bytes(b"other")
    code, _, err = say("publish", "release", publisher.repo, "--key", publisher.folder / "keys/online.key")
    assert code == 4
    assert ("file-missing" if change == "gone" else "digest-mismatch") in err
    assert publisher.repository.versions()["snapshot"] == 1


def test_a_token_signs_metadata_as_a_file_does(publisher: Publisher) -> None:
    from edgeguard.delivery import publish

    class Token:
        """Shows no private key."""

        def __init__(self, key: Any) -> None:
            self.public = key.public
            self.sign = key.sign

    publisher.bundle("signs", version=4)
    publisher.add("models/signs")
    (found,) = publish.sign(publisher.repository, [Token(publisher.private("models1"))])
    assert found.signed == 1


def test_a_state_folder_is_private(pull: Say, publisher: Publisher, tmp_path: Path) -> None:
    pull("--root", publisher.first_root)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_role_is_renewed_as_it_is(say: Say, publisher: Publisher) -> None:
    before = publisher.repository.changes("models")
    code, out, _ = say("publish", "renew", publisher.repo, "models", "root")
    assert code == 0
    assert "models 2: staged, 0 of 2 signatures" in out
    assert "root 2: staged, 0 of 2 signatures" in out
    publisher.release()
    assert publisher.repository.changes("models") == before


def test_no_timestamp_is_made_before_the_first_release(
    say: Say, publisher: Publisher, tmp_path: Path
) -> None:
    keys = publisher.folder / "keys"
    roles = [f"--key={role}={keys}/online.pub" for role in ("root", "models", "policies", "timestamp")]
    say("publish", "new", tmp_path / "repo", *roles)
    code, _, err = say("publish", "timestamp", tmp_path / "repo", "--key", keys / "online.key")
    assert code == 2
    assert "has no release yet" in err
