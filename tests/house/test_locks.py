"""The lock files: every package by exact version and digest, and no word of where it came from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("demo.txt", "dev.txt", "runtime.txt")
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[^\s;]+)(?P<marker> ;[^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def pins(lock: str) -> set[tuple[str, str]]:
    """Name and version of every line of a lock that is a pin."""
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    return {(m["name"], m["version"]) for line in lines if (m := PIN.match(line))}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_a_pin_or_a_digest(lock: str) -> None:
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    assert [line for line in lines if not PIN.match(line) and not HASH.match(line)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_digests(lock: str) -> None:
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    bare = [
        a for a, b in zip([*lines, ""], [*lines[1:], ""], strict=False) if PIN.match(a) and not HASH.match(b)
    ]
    assert bare == []


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").iterdir()), ids=lambda path: path.name)
def test_no_requirements_file_names_a_registry_or_a_path(path: Path) -> None:
    assert not re.search(
        r"https?:|file:/|index-url|find-links|trusted-host|^-e|@ |\.whl", path.read_text(), re.MULTILINE
    )


@pytest.mark.parametrize(("small", "large"), [("runtime.txt", "demo.txt"), ("demo.txt", "dev.txt")])
def test_the_smaller_lock_is_part_of_the_larger_one(small: str, large: str) -> None:
    assert pins(small) <= pins(large)


def test_the_runtime_lock_holds_nothing_of_a_desk() -> None:
    names = {name for name, _ in pins("runtime.txt")}
    assert (
        names & {"matplotlib", "jinja2", "pillow", "torch", "pytest", "opencv-python-headless", "mkdocs"}
        == set()
    )


def test_the_lock_serves_the_jetson_floor() -> None:
    """Python 3.10 has older newest releases; a lock made on a newer Python alone would not install there."""
    text = (ROOT / "requirements" / "runtime.txt").read_text()
    for name in ("numpy", "onnxruntime"):
        assert re.search(rf"^{name}==\S+ ; python_full_version < '3\.11'", text, re.MULTILINE), name
