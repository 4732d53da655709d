"""The reading end: any tampering is found and named; what the file alone cannot show needs the head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.errors import UsageError
from edgeguard.log import DecisionLog, read_log, verify_log
from edgeguard.log.record import GENESIS, parse, seal, unseal
from edgeguard.types import Authority, Cause, Command, GateDecision, Mode, Verdict

Make = Callable[..., Verdict]
COUNT = 8


@pytest.fixture
def log(tmp_path: Path, make: Make) -> Path:
    path = tmp_path / "drive.log"
    writer = DecisionLog(path)
    writer.begin("sign-gate", 7, {"policy": "cd" * 32}, monotonic=9.0, wall=1.7e9)
    for number in range(COUNT):
        writer.append(make(number))
    writer.close()
    return path


def whole(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def breaks(path: Path) -> list[tuple[str, int]]:
    return [(b.kind, b.record) for b in verify_log(path).breaks]


def test_an_untouched_log_is_intact_and_its_head_is_the_last_hash(log: Path) -> None:
    report = verify_log(log)
    assert report.intact
    assert (report.records, report.verdicts, report.runs, report.lost, report.torn) == (
        COUNT + 2,
        COUNT,
        1,
        0,
        0,
    )
    assert report.ended
    assert whole(log)[-1].decode().endswith(f'"hash":"{report.head}"}}\n')


@pytest.mark.parametrize("record", range(COUNT + 2))
def test_an_altered_record_is_named(log: Path, record: int) -> None:
    rows = whole(log)
    rows[record] = rows[record].replace(b'"kind":', b'"kind": ', 1)
    log.write_bytes(b"".join(rows))
    assert breaks(log) == [("altered", record)]


def test_an_altered_value_is_named(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b'"number":3', b'"number":5'))
    assert breaks(log) == [("altered", 4)]
    assert "record 4 (line 5)" in verify_log(log).breaks[0].message


def test_an_altered_record_with_its_hash_made_anew_breaks_the_next_one(log: Path) -> None:
    rows = whole(log)
    content, _ = unseal(rows[3][:-1]) or (b"", b"")
    _, previous = unseal(rows[2][:-1]) or (b"", b"")
    rows[3] = seal(previous, content.replace(b"stop", b"none") + b"}")[1]
    log.write_bytes(b"".join(rows))
    assert breaks(log) == [("altered", 4)]


@pytest.mark.parametrize(
    ("gone", "kind"), [(slice(3, 4), "record 3 is"), (slice(3, 6), "records 3 to 5 are")]
)
def test_a_deleted_record_is_named(log: Path, gone: slice, kind: str) -> None:
    rows = whole(log)
    del rows[gone]
    log.write_bytes(b"".join(rows))
    assert breaks(log) == [("missing", 3)]
    assert kind in verify_log(log).breaks[0].message


def test_a_deleted_header_is_found(log: Path) -> None:
    log.write_bytes(b"".join(whole(log)[1:]))
    assert breaks(log)[0] == ("missing", 1)


def test_swapped_records_are_found(log: Path) -> None:
    rows = whole(log)
    rows[3], rows[4] = rows[4], rows[3]
    log.write_bytes(b"".join(rows))
    assert {record for _, record in breaks(log)} >= {3}
    assert not verify_log(log).intact


def test_a_repeated_record_is_found(log: Path) -> None:
    rows = whole(log)
    log.write_bytes(b"".join([*rows[:4], rows[2], *rows[4:]]))
    assert ("inserted", 2) in breaks(log)


def test_an_inserted_line_that_is_no_record_is_found(log: Path) -> None:
    rows = whole(log)
    log.write_bytes(b"".join([*rows[:4], b"\n", *rows[4:]]))
    assert breaks(log) == [("unreadable", 4)]


def test_a_last_line_that_is_whole_but_no_record_is_found(log: Path) -> None:
    log.write_bytes(log.read_bytes() + b"{}\n")
    assert breaks(log) == [("unreadable", COUNT + 2)]


def test_a_hash_in_capitals_is_no_hash(log: Path) -> None:
    rows = whole(log)
    head, _, tail = rows[3].rpartition(b'"hash":"')
    rows[3] = head + b'"hash":"' + tail.replace(b'"}\n', b"").upper() + b'"}\n'
    log.write_bytes(b"".join(rows))
    assert not verify_log(log).intact


def test_a_cut_tail_is_seen_only_with_the_head(log: Path) -> None:
    head = verify_log(log).head
    log.write_bytes(b"".join(whole(log)[:-3]))
    assert verify_log(log).intact
    assert not verify_log(log).ended
    report = verify_log(log, head=f" {head.upper()}\n")
    assert not report.intact
    assert "the tail was cut off" in report.breaks[0].message


def test_an_earlier_head_of_a_log_that_went_on_is_found_in_it(log: Path, make: Make) -> None:
    head = verify_log(log).head
    again = DecisionLog(log)
    again.append(make(9))
    again.close()
    assert verify_log(log, head=head).intact


def test_a_chain_made_anew_from_end_to_end_is_seen_only_with_the_head(log: Path) -> None:
    head = verify_log(log).head
    previous, rows = GENESIS, []
    for row in whole(log):
        content, _ = unseal(row[:-1]) or (b"", b"")
        previous, line = seal(previous, content.replace(b"stop", b"none") + b"}")
        rows.append(line)
    log.write_bytes(b"".join(rows))
    assert verify_log(log).intact
    assert not verify_log(log, head=head).intact


def test_a_torn_line_in_the_middle_is_forgiven_only_when_the_next_run_declares_it(log: Path) -> None:
    rows = whole(log)
    log.write_bytes(b"".join([*rows[:4], rows[4][:20], b"\n", *rows[5:]]))
    assert ("unreadable", 4) in breaks(log)


@given(place=st.integers(0, 4000), value=st.integers(0, 255))
def test_any_flipped_byte_is_found_or_tears_the_last_line(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "x.log"
    writer = DecisionLog(path)
    verdict = Verdict(1, 1, 1.0, Mode.NOMINAL, Authority.MODEL, GateDecision.ALLOW, Command({"b": 0.5}))
    for _ in range(10):
        writer.append(verdict)
    writer.close()
    data = bytearray(path.read_bytes())
    place %= len(data)
    before = data[place]
    data[place] = value
    path.write_bytes(data)
    report = verify_log(path)
    assert report.intact == (value == before or place == len(data) - 1)


@pytest.mark.parametrize("content", [b"", b"\n", b"hello\n", b"\xff\xfe\x00" * 100])
def test_a_file_that_is_no_log_is_refused_by_the_reader_and_not_intact(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not a decision log"):
        list(read_log(path))
    assert not verify_log(path).intact


def test_a_log_of_another_format_is_refused(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b'"format":4', b'"format":5'))
    with pytest.raises(UsageError, match="has format 5, this version reads 4"):
        list(read_log(log))


def test_a_log_that_begins_with_a_verdict_is_refused(log: Path) -> None:
    log.write_bytes(b"".join(whole(log)[1:]))
    with pytest.raises(UsageError, match="does not begin with a header"):
        list(read_log(log))


def test_a_missing_log_is_a_clear_message(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the log `.*`: no such file"):
        verify_log(tmp_path / "x")


def test_the_reader_passes_over_what_is_no_record(log: Path) -> None:
    rows = whole(log)
    strange = rows[2].replace(b'"mode":"nominal"', b'"mode":"sleepy"')
    log.write_bytes(b"".join([rows[0], b"garbage\n", strange, *rows[3:5], rows[5][:30]]))
    assert [e.seq for e in read_log(log)] == [3, 4]


def test_an_unknown_field_is_no_record() -> None:
    assert parse(b'{"kind":"end","seq":1,"verdicts":1,"lost":0') is not None
    assert parse(b'{"kind":"end","seq":1,"verdicts":1,"lost":0,"more":1') is None


def test_entries_know_their_run_and_their_time(log: Path) -> None:
    entry = list(read_log(log))[2]
    assert (entry.seq, entry.run.title, entry.run.wall) == (3, "sign-gate version 7", 1.7e9)
    assert entry.elapsed == pytest.approx(1.04)


def test_a_run_without_a_name_has_no_title(tmp_path: Path, make: Make) -> None:
    writer = DecisionLog(tmp_path / "x")
    writer.append(make())
    writer.close()
    assert next(read_log(tmp_path / "x")).run.title == ""


finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(st.tuples(names, finite), max_size=4), names, st.integers(0, 2**31), finite)
def test_any_cause_and_command_come_back(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, float]], text: str, line: int, at: float
) -> None:
    values = dict(pairs)
    cause = Cause(text, line, text, Authority.HUMAN, at, values, values, text, expired=True)
    verdict = Verdict(
        1, None, at, Mode.MANUAL, Authority.HUMAN, GateDecision.LIMIT, Command(values), (cause,), digests={}
    )
    path = tmp_path_factory.mktemp("log") / "x.log"
    writer = DecisionLog(path)
    writer.append(verdict)
    writer.close()
    assert [e.verdict for e in read_log(path)] == [verdict]
    assert verify_log(path).intact
