"""Hostile memories: a floor that was wiped, swapped, turned back or damaged, a clock that lies, and what is too old."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from edgeguard.admission import Demands, Moment, admit_bundle, admit_file
from edgeguard.admission.floor import Floor, MemoryFloor
from edgeguard.device.floor_file import MAX_FLOOR_BYTES, Held, Secret, encode
from edgeguard.device.floors import create_floor, open_floor
from edgeguard.device.moment import RELEASED, moment
from edgeguard.device.times import TIME, parse_time, time_file
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Forge, manifest, resource, statement_of, write_files
from tests.hostile.bundles.builders import good_files as files_of_a_bundle
from tests.refusals import Refused

IN_2026 = 1_795_251_600.0  # 2026-11-21T09:00:00Z


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder of a device that ran version 3."""
    folder = tmp_path / "state"
    create_floor(folder).raise_to({"primary": 3}, IN_2026)
    return folder


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of openings need not wait for the disk."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def secret_of(state: Path) -> Secret:
    return Secret(bytes.fromhex((state / "floor.key").read_text().split()[-1]))


@pytest.mark.parametrize("gone", [["floor"], ["floor.key"], ["floor", "floor.key"]])
def test_a_wiped_floor_is_missing(gone: list[str], state: Path, refused: Refused) -> None:
    for name in gone:
        (state / name).unlink()
    refused(lambda: open_floor(state), "floor-missing", gone[0] if len(gone) == 1 else "floor.key")


def test_a_state_folder_that_is_gone_is_missing(tmp_path: Path, refused: Refused) -> None:
    refused(lambda: open_floor(tmp_path / "state"), "floor-missing", "state")
    refused(lambda: open_floor("nul\0"), "floor-missing", "nul\\u0000")
    assert list(tmp_path.iterdir()) == []


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _hard_link(path: Path) -> None:
    path.with_name("elsewhere").hardlink_to(path)


def _in_place(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def _huge(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(MAX_FLOOR_BYTES + 1)


SWAPS: dict[str, Callable[[Path], object]] = {
    "a link": _link,
    "a dangling link": _in_place(lambda path: path.symlink_to("/nowhere")),
    "a link to itself": _in_place(lambda path: path.symlink_to(path)),
    "a hard link": _hard_link,
    "a pipe": _in_place(os.mkfifo),
    "a folder": _in_place(Path.mkdir),
    "a huge file": _huge,
    "an empty file": lambda path: path.write_bytes(b""),
    "readable by others": lambda path: path.chmod(0o604),
    "a program of others'": lambda path: path.chmod(0o601),
    "writable by others": lambda path: path.chmod(0o602),
    "writable by its group": lambda path: path.chmod(0o620),
    "writable by all": lambda path: path.chmod(0o666),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}


@pytest.mark.parametrize("name", ["floor", "floor.key"])
@pytest.mark.parametrize("swap", SWAPS)
def test_another_thing_in_the_place_of_a_file_is_refused(
    swap: str, name: str, state: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEGUARD_TPM", raising=False)
    SWAPS[swap](state / name)
    with pytest.raises(AdmissionError) as caught:
        open_floor(state)
    assert caught.value.reason == "floor-damaged"
    refused(lambda: open_floor(state), "floor-damaged", "floor" if name == "floor" else "")


def test_a_state_folder_that_others_may_change_is_refused(state: Path, refused: Refused) -> None:
    state.chmod(0o777)
    refused(lambda: open_floor(state), "floor-damaged", "state")


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "state").write_text("")
    refused(lambda: open_floor(tmp_path / "state"), "floor-damaged", "state")


def test_the_floor_of_another_device_is_refused(state: Path, tmp_path: Path, refused: Refused) -> None:
    create_floor(tmp_path / "other").raise_to({"primary": 9})
    (state / "floor").write_bytes((tmp_path / "other" / "floor").read_bytes())
    with pytest.raises(AdmissionError, match="this device did not write it"):
        open_floor(state)
    refused(lambda: open_floor(state), "floor-damaged", "floor")


@pytest.mark.usefixtures("no_wait")
def test_a_floor_that_is_cut_short_anywhere_is_refused(state: Path) -> None:
    whole = (state / "floor").read_bytes()
    for length in range(len(whole)):
        (state / "floor").write_bytes(whole[:length])
        with pytest.raises(AdmissionError, match="floor-damaged"):
            open_floor(state)
    (state / "floor").write_bytes(whole + b"\n")
    with pytest.raises(AdmissionError, match="floor-damaged"):
        open_floor(state)


@pytest.mark.usefixtures("no_wait")
def test_every_flipped_bit_of_a_floor_is_refused(state: Path) -> None:
    whole = (state / "floor").read_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        (state / "floor").write_bytes(flipped)
        with pytest.raises(AdmissionError, match="floor-damaged"):
            open_floor(state)


@pytest.mark.usefixtures("no_wait")
def test_every_flipped_bit_and_cut_of_its_key_is_refused(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEGUARD_TPM", "no such thing")
    whole = (state / "floor.key").read_bytes()
    flips = [(i, bytes([whole[i] ^ 1 << bit])) for i in range(len(whole)) for bit in range(8)]
    damaged = [whole[:i] + byte + whole[i + 1 :] for i, byte in flips]
    for data in damaged + [whole[:length] for length in range(len(whole))]:
        (state / "floor.key").write_bytes(data)
        with pytest.raises(AdmissionError, match="floor-damaged"):
            open_floor(state)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}\n",
        b"[]\n",
        b'{"epoch":1,"index":0,"time":0.0,"versions":{}}',
        b' {"epoch":1,"index":0,"time":0.0,"versions":{}}\n',
        b'{"epoch":1,"index":0,"time":0,"versions":{}}\n',
        b'{"epoch":1,"index":0,"time":0.0,"versions":{},"more":1}\n',
        b'{"epoch":1,"epoch":1,"index":0,"time":0.0,"versions":{}}\n',
        b'{"epoch":1,"index":0,"time":0.0,"versions":{"a":"7"}}\n',
        b'{"epoch":1,"index":0,"time":0.0,"versions":{"a":1,"a":1}}\n',
        b'{"epoch":1.0,"index":0,"time":0.0,"versions":{}}\n',
        b'{"epoch":1,"index":0,"time":NaN,"versions":{}}\n',
        b'{"epoch":1,"index":0,"time":0.0,"versions":{"\xff":1}}\n',
        b"[" * 20_000 + b"\n",
        b'{"epoch":' + b"9" * 5000 + b',"index":0,"time":0.0,"versions":{}}\n',
    ],
)
def test_what_the_right_key_signed_and_this_release_never_writes_is_refused(
    body: bytes, state: Path, refused: Refused
) -> None:
    """A key that leaked, or a release to come: still one spelling, and no traceback."""
    (state / "floor").write_bytes(b"edgeguard-floor 1 %s\n%s" % (secret_of(state).mac(body), body))
    refused(lambda: open_floor(state), "floor-damaged", "floor")


@pytest.mark.parametrize("number", [b"0", b"2", b"999999", b"01x", b"1000000"])
def test_another_format_is_refused(number: bytes, state: Path, refused: Refused) -> None:
    whole = (state / "floor").read_bytes()
    (state / "floor").write_bytes(whole.replace(b"floor 1 ", b"floor %s " % number, 1))
    refused(lambda: open_floor(state), "floor-damaged", "floor")
    if number == b"2":
        with pytest.raises(AdmissionError, match="it has format 2, this release reads 1"):
            open_floor(state)


def test_a_mac_made_with_the_key_itself_does_not_count(state: Path, refused: Refused) -> None:
    body = encode(Held(9, 0, 0.0, {}), secret_of(state)).partition(b"\n")[2]
    plain = hmac.new(secret_of(state).value, body, hashlib.sha256).hexdigest().encode()
    (state / "floor").write_bytes(b"edgeguard-floor 1 %s\n%s" % (plain, body))
    refused(lambda: open_floor(state), "floor-damaged", "floor")


def test_the_temporary_file_of_a_cut_counts_for_nothing(state: Path) -> None:
    (state / ".floor.new").write_bytes(encode(Held(9, 0, 0.0, {"primary": 99}), secret_of(state)))
    assert open_floor(state).at("primary") == 3
    (state / ".floor.new").unlink()
    (state / ".floor.new").symlink_to("/etc/passwd")
    floor = open_floor(state)
    floor.raise_to({"primary": 4})
    assert open_floor(state).at("primary") == 4
    assert not (state / ".floor.new").exists()


def test_a_folder_in_the_place_of_the_temporary_file_stops_the_raise_and_nothing_is_lost(
    state: Path, refused: Refused
) -> None:
    floor = open_floor(state)
    (state / ".floor.new").mkdir()
    refused(lambda: floor.raise_to({"primary": 4}), "floor-damaged", "floor")
    assert open_floor(state).at("primary") == 3


# --- what a floor is for ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_bundle_below_the_floor_is_refused_and_one_at_it_is_not(
    kind: str, state: Path, folder: Path, forge: Forge, refused: Refused
) -> None:
    floor: Floor = open_floor(state) if kind == "file" else MemoryFloor({"primary": 3})
    assert (
        admit_bundle(folder, forge.signers, Demands(floor=floor.at("primary"))).manifest.security_version == 3
    )
    floor.raise_to({"primary": 4})
    refused(
        lambda: admit_bundle(folder, forge.signers, Demands(floor=floor.at("primary"))),
        "rollback",
        "edgeguard.json",
    )


def dated(tmp_path: Path, forge: Forge, **dates: str) -> Path:
    contents = {**files_of_a_bundle(), "edgeguard.json": manifest(lambda m: m.update(dates))}
    return write_files(tmp_path / "dated", {**contents, "model.sig": forge.sign_files(contents)})


def test_what_expired_is_refused_by_the_floor_s_time_where_the_clock_was_set_back(
    tmp_path: Path, state: Path, forge: Forge, refused: Refused
) -> None:
    bundle = dated(tmp_path, forge, not_after="2026-01-01T00:00:00Z")
    floor = open_floor(state)
    for wall in (0.0, 86_400.0, RELEASED - 86_400.0):
        now = moment(floor, "system", wall)
        assert now == Moment(IN_2026, exact=True)
        refused(partial(admit_bundle, bundle, forge.signers, now=now), "expired", "edgeguard.json")
    refused(
        lambda: admit_bundle(bundle, forge.signers, now=moment(floor, "none", 0.0)),
        "expired",
        "edgeguard.json",
    )


def test_a_clock_at_1970_and_no_signed_time_admit_nothing_that_is_dated(
    tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    bundle = dated(tmp_path, forge, not_after="2999-01-01T00:00:00Z")
    for floor in (None, MemoryFloor()):
        now = moment(floor, "system", 0.0)
        assert now is None
        refused(partial(admit_bundle, bundle, forge.signers, now=now), "clock-wrong", "edgeguard.json")
    assert admit_bundle(bundle, forge.signers, now=moment(None, "system", time.time())).manifest.name


def test_without_a_clock_nothing_is_too_early_and_with_one_it_is(
    tmp_path: Path, state: Path, forge: Forge, refused: Refused
) -> None:
    bundle = dated(tmp_path, forge, not_before="2027-01-01T00:00:00Z")
    floor = open_floor(state)
    assert admit_bundle(bundle, forge.signers, now=moment(floor, "none", None)).manifest.name
    refused(
        lambda: admit_bundle(bundle, forge.signers, now=moment(floor, "system", IN_2026)),
        "not-yet-valid",
        "edgeguard.json",
    )


# --- a signed time ----------------------------------------------------------------------------------------------------


def signed(tmp_path: Path, forge: Forge, data: bytes, name: str = "now.json") -> Path:
    (tmp_path / name).write_bytes(data)
    statement = statement_of([resource(".", data)], name)
    (tmp_path / f"{name}.sig").write_bytes(forge.sign(statement))
    return tmp_path / name


def read_time(path: Path, forge: Forge) -> float:
    return parse_time(admit_file(path, forge.signers, kind=TIME).data, str(path))


def test_a_signed_time_is_read(tmp_path: Path, forge: Forge) -> None:
    assert read_time(signed(tmp_path, forge, time_file("2026-11-21T09:00:00Z")), forge) == IN_2026


def test_a_time_that_was_changed_or_that_a_stranger_signed_is_refused(
    tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    path = signed(tmp_path, forge, time_file("2026-11-21T09:00:00Z"))
    path.write_bytes(time_file("2036-11-21T09:00:00Z"))
    refused(lambda: read_time(path, forge), "digest-mismatch", "now.json")
    (tmp_path / "strange").mkdir()
    stranger = Forge.at(tmp_path / "strange")
    path = signed(tmp_path, stranger, time_file("2026-11-21T09:00:00Z"))
    refused(lambda: read_time(path, forge), "unknown-signer", "now.json.sig")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"time": "2026-11-21T09:00:00Z"}',
        b'{"edgeguard_time": 2, "time": "2026-11-21T09:00:00Z"}',
        b'{"edgeguard_time": true, "time": "2026-11-21T09:00:00Z"}',
        b'{"edgeguard_time": 1.0, "time": "2026-11-21T09:00:00Z"}',
        b'{"edgeguard_time": 1, "time": "2026-11-21T09:00:00Z", "more": 1}',
        b'{"edgeguard_time": 1, "time": "2026-11-21T09:00:00Z", "time": "2036-11-21T09:00:00Z"}',
        b'{"edgeguard_time": 1, "time": 1795251600}',
        b'{"edgeguard_time": 1, "time": "2026-11-21T09:00:00+00:00"}',
        b'{"edgeguard_time": 1, "time": "2026-11-31T09:00:00Z"}',
        b'{"edgeguard_time": 1, "time": "1969-12-31T23:59:59Z"}',
        b'{"edgeguard_time": 1, "time": "0000-11-21T09:00:00Z"}',
        b'{"edgeguard_time": 1, "time": "2026-11-21T09:00:60Z"}',
        b'{"edgeguard_time": 1, "time": "2026-11-21T09:00:00Z"}' + b" " * 1024,
        b"[" * 1000,
    ],
)
def test_a_signed_file_that_is_no_time_is_refused(
    data: bytes, tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    path = signed(tmp_path, forge, data)
    refused(lambda: read_time(path, forge), "statement-invalid", "now.json")
