"""A floor tied to a TPM's counter: old copies, wiped files, other devices, cuts, and a TPM that is not there.

Every test runs with the double and with a software TPM through tpm2-tools.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgeguard.device.floor_file import FLOOR, KEY, Held, Secret, decode, encode
from edgeguard.device.floor_tpm import INDEX
from edgeguard.device.floors import create_floor, open_floor
from edgeguard.device.sealed import decode as decode_sealed
from edgeguard.device.sealed import seal
from edgeguard.device.tpm import SRK, Tpm, Tpm2Tools, open_tpm
from edgeguard.errors import AdmissionError, UsageError
from edgeguard.here import Device
from edgeguard.terms import AdmissionTerms
from tests.device.doubles import MemoryTpm


def refused(state: Path, tpm: Tpm, reason: str, words: str = "floor-") -> None:
    with pytest.raises(AdmissionError, match=words) as caught:
        open_floor(state, tpm=tpm)
    assert caught.value.reason == reason


def secret_of(state: Path, tpm: Tpm) -> Secret:
    return Secret(tpm.unseal(decode_sealed((state / KEY).read_bytes(), "key")))


def test_it_is_made_raised_and_opened_again(state: Path, tpm: Tpm) -> None:
    floor = create_floor(state, tpm)
    assert (floor.strength, floor.at("primary"), floor.time) == ("tpm", 0, 0.0)
    floor.raise_to({"primary": 7}, 1795251600.0)
    floor.raise_to({"primary": 6, "policy": 1})
    again = open_floor(state, tpm)
    assert (again.at("primary"), again.at("policy"), again.time) == (7, 1, 1795251600.0)
    assert {p.name for p in state.iterdir()} == {FLOOR, KEY}


def test_fifty_raises_are_each_there_afterwards(state: Path, tpm: Tpm) -> None:
    floor = create_floor(state, tpm)
    for version in range(1, 51):
        floor.raise_to({"primary": version})
        if version % 10 == 0:
            floor = open_floor(state, tpm=tpm)
    assert open_floor(state, tpm=tpm).at("primary") == 50


def test_every_old_copy_of_the_file_is_refused(state: Path, tpm: Tpm) -> None:
    floor = create_floor(state, tpm)
    copies = [(state / FLOOR).read_bytes()]
    for version in (1, 2, 3):
        floor.raise_to({"primary": version})
        copies.append((state / FLOOR).read_bytes())
    for old in copies[:-1]:
        (state / FLOOR).write_bytes(old)
        refused(state, tpm, "floor-damaged", "is of epoch")
    (state / FLOOR).write_bytes(copies[-1])
    assert open_floor(state, tpm=tpm).at("primary") == 3


def test_an_old_copy_of_the_whole_folder_is_refused(state: Path, tpm: Tpm, tmp_path: Path) -> None:
    floor = create_floor(state, tpm)
    shutil.copytree(state, tmp_path / "backup")
    floor.raise_to({"primary": 1})
    refused(tmp_path / "backup", tpm, "floor-damaged", "is of epoch")


def test_two_copies_of_one_folder_do_not_both_live(state: Path, tpm: Tpm, tmp_path: Path) -> None:
    create_floor(state, tpm)
    shutil.copytree(state, tmp_path / "twin")
    twin = open_floor(tmp_path / "twin", tpm=tpm)
    open_floor(state, tpm=tpm).raise_to({"primary": 1})
    with pytest.raises(AdmissionError, match="is of epoch"):
        twin.raise_to({"primary": 2})


@pytest.mark.parametrize("gone", [[FLOOR], [KEY], [FLOOR, KEY]])
def test_a_wiped_floor_is_refused_and_never_made_anew(gone: list[str], state: Path, tpm: Tpm) -> None:
    create_floor(state, tpm).raise_to({"primary": 7})
    for name in gone:
        (state / name).unlink()
    refused(state, tpm, "floor-missing")
    with pytest.raises(UsageError, match=r"exists already|something under"):
        create_floor(state, tpm)


def test_a_floor_of_another_tpm_is_refused(state: Path, tpm: Tpm) -> None:
    create_floor(state, MemoryTpm() if isinstance(tpm, Tpm2Tools) else tpm)
    refused(state, tpm if isinstance(tpm, Tpm2Tools) else MemoryTpm(), "floor-damaged")


def test_a_floor_made_again_after_its_counter_was_removed_ends_the_old_one(
    state: Path, tpm: Tpm, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    create_floor(tmp_path / "old", tpm).raise_to({"primary": 1})
    remove(tpm, request)
    refused(tmp_path / "old", tpm, "floor-missing", "no counter")
    create_floor(state, tpm)
    refused(tmp_path / "old", tpm, "floor-damaged")


def remove(tpm: Tpm, request: pytest.FixtureRequest) -> None:
    if isinstance(tpm, MemoryTpm):
        tpm.counter_remove(INDEX)
    else:
        request.getfixturevalue("swtpm").tool("tpm2_nvundefine", "-C", "o", hex(INDEX))


def test_a_cut_between_file_and_counter_is_completed_on_opening(state: Path, tpm: Tpm) -> None:
    create_floor(state, tpm).raise_to({"primary": 7})
    secret = secret_of(state, tpm)
    held = decode((state / FLOOR).read_bytes(), secret, "floor")
    later = msgspec.structs.replace(held, epoch=held.epoch + 1, versions={"primary": 8})
    (state / FLOOR).write_bytes(encode(later, secret))
    floor = open_floor(state, tpm=tpm)
    assert (floor.at("primary"), tpm.counter_read(INDEX, secret.auth)) == (8, held.epoch + 1)
    (state / FLOOR).write_bytes(encode(held, secret))
    refused(state, tpm, "floor-damaged", "is of epoch")


def test_an_epoch_two_ahead_is_no_cut(state: Path, tpm: Tpm) -> None:
    create_floor(state, tpm)
    secret = secret_of(state, tpm)
    held = decode((state / FLOOR).read_bytes(), secret, "floor")
    (state / FLOOR).write_bytes(encode(msgspec.structs.replace(held, epoch=held.epoch + 2), secret))
    refused(state, tpm, "floor-damaged", "is of epoch")
    assert tpm.counter_read(INDEX, secret.auth) == held.epoch


def test_a_counter_of_another_owner_is_refused(state: Path, tpm: Tpm, request: pytest.FixtureRequest) -> None:
    create_floor(state, tpm)
    remove(tpm, request)
    tpm.counter_create(INDEX, b"o" * 32)
    refused(state, tpm, "floor-damaged", "cannot be checked")


def test_two_floors_live_beside_each_other_under_their_own_index(tmp_path: Path, tpm: Tpm) -> None:
    first = create_floor(tmp_path / "a", tpm)
    second = create_floor(tmp_path / "b", tpm, index=INDEX + 1)
    first.raise_to({"primary": 1})
    second.raise_to({"primary": 2})
    assert [open_floor(tmp_path / name, tpm=tpm).at("primary") for name in "ab"] == [1, 2]


def test_a_taken_index_is_refused_and_leaves_nothing_behind(state: Path, tpm: Tpm) -> None:
    tpm.counter_create(INDEX, b"o" * 32)
    with pytest.raises(UsageError, match="already"):
        create_floor(state, tpm)
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("kind", ["of a file", "of a tpm"])
def test_a_content_of_the_other_kind_is_refused_even_with_the_right_key(
    kind: str, state: Path, tpm: Tpm
) -> None:
    if kind == "of a file":
        create_floor(state, tpm)
        secret = secret_of(state, tpm)
        (state / FLOOR).write_bytes(encode(Held(1, 0, 0.0, {}), secret))
        refused(state, tpm, "floor-missing", "no counter")
        return
    create_floor(state)
    secret = Secret(bytes.fromhex((state / KEY).read_text().split()[-1]))
    (state / FLOOR).write_bytes(encode(Held(1, INDEX, 0.0, {}), secret))
    refused(state, tpm, "floor-damaged", "belongs to a TPM's counter")


def test_a_plain_key_in_the_place_of_the_sealed_one_makes_a_weaker_floor(
    state: Path, tpm: Tpm, tmp_path: Path
) -> None:
    """Root can write a floor of its own; a policy that asks for a TPM does not take it."""
    create_floor(state, tpm)
    create_floor(tmp_path / "own")
    for name in (FLOOR, KEY):
        (state / name).write_bytes((tmp_path / "own" / name).read_bytes())
    with pytest.raises(AdmissionError) as caught:
        Device(floor=open_floor(state, tpm)).check_memory(AdmissionTerms(floor="tpm"), "door.yaml")
    assert caught.value.reason == "floor-weak"


def test_a_sealed_secret_of_another_length_is_no_key(state: Path, tpm: Tpm) -> None:
    create_floor(state, tpm)
    (state / KEY).unlink()
    seal(tpm, b"short", state / KEY)
    refused(state, tpm, "floor-damaged", "holds 5 bytes")


def test_a_key_bound_to_the_boot_opens_only_after_that_boot(
    state: Path, tpm: Tpm, request: pytest.FixtureRequest
) -> None:
    create_floor(state, tpm, pcrs="sha256:0,7").raise_to({"primary": 1})
    assert open_floor(state, tpm).at("primary") == 1
    if isinstance(tpm, MemoryTpm):
        tpm.boot = "another"
    else:
        request.getfixturevalue("swtpm").tool("tpm2_pcrextend", f"7:sha256={'0' * 64}")
    refused(state, tpm, "floor-damaged", "cannot be checked")


def test_a_tpm_that_goes_away_refuses_and_one_that_comes_back_goes_on(state: Path, swtpm: Any) -> None:
    tpm = Tpm2Tools(swtpm.tcti)
    floor = create_floor(state, tpm)
    floor.raise_to({"primary": 7})
    swtpm.stop()
    refused(state, tpm, "floor-damaged", "cannot be checked")
    with pytest.raises(AdmissionError, match="floor-damaged"):
        floor.raise_to({"primary": 8})
    swtpm.start()
    assert open_floor(state, tpm=tpm).at("primary") == 7
    floor.raise_to({"primary": 8})
    assert open_floor(state, tpm=tpm).at("primary") == 8


def test_a_tpm_whose_owner_has_a_password_is_used_with_the_storage_key_that_lies_in_it(
    state: Path, swtpm: Any, tmp_path: Path
) -> None:
    context, password = tmp_path / "context", tmp_path / "password"
    swtpm.tool("tpm2_createprimary", "-Q", "-C", "o", "-G", "ecc256", "-c", str(context))
    swtpm.tool("tpm2_evictcontrol", "-Q", "-C", "o", "-c", str(context), SRK)
    swtpm.tool("tpm2_flushcontext", "-t")
    swtpm.tool("tpm2_changeauth", "-c", "o", "secret")
    password.write_text("secret")
    without = Tpm2Tools(swtpm.tcti)
    with pytest.raises(UsageError, match="nvdefine"):
        create_floor(state, without)
    create_floor(state, Tpm2Tools(swtpm.tcti, str(password))).raise_to({"primary": 7})
    open_floor(state, tpm=without).raise_to(
        {"primary": 8}
    )  # the device itself needs no password of the owner's
    assert open_floor(state, tpm=without).at("primary") == 8


def test_the_tpm_is_the_one_that_the_environment_names(
    state: Path, swtpm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEGUARD_TPM", swtpm.tcti)
    create_floor(state, open_tpm()).raise_to({"primary": 7})
    assert open_floor(state).at("primary") == 7
    monkeypatch.setenv("EDGEGUARD_TPM", "swtpm:path=/nowhere")
    with pytest.raises(AdmissionError, match="cannot be checked"):
        open_floor(state)
    monkeypatch.setenv("EDGEGUARD_TPM", "/tmp/evil.so")
    with pytest.raises(AdmissionError, match="is not how a TPM is named"):
        open_floor(state)
