"""A signed bundle in the place of another one: every folder may be written by a stranger, who can only copy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edgeguard.errors import ContractError
from edgeguard.wiring import check_roles


def admitted(**given: tuple[str, str]) -> Any:
    """(what it was signed as, digest) by the role that the policy gives it; `_` stands for a dot."""
    return {
        role.replace("_", "."): SimpleNamespace(digest=digest, manifest=SimpleNamespace(name="m", role=kind))
        for role, (kind, digest) in given.items()
    }


def test_bundles_in_their_own_places_pass() -> None:
    check_roles(
        admitted(
            primary=("primary", "a"),
            primary_1=("primary", "b"),
            filter=("filter", "c"),
            fused=("fused", "d"),
            redundant=("redundant", "e"),
            third=("redundant", "f"),
        )
    )


@pytest.mark.parametrize(
    "given",
    [
        {"redundant": ("primary", "b")},
        {"third": ("fused", "b")},
        {"filter": ("redundant", "b")},
        {"primary_1": ("redundant", "b")},
        {"fused": ("primary", "b")},
    ],
)
def test_a_bundle_that_was_signed_as_something_else_is_refused(given: dict[str, tuple[str, str]]) -> None:
    with pytest.raises(ContractError, match=r"`m` is signed as `\w+`, and the policy names it as `"):
        check_roles(admitted(primary=("primary", "a"), **given))


@pytest.mark.parametrize("role", ["primary_1", "primary_2"])
def test_a_model_that_takes_turns_with_itself_is_refused(role: str) -> None:
    with pytest.raises(ContractError, match=r"`primary` and `primary\.\d` are the same bundle `m`"):
        check_roles(admitted(primary=("primary", "a"), **{role: ("primary", "a")}))


def test_two_models_that_are_one_are_no_two_votes() -> None:
    with pytest.raises(ContractError, match="`redundant` and `third` are the same bundle `m`"):
        check_roles(
            admitted(primary=("primary", "a"), redundant=("redundant", "b"), third=("redundant", "b"))
        )
