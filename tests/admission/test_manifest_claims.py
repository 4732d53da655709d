"""Dates, targets, attestations, claims of training, watermark and encryption in `edgeguard.json`."""

from __future__ import annotations

import calendar
import contextlib
import dataclasses
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.admission.claims import (
    Assessment,
    CalibrationClaim,
    DifferentialPrivacy,
    Encryption,
    Training,
    Watermark,
    unix_time,
)
from edgeguard.admission.decoding import ProblemError, decode
from edgeguard.admission.manifest import Engine, Manifest, Parent, parse_manifest
from edgeguard.build.bundle import manifest_json
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Json, manifest

SHA = "5d" * 32
ALL: Json = {
    "not_before": "2026-11-01T00:00:00Z",
    "not_after": "2028-11-01T00:00:00Z",
    "target": ["linux-aarch64", "linux-x86_64"],
    "assessment": {
        "report": "assessment.json",
        "clean_accuracy": 0.99,
        "robust_accuracy": 0.71,
        "risk": 0.008,
        "samples": 5000,
    },
    "calibration": {"report": "calibration.json", "frames": 5000},
    "training": {
        "adversarial": True,
        "data_filtering": True,
        "ensemble": False,
        "differential_privacy": {"epsilon": 8.0, "delta": 1e-5},
    },
    "watermark": {"triggers": SHA, "count": 100},
    "encryption": {"format": "AES256_GCM_HKDF_1MB", "key": "0123456789abcdef", "plaintext": SHA},
}


def full(change: Callable[[Json], object] = lambda _: None) -> bytes:
    """A manifest with everything it can state, changed."""

    def apply(values: Json) -> None:
        values.update(json.loads(json.dumps(ALL)))
        change(values)

    return manifest(apply)


def test_everything_that_can_be_stated_becomes_typed_values() -> None:
    found = parse_manifest(full(), "m")
    assert found.target == ("linux-aarch64", "linux-x86_64")
    assert found.assessment == Assessment("assessment.json", 5000, 0.99, 0.71, 0.008)
    assert found.calibration == CalibrationClaim("calibration.json", 5000)
    assert found.training == Training(True, True, False, DifferentialPrivacy(8.0, 1e-5))
    assert found.watermark == Watermark(SHA, 100)
    assert found.encryption == Encryption("AES256_GCM_HKDF_1MB", "0123456789abcdef", SHA)
    assert (found.earliest, found.latest) == (1793491200.0, 1856649600.0)


@pytest.mark.parametrize("key", sorted(ALL))
def test_each_statement_may_be_left_out(key: str) -> None:
    values = dataclasses.asdict(parse_manifest(full(lambda m: m.pop(key)), "m"))
    assert values[key] in (None, ())


def test_what_is_not_stated_asks_and_claims_nothing() -> None:
    found = parse_manifest(manifest(), "m")
    assert (found.earliest, found.latest, found.target) == (None, None, ())
    assert {getattr(found, key) for key in ALL if key != "target"} == {None}


def test_a_training_that_states_nothing_claims_nothing() -> None:
    assert parse_manifest(full(lambda m: m.update(training={})), "m").training == Training()


@pytest.mark.parametrize("change", [lambda _: None, lambda m: [m.pop(key) for key in ALL]])
def test_a_manifest_is_written_as_it_is_read(change: Callable[[Json], object]) -> None:
    found = parse_manifest(full(change), "m")
    assert parse_manifest(manifest_json(found), "m") == found


def _in(part: str, **values: object) -> Callable[[Json], object]:
    return lambda m: m[part].update(values)


def _without(part: str, *keys: str) -> Callable[[Json], object]:
    return lambda m: [m[part].pop(key) for key in keys]


def _set(**values: object) -> Callable[[Json], object]:
    return lambda m: m.update(values)


def _private(**values: object) -> Callable[[Json], object]:
    return lambda m: m["training"]["differential_privacy"].update(values)


def _drop_delta(values: Json) -> None:
    del values["training"]["differential_privacy"]["delta"]


def _engine(platform: str) -> Callable[[Json], object]:
    engine = {"kind": "tensorrt", "version": "10.3.0", "compute_capability": "8.7", "platform": platform}
    parent = {"digest": SHA, "how": "plan", "samples": 1, "agreement": 1.0, "deviation": 0.0}
    return _set(engine=engine, parent=parent)


SHARES = ("clean_accuracy", "robust_accuracy", "risk")
BAD: list[tuple[str, Callable[[Json], object]]] = [
    ("unknown key `not_befor`, did you mean `not_before`?", _set(not_befor="x")),
    ("unknown key `assessment.sample`, did you mean `assessment.samples`?", _in("assessment", sample=1)),
    ("unknown key `calibration.samples`", _in("calibration", samples=1)),
    ("unknown key `training.adversarial_training`", _in("training", adversarial_training=True)),
    ("unknown key `training.differential_privacy.eps`", _private(eps=1.0)),
    ("unknown key `watermark.sha256`", _in("watermark", sha256=SHA)),
    ("unknown key `encryption.aad`", _in("encryption", aad="x")),
    *((f"`{key}` is null: give it a value, or leave", _set(**{key: None})) for key in ALL),
    ("`assessment.risk` is null", _in("assessment", risk=None)),
    ("`training.differential_privacy` is null", _in("training", differential_privacy=None)),
    ("expected object, got list at `assessment`", _set(assessment=[])),
    ("expected object, got text at `training`", _set(training="adversarial")),
    ("expected text, got whole number at `not_before`", _set(not_before=1793491200)),
    ("`not_before` is `2026-11-01` but must be a time such as", _set(not_before="2026-11-01")),
    ("`not_after` is `2026-11-01T00:00:00+00:00` but", _set(not_after="2026-11-01T00:00:00+00:00")),
    ("`not_after` is `2026-11-01t00:00:00z` but", _set(not_after="2026-11-01t00:00:00z")),
    ("`not_after` is `2026-11-01T00:00:00.5Z` but", _set(not_after="2026-11-01T00:00:00.5Z")),
    ("`not_after` is `2026-11-31T00:00:00Z` but", _set(not_after="2026-11-31T00:00:00Z")),
    ("`not_after` is `2026-02-29T00:00:00Z` but", _set(not_after="2026-02-29T00:00:00Z")),
    ("`not_after` is `2028-11-01T24:00:00Z` but", _set(not_after="2028-11-01T24:00:00Z")),
    ("`not_after` is `2028-11-01T00:00:60Z` but", _set(not_after="2028-11-01T00:00:60Z")),
    ("`not_after` is `0000-11-01T00:00:00Z` but", _set(not_after="0000-11-01T00:00:00Z")),
    ("`not_after` is `\u0662028-11-01T00:00:00Z` but", _set(not_after="\u0662028-11-01T00:00:00Z")),
    ("`not_after` is `2028-11-01T00:00:00Z\\u000a` but", _set(not_after="2028-11-01T00:00:00Z\n")),
    ("`not_before` is not before `not_after`", _set(not_before="2028-11-01T00:00:00Z")),
    ("`not_before` is not before `not_after`", _set(not_before="2028-11-01T00:00:01Z")),
    ("expected list that is not empty at `target`", _set(target=[])),
    ("expected list, got text at `target`", _set(target="linux-aarch64")),
    ("`target` holds `Linux-aarch64`", _set(target=["Linux-aarch64"])),
    ("`target` holds `any`", _set(target=["linux-x86_64", "any"])),
    ("`target` names the same platform twice", _set(target=["linux-x86_64", "linux-x86_64"])),
    ("`engine.platform` is none of `target`", _engine("linux-armv7l")),
    ("missing key `samples` at `assessment`", _without("assessment", "samples")),
    ("missing key `report` at `assessment`", _without("assessment", "report")),
    ("`assessment` states no figure", _without("assessment", *SHARES)),
    ("`assessment.samples` must be 1 or more", _in("assessment", samples=0)),
    ("`assessment.samples` must be 1 or more", _in("assessment", samples=2**31)),
    ("expected whole number, got number at `assessment.samples`", _in("assessment", samples=5.5)),
    *((f"`assessment.{key}` must be 0 to 1", _in("assessment", **{key: 1.0000001})) for key in SHARES),
    *((f"`assessment.{key}` must be 0 to 1", _in("assessment", **{key: -0.0000001})) for key in SHARES),
    ("got true or false at `assessment.risk`", _in("assessment", risk=True)),
    ("`assessment.report` must name a file", _in("assessment", report="")),
    ("`assessment.report` must name a file", _in("assessment", report="model.onnx")),
    ("`calibration.report` must name a file", _in("calibration", report="edgeguard.json")),
    ("missing key `report` at `calibration`", _without("calibration", "report")),
    ("`calibration.frames` must be 1 or more", _in("calibration", frames=0)),
    ("`calibration.frames` must be 1 or more", _in("calibration", frames=2**31)),
    ("expected true or false, got whole number at `training.ensemble`", _in("training", ensemble=1)),
    ("`training.differential_privacy.epsilon` must be above 0", _private(epsilon=0)),
    ("missing key `delta` at `training.differential_privacy`", _drop_delta),
    ("`training.differential_privacy.delta` must be 0 to 0.001", _private(delta=0.0011)),
    ("`training.differential_privacy.delta` must be 0 to 0.001", _private(delta=-1e-9)),
    ("`watermark.triggers` must be 64 hexadecimal", _in("watermark", triggers=SHA.upper())),
    ("`watermark.triggers` must be 64 hexadecimal", _in("watermark", triggers=SHA + "\n")),
    ("`watermark.count` must be 1 or more", _in("watermark", count=0)),
    ("`watermark.count` must be 1 or more", _in("watermark", count=2**31)),
    ("`encryption.format` is `AES256_GCM` but", _in("encryption", format="AES256_GCM")),
    ("`encryption.key` must be 16 hexadecimal", _in("encryption", key=SHA)),
    ("`encryption.plaintext` must be 64 hexadecimal", _in("encryption", plaintext="x")),
    ("missing key `plaintext` at `encryption`", _without("encryption", "plaintext")),
    ("`classes` must be printable", _set(classes=["none", "stop\x1b[2J"])),
]


def test_an_endless_number_is_no_budget() -> None:
    data = full(_private(epsilon=7.25)).replace(b"7.25", b"1e999")
    with pytest.raises(AdmissionError, match="`1e999` is larger than any number"):
        parse_manifest(data, "m")


@pytest.mark.parametrize(("words", "change"), BAD)
def test_a_wrong_statement_is_refused_in_words_that_name_the_key(
    words: str, change: Callable[[Json], object]
) -> None:
    with pytest.raises(AdmissionError) as caught:
        parse_manifest(full(change), "bundle/edgeguard.json")
    message = str(caught.value)
    assert words in message
    assert message.startswith("bundle/edgeguard.json: manifest-invalid: ")
    assert message.endswith(": correct the file, then sign again")
    assert "\n" not in message


GOOD: list[Callable[[Json], object]] = [
    _set(not_before="2028-10-31T23:59:59Z"),
    _set(not_after="2028-02-29T00:00:00Z"),
    _set(not_after="9999-12-31T23:59:59Z"),
    _without("assessment", "clean_accuracy", "risk"),
    _in("assessment", clean_accuracy=0, robust_accuracy=1, risk=0.0, samples=1),
    _in("assessment", report="reports/assessment.pdf", samples=2**31 - 1),
    _in("calibration", report="assessment.json", frames=1),
    _private(epsilon=1, delta=0),
    _private(delta=0.001),
    _in("watermark", count=1),
    _engine("linux-aarch64"),
]


@pytest.mark.parametrize("change", GOOD)
def test_what_is_just_within_is_accepted(change: Callable[[Json], object]) -> None:
    parse_manifest(full(change), "m")


@given(st.integers(0, calendar.timegm((9999, 12, 31, 23, 59, 59))))
def test_every_second_has_one_form_that_is_read_back_as_itself(second: int) -> None:
    parts = time.gmtime(second)
    text = f"{parts[0]:04}-{parts[1]:02}-{parts[2]:02}T{parts[3]:02}:{parts[4]:02}:{parts[5]:02}Z"
    assert unix_time(text) == float(second)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns"])
def test_a_time_is_utc_wherever_the_device_is(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        assert unix_time("2026-11-01T00:00:00Z") == 1793491200.0
    time.tzset()


def test_what_is_no_time_is_named() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        unix_time("yesterday")


def test_a_type_without_a_word_of_its_own_keeps_its_name() -> None:
    @dataclasses.dataclass
    class Thing:
        ident: uuid.UUID

    with pytest.raises(ProblemError, match="expected uuid, got whole number at `ident`"):
        decode({"ident": 7}, Thing, {})


@pytest.mark.parametrize(
    "kind",
    [
        Manifest,
        Assessment,
        CalibrationClaim,
        Training,
        DifferentialPrivacy,
        Watermark,
        Encryption,
        Parent,
        Engine,
    ],
)
def test_the_page_on_the_format_names_every_key(kind: type) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "bundle-format.md").read_text()
    assert [f.name for f in dataclasses.fields(kind) if f"`{f.name}`" not in page] == []


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = sorted(ALL)
INNER = sorted(
    {key for part in ALL.values() if isinstance(part, dict) for key in part} | {"epsilon", "delta"}
)


@given(st.sampled_from(KEYS), st.none() | st.sampled_from(INNER), json_values)
def test_any_value_anywhere_is_accepted_or_refused_and_never_crashes(
    key: str, inner: str | None, value: object
) -> None:
    def change(values: Json) -> None:
        if inner is None or not isinstance(values[key], dict):
            values[key] = value
        else:
            values[key][inner] = value

    with contextlib.suppress(AdmissionError):
        found = parse_manifest(full(change), "m")
        assert parse_manifest(manifest_json(found), "m") == found
