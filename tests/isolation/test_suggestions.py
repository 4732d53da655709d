"""Whatever lies in a worker's memory, the host takes it for an answer only when it is the answer to its question."""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeguard.inference.looks import Part
from edgeguard.inference.member import parts_for
from edgeguard.inference.scoring import Raw
from edgeguard.isolation import memory
from edgeguard.isolation.channel import Asked, Heard, Pictures, Suggestions
from edgeguard.isolation.layout import HEAD, MASK64, SCORES_AT, Layout, checksum
from edgeguard.isolation.serve import Desk
from edgeguard.isolation.spawn import Handed
from tests.isolation.conftest import EYES

LOOKS = (*EYES, "redundant")


class Line(NamedTuple):
    """Both ends, in one process."""

    layout: Layout
    pictures: Pictures
    suggestions: Suggestions
    desk: Desk

    def asked(self, number: int = 5, looks: tuple[str, ...] = LOOKS) -> Asked:
        self.pictures.begin(number, None)
        return self.pictures.ask(self.layout.mask(looks))

    def answer(self, raws: Mapping[str, Raw] | None = None) -> None:
        self.desk.give(self.desk.wait(), self.desk.layout.pack(self.desk._answer, raws or RAWS))

    def forge(self, asked: Asked, **changes: Any) -> None:
        """Write an answer with a good checksum, unless that is what is wrong."""
        layout = self.layout
        fields = {
            "sequence": 2,
            "size": layout.answer_size,
            "counter": asked.counter,
            "frame": asked.number & MASK64,
            "wanted": asked.wanted,
            "done": asked.wanted,
            "digest": layout.digest,
            "crc": 0,
        } | changes
        answer = bytearray(layout.answer_size)
        HEAD.pack_into(answer, 0, *fields.values())
        if "crc" not in changes:
            HEAD.pack_into(answer, 0, *(fields | {"crc": checksum(answer)}).values())
        self.desk.suggestions[: len(answer)] = bytes(answer)


RAWS = {
    "primary": Raw(
        EYES,
        {
            "logits": np.arange(9, dtype=np.float32).reshape(3, 3),
            "novelty": np.array([7, 8, 9], np.float32),
        },
    ),
    "redundant": Raw(("redundant",), {"probabilities": np.array([[0.1, 0.2, 0.7]], np.float32)}),
}


@pytest.fixture(scope="module")
def parts(tiny: Any) -> dict[str, Part]:
    models = {
        "primary": tiny.classifier(novelty=True),
        "filter": tiny.filter(),
        "redundant": tiny.classifier(role="redundant", probabilities=True),
    }
    return parts_for(LOOKS, models, {})


@pytest.fixture
def line(parts: dict[str, Part]) -> Iterator[Line]:
    yield from lines(parts)


@pytest.fixture(scope="module")
def shared(parts: dict[str, Part]) -> Iterator[Line]:
    yield from lines(parts)


def lines(parts: dict[str, Part]) -> Iterator[Line]:
    layout = Layout(LOOKS, parts)
    pictures, suggestions = Pictures(layout), Suggestions(layout)
    handed = Handed(-1, -1, -1, *map(os.dup, (pictures.descriptor, suggestions.descriptor, suggestions.bell)))
    yield Line(layout, pictures, suggestions, Desk(Layout(LOOKS, parts), handed))
    os.close(handed.bell)
    for end in (suggestions, pictures):
        end.close()
        end.close()


def test_an_honest_answer_is_taken_and_its_numbers_are_the_models(line: Line) -> None:
    asked = line.asked()
    assert line.suggestions.read(asked) is Heard.NOTHING
    line.answer()
    found = line.suggestions.read(asked)
    assert isinstance(found, dict)
    assert set(found) == {"primary", "redundant"}
    for role, raw in RAWS.items():
        assert found[role].looks == raw.looks
        for meaning, expected in raw.outputs.items():
            np.testing.assert_array_equal(found[role].outputs[meaning], expected)
    assert os.eventfd_read(line.suggestions.bell) == 1


def test_looks_that_were_not_answered_are_missing(line: Line) -> None:
    asked = line.asked()
    outputs = {"logits": np.ones((2, 3), np.float32), "novelty": np.ones(2, np.float32)}
    line.answer({"primary": Raw(("plain", "squeezed"), outputs)})
    found = line.suggestions.read(asked)
    assert isinstance(found, dict)
    assert {role: raw.looks for role, raw in found.items()} == {"primary": ("plain", "squeezed")}
    assert found["primary"].outputs["logits"].shape == (2, 3)


@pytest.mark.parametrize(
    "lie",
    [
        {"size": 0},
        {"size": 2**32 - 1},
        {"counter": 2},
        {"counter": MASK64},
        {"frame": 4},
        {"frame": 6},
        {"wanted": 1},
        {"done": 31},
        {"done": 2**32 - 1},
        {"digest": bytes(32)},
    ],
    ids=" ".join,
)
def test_an_answer_that_breaks_the_protocol_is_broken(line: Line, lie: dict[str, Any]) -> None:
    asked = line.asked()
    line.forge(asked, **lie)
    assert line.suggestions.read(asked) is Heard.BROKEN
    line.forge(asked)
    assert isinstance(line.suggestions.read(asked), dict)


@pytest.mark.parametrize("half", [{"sequence": 3}, {"crc": 1}, {"counter": 0}], ids=" ".join)
def test_an_answer_that_is_not_whole_is_not_there_yet(line: Line, half: dict[str, Any]) -> None:
    asked = line.asked()
    line.forge(asked, **half)
    assert line.suggestions.read(asked) is Heard.NOTHING


def test_an_old_answer_is_never_taken_for_a_new_one(line: Line) -> None:
    first = line.asked(1)
    line.answer()
    old = line.desk.suggestions[:]
    assert isinstance(line.suggestions.read(first), dict)
    second = line.asked(2)
    line.desk.suggestions[:] = old
    assert line.suggestions.read(second) is Heard.NOTHING


def test_a_late_answer_is_dropped_and_counts_once_as_a_sign_of_life(line: Line) -> None:
    line.asked(1)
    request = line.desk.wait()
    second = line.asked(2)
    line.desk.give(request, 0)
    assert [line.suggestions.read(second) for _ in range(2)] == [Heard.LATE, Heard.NOTHING]
    line.answer()
    assert isinstance(line.suggestions.read(second), dict)


def test_a_worker_that_slept_too_long_takes_the_newest_request_only(line: Line) -> None:
    newest = [line.asked(number) for number in range(9)][-1]
    assert line.desk.wait().counter == newest.counter


def test_a_frame_number_of_any_size_is_carried(line: Line) -> None:
    for number in (0, -1, 2**64 + 3, np.int64(7)):
        asked = line.asked(int(number))
        line.answer()
        assert isinstance(line.suggestions.read(asked), dict)


def test_a_request_from_before_a_worker_was_there_is_not_answered(line: Line, parts: dict[str, Part]) -> None:
    line.asked()
    handed = Handed(-1, -1, -1, os.dup(line.pictures.descriptor), os.dup(line.suggestions.descriptor), -1)
    fresh = Desk(Layout(LOOKS, parts), handed)
    taken: list[Any] = []
    thread = threading.Thread(target=lambda: taken.append(fresh.wait()))
    thread.start()
    thread.join(0.05)
    assert not taken
    asked = line.asked()
    thread.join(10.0)
    assert taken[0].counter == asked.counter


def test_the_rooms_of_an_open_request_are_not_written(line: Line) -> None:
    line.pictures.begin(1, None)
    background = line.pictures.ask(1)
    slots = []
    for number in range(2, 9):
        line.pictures.begin(number, background)
        slots.append(line.pictures.ask(1).slot)
    assert background.slot == 1
    assert slots == [2, 0, 2, 0, 2, 0, 2]


@given(data=st.data())
@example(data=None)
def test_whatever_is_written_only_the_answer_is_taken(shared: Line, data: Any) -> None:
    """Random bytes over an honest answer: taken only where the head is right, and then in exact shapes."""
    asked = shared.asked()
    shared.answer()
    room = shared.desk.suggestions
    changed = []
    if data is not None:
        size = shared.layout.answer_size
        changed = data.draw(
            st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, 255)), min_size=1, max_size=8)
        )
    before = room[:]
    for place, value in changed:
        room[place] = value
    heard = shared.suggestions.read(asked)
    if room[:] == before:
        assert isinstance(heard, dict)
    elif isinstance(heard, dict):  # only the sequence, to another even number
        assert room[4:] == before[4:]
        assert room[0] % 2 == 0


@given(noise=st.binary(min_size=SCORES_AT, max_size=400))
def test_noise_is_never_an_answer(shared: Line, noise: bytes) -> None:
    asked = shared.asked()
    room: mmap.mmap = shared.desk.suggestions
    room[: len(noise)] = noise[: len(room)]
    assert isinstance(shared.suggestions.read(asked), Heard)


def test_memory_that_changes_while_it_is_copied_is_not_taken(line: Line) -> None:
    asked = line.asked()
    line.answer()
    whole = line.desk.suggestions[:]

    class Changing:
        """A mapping whose sequence moves on at every look."""

        looks = 0

        def __getitem__(self, key: slice) -> bytes:
            self.looks += 1
            return ((2 * self.looks).to_bytes(4, "little") + whole[4:])[key]

    room: Any = Changing()
    line.suggestions._room.close()
    line.suggestions._room = room
    assert line.suggestions.read(asked) is Heard.NOTHING
    line.suggestions._room = SimpleNamespace(close=lambda: None)  # type: ignore[assignment]


def test_the_bits_of_a_request_name_its_looks(line: Line) -> None:
    for looks in ((), LOOKS, LOOKS[1:], ("plain", "redundant")):
        assert line.layout.named(line.layout.mask(looks)) == looks


def test_the_digest_tells_one_set_of_models_from_another(parts: dict[str, Part]) -> None:
    other = dict(parts)
    contract = replace(parts["filter"].contract, digest="00" * 32)
    other["filter"] = replace(parts["filter"], contract=contract)
    assert Layout(LOOKS, other).digest != Layout(LOOKS, parts).digest


def test_both_sides_compute_the_same_bytes_from_the_models_alone(line: Line, parts: dict[str, Part]) -> None:
    layout = line.layout
    assert layout.looks == LOOKS
    assert layout.bits == {"primary": 1, "plain": 2, "squeezed": 4, "redundant": 8}
    assert layout.answer_size == 128 + 4 * (3 * 3 + 3 + 3)
    assert layout.suggestions_size == memory.PAGE
    text = "".join(f"{role} {parts[role].contract.digest}\n" for role in ("filter", "primary", "redundant"))
    assert layout.digest == hashlib.sha256(text.encode()).digest()


def test_the_rows_of_an_answer_are_in_one_order_however_its_looks_are_named(parts: dict[str, Part]) -> None:
    layout = Layout(("squeezed", "redundant", "primary", "plain"), parts)
    answer = bytearray(layout.answer_size)
    layout.pack(answer, RAWS)
    found = layout.unpack(bytes(answer), layout.mask(LOOKS))
    assert {role: raw.looks for role, raw in found.items()} == {"primary": EYES, "redundant": ("redundant",)}


def test_each_kind_of_picture_has_a_room_of_its_own_in_every_slot(parts: dict[str, Part]) -> None:
    small = replace(parts["redundant"].input, shape=("N", 3, 4, 5))
    layout = Layout(LOOKS, parts | {"redundant": replace(parts["redundant"], input=small)})
    assert [kind[:2] for kind in layout.kinds] == [(8, 8), (4, 5)]
    assert layout.frames_size == 4 * memory.PAGE
    room = mmap.mmap(-1, layout.frames_size)
    base = np.frombuffer(room, np.uint8).ctypes.data
    for slot in range(3):
        pictures = layout.pictures(room, slot)
        assert [picture.shape for picture in pictures] == [(3, 8, 8), (3, 4, 5)]
        assert {picture.dtype for picture in pictures} == {np.dtype(np.float32)}
        start = (1 + slot) * memory.PAGE
        assert [picture.ctypes.data - base for picture in pictures] == [start, start + 4 * 3 * 64]


def test_what_was_dealt_with_is_not_copied_again_and_an_answer_can_be_read_again(line: Line) -> None:
    first = line.asked(1)
    line.answer()
    for _ in range(2):
        assert isinstance(line.suggestions.read(first), dict)
    second = line.asked(2)
    whole = line.desk.suggestions[:]
    looked: list[slice] = []

    class Counting:
        def __getitem__(self, key: slice) -> bytes:
            looked.append(key)
            return whole[key]

    room: Any = Counting()
    line.suggestions._room.close()
    line.suggestions._room = room
    assert line.suggestions.read(second) is Heard.NOTHING
    assert looked == [slice(8, 16)]
    line.suggestions._room = SimpleNamespace(close=lambda: None)  # type: ignore[assignment]


def test_an_old_answer_under_a_newer_counter_is_no_sign_of_life(line: Line) -> None:
    first = line.asked(1)
    line.answer()
    assert isinstance(line.suggestions.read(first), dict)
    line.asked(2)
    third = line.asked(3)
    whole = line.desk.suggestions[:]

    class Changing:
        """A mapping whose counter is newer when it is looked at alone."""

        def __getitem__(self, key: slice) -> bytes:
            return (2).to_bytes(8, "little") if key == slice(8, 16) else whole[key]

    room: Any = Changing()
    line.suggestions._room.close()
    line.suggestions._room = room
    assert line.suggestions.read(third) is Heard.NOTHING
    line.suggestions._room = SimpleNamespace(close=lambda: None)  # type: ignore[assignment]


def test_the_checksum_covers_every_byte_but_sequence_size_and_itself() -> None:
    answer = bytearray(SCORES_AT + 8)
    plain, covered = checksum(answer), []
    for place in range(len(answer)):
        answer[place] = 1
        covered += [place] if checksum(answer) != plain else []
        answer[place] = 0
    assert covered == [*range(8, HEAD.size - 4), *range(HEAD.size, len(answer))]


def test_requests_go_on_where_32_bits_end(line: Line) -> None:
    line.pictures._counter = 2**31 - 1
    for counter in (2**31, 2**31 + 1):
        asked = line.asked()
        assert asked.counter == counter
        line.answer()
        assert isinstance(line.suggestions.read(asked), dict)


def test_slots_take_turns(line: Line) -> None:
    assert line.pictures.begun is False
    assert [line.asked().slot for _ in range(4)] == [1, 2, 0, 1]
    assert line.pictures.begun is True


def test_memory_is_given_back_also_while_somebody_looks_at_a_picture(parts: dict[str, Part]) -> None:
    layout = Layout(LOOKS, parts)
    pictures, suggestions = Pictures(layout), Suggestions(layout)
    for end, name in ((pictures, "frames"), (suggestions, "suggestions")):
        assert str(Path(f"/proc/self/fd/{end.descriptor}").readlink()).startswith(f"/memfd:edgeguard-{name} ")
    assert not os.get_blocking(suggestions.bell)
    (room,) = pictures.begin(1, None)
    held = pictures.descriptor
    for end in (pictures, suggestions):
        end.close()
        assert end.descriptor == -1
        end.close()
    assert not Path(f"/proc/self/fd/{held}").exists()
    assert room.shape == (3, 8, 8)


def test_memory_is_only_shared_by_those_who_hold_it(line: Line) -> None:
    assert not os.get_inheritable(line.pictures.descriptor)
    assert not os.get_inheritable(line.suggestions.descriptor)
    assert not os.get_inheritable(line.suggestions.bell)
    assert line.layout.frames_size % memory.PAGE == line.layout.suggestions_size % memory.PAGE == 0
