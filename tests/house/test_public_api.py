"""The public names: all there, none by accident, none that costs before it is used."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import edgeguard
from edgeguard import errors

ROOT = Path(__file__).parents[2]
PUBLIC = {
    "AdmissionError",
    "Answer",
    "Authority",
    "Command",
    "ContractError",
    "DecisionLog",
    "EdgeguardError",
    "Event",
    "Frame",
    "Guard",
    "LinkError",
    "LoadedPolicy",
    "Mode",
    "PolicyError",
    "Signal",
    "SourceError",
    "UsageError",
    "Verdict",
    "load_policy",
    "trust_keys",
    "open_link",
}


def test_the_public_names_are_these_and_no_others() -> None:
    assert set(edgeguard.__all__) == PUBLIC
    assert set(dir(edgeguard)) == PUBLIC | {"__version__"}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    value = getattr(edgeguard, name)
    assert value.__doc__


def test_a_misspelt_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="`load_polcy`"):
        _ = edgeguard.load_polcy  # type: ignore[attr-defined]


def test_every_error_is_public_and_descends_from_one_root() -> None:
    tree = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert tree <= set(edgeguard.__all__)
    assert all(issubclass(getattr(errors, name), errors.EdgeguardError) for name in tree)


def test_every_error_has_the_exit_code_that_its_tree_promises() -> None:
    codes = {name: getattr(errors, name).exit_code for name in PUBLIC if name.endswith("Error")}
    assert codes == {
        "EdgeguardError": 1,
        "UsageError": 2,
        "LinkError": 2,
        "SourceError": 2,
        "PolicyError": 3,
        "AdmissionError": 4,
        "ContractError": 4,
    }


def test_the_distribution_carries_the_version_of_the_package() -> None:
    try:
        installed = metadata.version("edgeguard-runtime")
    except metadata.PackageNotFoundError:
        pytest.skip("the project is not installed in this environment")
    assert installed == edgeguard.__version__


def test_the_command_and_the_module_are_the_same_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgeguard", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "policy" in done.stdout
