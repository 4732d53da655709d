"""A signed bundle in the place of another one: every folder may be written by a stranger, who can only copy."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeguard.admission import admit_models
from edgeguard.errors import AdmissionError, ContractError
from edgeguard.program import ModelRef
from edgeguard.terms import AdmissionTerms, Pin, SignerTerm
from edgeguard.wiring import check_twins
from tests.hostile.bundles.builders import Forge, good_files, manifest, write_files


def admitted(**given: str) -> Any:
    """A model's digest by the role that the policy gives it; `_` stands for a dot."""
    return {
        role.replace("_", "."): SimpleNamespace(digest=digest, manifest=SimpleNamespace(name="m"))
        for role, digest in given.items()
    }


@pytest.mark.parametrize(
    ("place", "role"),
    [
        ("redundant", "primary"),
        ("third", "primary"),
        ("filter", "primary"),
        ("primary.1", "redundant"),
        ("primary", "redundant"),
        ("fused", "primary"),
    ],
)
def test_a_bundle_that_was_signed_as_something_else_is_refused(place: str, role: str, tmp_path: Path) -> None:
    forge = Forge.at(tmp_path)
    files = {**good_files(), "edgeguard.json": manifest(lambda m: m.update(role=role))}
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    terms = AdmissionTerms((SignerTerm(key=Pin(str(forge.public_path), forge.key.public().hint)),))
    home = "redundant" if role == "redundant" else "primary.7"
    assert admit_models([ModelRef(home, str(folder))], terms)[home].manifest.role == role
    with pytest.raises(AdmissionError) as refused:
        admit_models([ModelRef(place, str(folder))], terms)
    assert refused.value.reason == "wrong-role"


def test_different_bundles_pass() -> None:
    check_twins(admitted(primary="a", primary_1="b", filter="c", fused="d", redundant="e", third="f"))


@pytest.mark.parametrize("role", ["primary_1", "primary_2"])
def test_a_model_that_takes_turns_with_itself_is_refused(role: str) -> None:
    with pytest.raises(ContractError, match=r"`primary` and `primary\.\d` are the same bundle `m`"):
        check_twins(admitted(primary="a", **{role: "a"}))


def test_two_models_that_are_one_are_no_two_votes() -> None:
    with pytest.raises(ContractError, match="`redundant` and `third` are the same bundle `m`"):
        check_twins(admitted(primary="a", redundant="b", third="b"))
