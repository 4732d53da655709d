"""The driver of tpm2-tools: what it refuses, whatever the commands do; and the double, held to the same behaviour."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeguard.device import tpm as driver
from edgeguard.device.tpm import SRK, Sealed, Tpm, Tpm2Tools, open_tpm
from edgeguard.errors import UsageError
from tests.device.doubles import MemoryTpm

AUTH = b"a" * 32
INDEX = 0x01800123
Fake = Callable[..., Tpm2Tools]


def test_a_counter_counts_from_above_every_counter_that_was_removed(
    tpm: Tpm, request: pytest.FixtureRequest
) -> None:
    assert tpm.counter_read(INDEX, AUTH) is None
    first = tpm.counter_create(INDEX, AUTH)
    assert tpm.counter_read(INDEX, AUTH) == first
    tpm.counter_increment(INDEX, AUTH)
    assert tpm.counter_read(INDEX, AUTH) == first + 1
    if isinstance(tpm, MemoryTpm):
        tpm.counter_remove(INDEX)
    else:
        request.getfixturevalue("swtpm").tool("tpm2_nvundefine", "-C", "o", hex(INDEX))
    assert tpm.counter_create(INDEX, AUTH) > first + 1


def test_a_counter_needs_its_password(tpm: Tpm) -> None:
    tpm.counter_create(INDEX, AUTH)
    for call in (tpm.counter_read, tpm.counter_increment):
        with pytest.raises(UsageError):
            call(INDEX, b"b" * 32)
    with pytest.raises(UsageError):
        tpm.counter_increment(INDEX + 1, AUTH)
    with pytest.raises(UsageError, match="already"):
        tpm.counter_create(INDEX, AUTH)


@pytest.mark.parametrize("secret", [b"s", b"\0" * 128, b"hex:00\n"])
def test_a_sealed_secret_comes_back_as_it_was(secret: bytes, tpm: Tpm) -> None:
    sealed = tpm.seal(secret)
    assert tpm.unseal(sealed) == secret
    assert secret not in sealed.public + sealed.private or len(secret) < 8


def test_a_sealed_secret_that_was_changed_or_is_bound_otherwise_does_not_come_back(swtpm: Any) -> None:
    tpm = Tpm2Tools(swtpm.tcti)
    plain, bound = tpm.seal(b"secret"), tpm.seal(b"secret", "sha256:0,16")
    wrong = bytearray(plain.private)
    wrong[-1] ^= 1
    for sealed in (
        Sealed(plain.public, bytes(wrong)),
        Sealed(plain.public[:-1], plain.private),
        Sealed(b"", b""),
        Sealed(bound.public, plain.private),
        Sealed(bound.public, bound.private),
        Sealed(bound.public, bound.private, "sha256:0,17"),
        Sealed(plain.public, plain.private, "", SRK),
    ):
        with pytest.raises(UsageError, match="refused `tpm2_"):
            tpm.unseal(sealed)
    assert tpm.unseal(bound) == b"secret"
    swtpm.tool("tpm2_pcrextend", f"16:sha256={'1' * 64}")
    for _ in range(8):  # refusals leave nothing behind in the TPM, which has room for three
        with pytest.raises(UsageError, match="refused `tpm2_unseal`"):
            tpm.unseal(bound)
    assert tpm.unseal(plain) == b"secret"


def test_something_else_under_the_index_is_not_taken_for_a_counter(swtpm: Any) -> None:
    tpm = Tpm2Tools(swtpm.tcti)
    for attributes in ("authread|authwrite|no_da", "nt=counter|authread|authwrite|ownerwrite|no_da"):
        swtpm.tool(
            "tpm2_nvdefine", hex(INDEX), "-C", "o", "-s", "8", "-a", attributes, "-p", f"hex:{AUTH.hex()}"
        )
        with pytest.raises(UsageError, match="something else under"):
            tpm.counter_read(INDEX, AUTH)
        swtpm.tool("tpm2_nvundefine", "-C", "o", hex(INDEX))


def test_no_secret_is_on_a_command_line_or_left_on_the_disk(
    swtpm: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen: list[str] = []
    left: list[bytes] = []
    real = subprocess.run

    def run(command: list[str], **kwargs: Any) -> Any:
        seen.extend(command)
        left.extend(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
        return real(command, **kwargs)

    monkeypatch.setattr(subprocess, "run", run)
    tpm = Tpm2Tools(swtpm.tcti)
    tpm.counter_create(INDEX, AUTH)
    assert tpm.unseal(tpm.seal(b"very secret", "sha256:7")) == b"very secret"
    assert AUTH.hex() not in " ".join(seen)
    assert not any(b"very secret" in data or AUTH in data for data in left)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("secret", [b"", b"s" * 129])
def test_what_no_tpm_seals_is_a_wrong_call(secret: bytes, swtpm: Any) -> None:
    with pytest.raises(UsageError, match="1 to 128 bytes"):
        Tpm2Tools(swtpm.tcti).seal(secret)


@pytest.mark.parametrize("pcrs", ["7", "sha256:24", "sha256:", "sha256:0;7", "sha256:0,7 -x", "md5:1"])
def test_what_names_no_pcrs_is_a_wrong_call(pcrs: str, swtpm: Any) -> None:
    with pytest.raises(UsageError, match="names no PCRs"):
        Tpm2Tools(swtpm.tcti).seal(b"s", pcrs)


@pytest.mark.parametrize("index", [0, -1, 0x017FFFFF, 0x01C00000, 0x81000001])
def test_what_is_no_owner_s_index_is_a_wrong_call(index: int, swtpm: Any) -> None:
    with pytest.raises(UsageError, match="no owner's NV index"):
        Tpm2Tools(swtpm.tcti).counter_read(index, AUTH)


@pytest.mark.parametrize(
    "name", ["", "/tmp/evil.so", "libevil.so:x", "device:/dev/tpm0 x", "cmd:sh -c id", "swtpm:\n"]
)
def test_what_names_no_tpm_is_a_wrong_call(name: str) -> None:
    with pytest.raises(UsageError, match="not how a TPM is named"):
        Tpm2Tools(name)


def test_a_tpm_that_is_not_there_is_refused_in_words(swtpm: Any) -> None:
    with pytest.raises(UsageError, match="refused `tpm2_nvreadpublic`"):
        Tpm2Tools("swtpm:path=/nowhere").counter_read(INDEX, AUTH)


# --- commands that misbehave ------------------------------------------------------------------------------------------


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A driver whose commands are these shell scripts; what is not given does nothing and succeeds."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(driver, "_FOLDERS", (str(tmp_path / "none"), str(folder)))

    def made(**scripts: str) -> Tpm2Tools:
        for verb in ("nvread", "nvreadpublic", "nvincrement", "nvdefine", "createprimary", "flushcontext"):
            scripts.setdefault(verb, ":")
        for verb, script in scripts.items():
            (folder / f"tpm2_{verb}").write_text(f"#!/bin/sh\n{script}\n")
            (folder / f"tpm2_{verb}").chmod(0o755)
        return Tpm2Tools("swtpm")

    return made


def _says_its_name(attributes: int) -> str:
    return f"printf 'x:\\n  name: {driver._name(INDEX, attributes)}\\n'"


def test_the_name_is_the_one_that_a_tpm_computes() -> None:
    """Printed by swtpm 0.7.1 for a counter under 0x01818e60 before and after its first increment."""
    assert [driver._name(0x01818E60, attributes) for attributes in (0x02040014, 0x22040014)] == [
        "000b3361017c028e70ff0105d129fa410773a8c2e6a5fe378613fce0b4b7272d491a",
        "000ba8e5ec4a87b5a78570196bad574c4aa7a31faac1ff4bd2b4ce3b9345525701de",
    ]


@pytest.mark.parametrize(
    ("scripts", "words"),
    [
        ({"nvreadpublic": "exit 1"}, "it gave no reason"),
        ({"nvreadpublic": "echo 'ERROR: no \033[31mroute' >&2; exit 1"}, r"no \\u001b\[31mroute"),
        ({"nvreadpublic": ":"}, "something else under"),
        ({"nvreadpublic": "echo '  name: 00'"}, "something else under"),
        ({"nvreadpublic": _says_its_name(0x02040014), "nvread": "printf 1234567"}, "has 7 bytes"),
        ({"nvreadpublic": _says_its_name(0x22040014), "nvread": "exit 3"}, "refused `tpm2_nvread`"),
        ({"nvreadpublic": "exec /bin/sleep 30"}, "did not answer"),
    ],
)
def test_an_answer_that_is_not_expected_is_an_error(
    scripts: dict[str, str], words: str, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "_SECONDS", 0.5 if "sleep" in str(scripts) else 60.0)
    with pytest.raises(UsageError, match=words):
        fake(**scripts).counter_read(INDEX, AUTH)


def test_a_counter_that_is_gone_once_it_was_made_is_an_error(fake: Fake) -> None:
    with pytest.raises(UsageError, match="does not have it"):
        fake(nvreadpublic="echo 'handle(0x18B)' >&2; exit 139").counter_create(INDEX, AUTH)


def test_a_command_that_is_no_program_is_an_error(fake: Fake, tmp_path: Path) -> None:
    tpm = fake()
    (tmp_path / "bin" / "tpm2_nvreadpublic").write_bytes(b"\x7fELF")
    with pytest.raises(UsageError, match="cannot start"):
        tpm.counter_read(INDEX, AUTH)


def test_without_tpm2_tools_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_FOLDERS", (str(tmp_path),))
    monkeypatch.delenv("EDGEGUARD_TPM", raising=False)
    with pytest.raises(UsageError, match="install the package tpm2-tools"):
        open_tpm()


def test_the_search_path_is_never_asked(tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "tpm2_nvread").write_text("#!/bin/sh\n")
    (evil / "tpm2_nvread").chmod(0o755)
    monkeypatch.setenv("PATH", f"{evil}:{os.environ['PATH']}")
    with pytest.raises(UsageError, match="install the package"):
        driver._tool("tpm2_nvread")
