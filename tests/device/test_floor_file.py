"""A floor in a file: what it keeps, that it only rises, that it is made once, and who may have it."""

from __future__ import annotations

import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.admission import Floor
from edgeguard.admission.floor import MemoryFloor
from edgeguard.device import floor_file
from edgeguard.device.floors import create_floor, open_floor
from edgeguard.errors import AdmissionError, UsageError
from edgeguard.here import Device
from edgeguard.terms import AdmissionTerms
from tests.device.doubles import MemoryTpm


def test_a_new_floor_knows_nothing_and_is_its_owner_s(state: Path) -> None:
    floor = create_floor(state)
    assert (floor.strength, floor.time, floor.at("primary"), dict(floor.versions)) == ("file", 0.0, 0, {})
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in state.iterdir()} == {
        "floor": 0o600,
        "floor.key": 0o600,
    }


def test_what_was_raised_is_there_after_opening_again(state: Path) -> None:
    create_floor(state).raise_to({"primary": 7, "policy": 2}, 1795251600.5)
    floor = open_floor(state)
    assert (floor.at("primary"), floor.at("policy"), floor.time) == (7, 2, 1795251600.5)


@pytest.mark.parametrize("make", [create_floor, lambda _: MemoryFloor()])
def test_lower_versions_and_times_change_nothing(make: object, state: Path) -> None:
    floor: Floor = make(state)  # type: ignore[operator]  # two floors, one behaviour
    floor.raise_to({"primary": 7}, 100.0)
    floor.raise_to({"primary": 3, "redundant": 0}, 50.0)
    floor.raise_to({})
    assert (floor.at("primary"), floor.at("redundant"), floor.time) == (7, 0, 100.0)


def test_raising_to_what_is_there_writes_nothing(state: Path) -> None:
    floor = create_floor(state)
    floor.raise_to({"primary": 7}, 9)
    before = (state / "floor").stat().st_ino, floor.raises
    floor.raise_to({"primary": 7}, 9)
    assert ((state / "floor").stat().st_ino, floor.raises) == before


def test_a_whole_time_is_kept_too(state: Path) -> None:
    create_floor(state).raise_to({}, 1795251600)
    assert open_floor(state).time == 1795251600.0


def test_two_openings_of_one_floor_never_lower_each_other(state: Path) -> None:
    first, second = create_floor(state), open_floor(state)
    first.raise_to({"primary": 7}, 5.0)
    second.raise_to({"redundant": 2}, 3.0)
    assert (second.at("primary"), second.time) == (7, 5.0)
    floor = open_floor(state)
    assert (dict(floor.versions), floor.time) == ({"primary": 7, "redundant": 2}, 5.0)


def test_a_file_that_was_turned_back_while_it_was_open_is_raised_again(state: Path) -> None:
    floor = create_floor(state)
    floor.raise_to({"primary": 3})
    old = (state / "floor").read_bytes()
    floor.raise_to({"primary": 7})
    (state / "floor").write_bytes(old)
    floor.raise_to({"redundant": 1})
    assert open_floor(state).at("primary") == 7


@pytest.mark.process
def test_many_processes_raise_one_floor_and_none_is_lost(state: Path) -> None:
    create_floor(state)
    script = (
        "import sys; from edgeguard.device.floors import open_floor; f = open_floor(sys.argv[1])\n"
        "for i in range(10): f.raise_to({sys.argv[2]: i + 1})"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, state, f"place{i}"]) for i in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    floor = open_floor(state)
    assert dict(floor.versions) == {"place0": 10, "place1": 10, "place2": 10}
    assert floor.raises == 30


@pytest.mark.parametrize(
    ("versions", "time"),
    [
        ({"Primary": 1}, 0.0),
        ({"": 1}, 0.0),
        ({"p" * 81: 1}, 0.0),
        ({"a\n": 1}, 0.0),
        ({"primary": -1}, 0.0),
        ({"primary": 2**63}, 0.0),
        ({}, math.nan),
        ({}, math.inf),
        ({}, -1.0),
        ({}, 253402300800.0),
    ],
)
def test_what_no_floor_can_hold_is_a_wrong_call(versions: dict[str, int], time: float, state: Path) -> None:
    floor = create_floor(state)
    with pytest.raises(UsageError, match=r"is no place|out of range"):
        floor.raise_to(versions, time)
    assert open_floor(state).raises == 0


def test_the_largest_values_are_held(state: Path) -> None:
    floor = create_floor(state)
    floor.raise_to({"p" * 64: 2**63 - 1}, 253402300799.0)
    again = open_floor(state)
    assert (again.at("p" * 64), again.time) == (2**63 - 1, 253402300799.0)


def test_more_places_than_a_floor_may_have_are_refused_and_the_floor_stays(state: Path) -> None:
    floor = create_floor(state)
    with pytest.raises(AdmissionError, match="raise fewer places") as caught:
        floor.raise_to({f"place{i}": 1 for i in range(5000)})
    assert caught.value.reason == "floor-damaged"
    assert open_floor(state).raises == 0


@pytest.mark.parametrize("left", ["floor", "floor.key"])
def test_a_floor_is_never_made_over_the_rest_of_one(left: str, state: Path) -> None:
    create_floor(state)
    for name in {"floor", "floor.key"} - {left}:
        (state / name).unlink()
    before = (state / left).read_bytes()
    with pytest.raises(UsageError, match="made once and never anew"):
        create_floor(state)
    assert [(p.name, p.read_bytes()) for p in state.iterdir()] == [(left, before)]


def test_a_dangling_link_counts_as_the_rest_of_a_floor(state: Path) -> None:
    state.mkdir(mode=0o700)
    (state / "floor").symlink_to("/nowhere")
    with pytest.raises(UsageError, match="made once"):
        create_floor(state)


def test_a_floor_can_be_made_in_a_folder_that_is_there(state: Path) -> None:
    state.mkdir(mode=0o755)
    assert create_floor(state).at("primary") == 0


@pytest.mark.parametrize("path", ["missing/state", "file/state", "nul\0", "file"])
def test_a_folder_that_cannot_be_made_or_used_is_a_wrong_call(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError):
        create_floor(tmp_path / path)


@pytest.mark.parametrize("mode", [0o702, 0o720, 0o777])
def test_a_folder_that_others_may_change_holds_no_floor(mode: int, state: Path) -> None:
    state.mkdir()
    state.chmod(mode)
    with pytest.raises(UsageError, match="others than its owner may change it"):
        create_floor(state)


@pytest.mark.parametrize("which", ["folder", "file"])
def test_a_floor_of_another_user_is_refused(which: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_floor(state)
    mine = os.geteuid()
    if which == "file":
        monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
        if mine != 0:
            real = os.fstat
            monkeypatch.setattr(os, "fstat", lambda fd: _as_root(real(fd)))
    else:
        if mine != 0:
            pytest.skip("only root can give a folder away")
        os.chown(state, 4711, -1)
    with pytest.raises(AdmissionError, match="run as its owner") as caught:
        open_floor(state)
    assert caught.value.reason == "floor-damaged"


def _as_root(status: os.stat_result) -> os.stat_result:
    if not stat.S_ISDIR(status.st_mode):
        return status
    values = list(status)
    values[4] = 0
    return os.stat_result(values)


def test_a_weaker_floor_than_the_policy_asks_for_is_refused(state: Path) -> None:
    device = Device(floor=create_floor(state))
    for enough in ("optional", "memory", "file"):
        device.check_memory(AdmissionTerms(floor=enough), "door.yaml")
    with pytest.raises(AdmissionError, match="asks for a floor of the kind `tpm`") as caught:
        device.check_memory(AdmissionTerms(floor="tpm"), "door.yaml")
    assert caught.value.reason == "floor-weak"


def test_a_floor_is_not_opened_with_a_descriptor_left_behind(state: Path) -> None:
    floor = create_floor(state)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for i in range(20):
        floor.raise_to({"primary": i})
        open_floor(state)
    (state / "floor").write_bytes(b"damaged")
    with pytest.raises(AdmissionError):
        open_floor(state)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_secret_is_not_shown(state: Path) -> None:
    secret = floor_file.Secret(b"k" * 32)
    assert "kkk" not in repr(secret)


def test_the_format_is_what_devices_in_the_field_have() -> None:
    """Computed with `hmac` alone: a release that writes anything else would lock every device out."""
    secret = floor_file.Secret(bytes(range(32)))
    held = floor_file.Held(7, 0x01818E60, 1795251600.0, {"primary": 3, "policy": 2})
    data = (
        b"edgeguard-floor 1 6fb9edb75184f0e4beddf445ff925659e6e421a6a4a3a7297329c6b3499517f6\n"
        b'{"epoch":7,"index":25267808,"time":1795251600.0,"versions":{"policy":2,"primary":3}}\n'
    )
    assert floor_file.encode(held, secret) == data
    assert floor_file.decode(data, secret, "floor") == held
    assert secret.auth.hex() == "6b323ca5a3527987babca52a2e2b12fda121e92144f0386a544962f25de4c0c6"


PLACES = st.sampled_from(["policy", "primary", "primary.1", "redundant"])
RAISES = st.lists(
    st.tuples(
        st.booleans(),
        st.dictionaries(PLACES, st.integers(0, 2**63 - 1), max_size=3),
        st.floats(0.0, 253402300799.0),
        st.booleans(),
    ),
    max_size=8,
)


@given(raises=RAISES, chip=st.booleans())
def test_whatever_is_raised_by_whom_the_floor_is_what_one_that_never_restarts_would_be(
    raises: list[tuple[bool, dict[str, int], float, bool]],
    chip: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    state = tmp_path_factory.mktemp("floors") / "state"
    tpm = MemoryTpm() if chip else None
    known = MemoryFloor()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        floors = [create_floor(state, tpm), open_floor(state, tpm=tpm)]
        for second, versions, time, again in raises:
            floors[second].raise_to(versions, time)
            known.raise_to(versions, time)
            if again:
                floors[second] = open_floor(state, tpm=tpm)
            for place in ("policy", "primary", "primary.1", "redundant"):
                assert floors[second].at(place) == known.at(place)
            assert floors[second].time == known.time
