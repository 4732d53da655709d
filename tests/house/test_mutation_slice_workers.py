"""The slice of `make mutation` for what runs models: tables and limits of what is asked, believed and shared.

As in `test_mutation_slice`: each change is made to the source, which is loaded anew and must be noticed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from edgeguard.admission import AdmittedModel
from edgeguard.admission.manifest import InputSpec, Manifest, TensorSpec
from edgeguard.errors import ContractError
from edgeguard.inference.looks import Found, Part, Scores
from edgeguard.inference.session import ModelContract, OutputContract
from edgeguard.isolation.sandbox.levels import LAYERS, Level, Reached
from tests.house.test_mutation_slice import NOTICED, Load, loader, source_of

DOUBT, MEASURES = "edgeguard.signals.doubt", "edgeguard.inference.measures"
PROGRAM = "edgeguard.program"
SCORING, LAYOUT = "edgeguard.inference.scoring", "edgeguard.isolation.layout"
WITNESS, MEMBER = "edgeguard.isolation.witness", "edgeguard.isolation.member"

PICTURE = InputSpec(
    "p", "float32", ("N", 3, 4, 4), "NCHW", "RGB", "area", 1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
)


# --- what must come out, written by hand ------------------------------------------------------------------------------


def numbers_that_are_no_probabilities(load: Load) -> None:
    doubt = load(DOUBT)
    for row, logits, taken in (
        ([1e6, 0.0], True, True),
        ([1.5e6, 0.0], True, False),
        ([0.495, 0.5], False, True),
        ([0.48, 0.5], False, False),
        ([1.005, -0.005], False, True),
        ([1.0, 0.0], False, True),
    ):
        rows = doubt.probabilities(np.array([row], np.float32), 1.0, logits=logits)
        assert (rows is not None) == taken, row
        assert not taken or rows.min() < 0.5
    assert doubt.probabilities(np.array([[1.0, 0.0]], np.float32), 1.0, logits=False)[0, 1] == np.float32(
        1e-30
    )


def measures_of_looks(load: Load) -> None:
    measures = load(MEASURES)
    row = np.array([0.0, 0.75, 0.25], np.float32)
    found = Found({"primary": Scores(row, -3.0, 0.125, "aa")}, {})
    for name, value in (("certainty", 0.75), ("energy", -3.0), ("margin", 0.5), ("novelty", 0.125)):
        assert (
            measures.getter(measures.Measured("x", name, ("primary",), "primary"), ("primary",))(found)
            == value
        )
    for name in ("certainty", "energy", "margin", "novelty", "held_for"):
        assert measures.needs(name, ("primary",), ("fused",)) == {"fused"}
    assert measures.needs("votes", ("primary", "third"), ("fused", "third")) == {"fused", "third"}


def measures_of_the_answer(load: Load) -> None:
    found = load(PROGRAM).OF_ANSWER
    assert found == {"certainty", "energy", "margin", "novelty", "held_for"}


def signals_of_a_graph(load: Load) -> None:
    scoring = load(SCORING)

    def admitted(temperature: float) -> AdmittedModel:
        outputs = [TensorSpec("s", "float32", ("N", 2), "probabilities")]
        outputs += [TensorSpec(name, "float32", ("N",), name) for name in ("certainty", "energy")]
        manifest = Manifest("m", "1", 0, "fused", "f", PICTURE, tuple(outputs), ("a", "b"), temperature)
        return AdmittedModel(manifest, b"", "aa", "")

    scorer = scoring.Scorer(admitted(0.01))
    with pytest.raises(ContractError):
        scoring.Scorer(admitted(0.009))
    answer = np.array([0.75, 0.25], np.float32)
    for certainty, energy, taken in (
        (0.75, 1e9, True),
        (0.75, 1.1e9, False),
        (0.755, 0.0, True),
        (0.765, 0.0, False),
        (0.75, math.nan, False),
    ):
        outputs = {"certainty": np.array([certainty], np.float32), "energy": np.array([energy], np.float32)}
        assert (scorer.doubts(outputs, answer) is not None) == taken, (certainty, energy)


def bytes_between_host_and_worker(load: Load) -> None:
    layout = load(LAYOUT)
    contract = ModelContract("m", "aa", "p", PICTURE.shape, (OutputContract("s", "logits", ("N", 3)),))
    made = layout.Layout(("primary", "squeezed"), {"primary": Part("primary", contract, PICTURE, "auto")})
    assert (made.answer_size, made.suggestions_size, made.frames_size) == (128 + 24, 4096, 4 * 4096)
    assert (layout.HEAD.size, layout.REQUEST.size) == (68, 24)
    assert 64 + 64 * layout.REQUESTS <= 4096
    assert layout.HEAD.pack(2, 1, 3, 4, 5, 6, b"d" * 32, 7)[layout.COUNTER_AT] == bytes((3, *[0] * 7))
    assert layout.REQUEST.pack(1, 2, 3, 4) == bytes((1, *[0] * 7, 2, *[0] * 7, 3, 0, 0, 0, 4, 0, 0, 0))
    answer = bytearray(152)
    plain = layout.checksum(answer)
    covered = [at for at in range(152) if layout.checksum(answer[:at] + b"\1" + answer[at + 1 :]) != plain]
    assert covered == [*range(8, 64), *range(68, 152)]
    assert (layout.MASK32, layout.MASK64, layout.REQUESTS) == (2**32 - 1, 2**64 - 1, 4)


def words_of_a_worker(load: Load) -> None:
    witness = load(WITNESS)
    witness._refuted = lambda _: {}
    on = dict.fromkeys(LAYERS, "on")
    for late in ("seccomp", "limits", "capabilities", "undumpable", "user", "affinity", "scheduling"):
        assert witness.judged(on, on | {late: "no"}, 1).layers[late] == "no"
    for early in ("descriptors", "no_new_privs", "seccomp_load", "files", "namespaces", "landlock", "mounts"):
        assert witness.judged(on | {early: "no"}, on, 1).layers[early] == "no"
    least = (
        ("off", Level.OFF),
        ("preferred", Level.OFF),
        ("required", Level.FILTERED),
        ("strict", Level.STRICT),
    )
    for word, level in least:
        assert witness.shortfall(Reached(level, {}), word) == ""
        assert level is Level.OFF or witness.shortfall(Reached(Level(level - 1), {}), word)
    assert len(witness.plain("x" * 9999)) == 4000
    closed = {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0" * 16, "CapPrm": "0" * 16, "Uid": "7"}
    refuted = load(WITNESS)
    for filters, taken in (("2", False), ("3", True)):
        told = iter([{"Seccomp_filters": "1"}, closed | {"Seccomp_filters": filters}])
        refuted._status = lambda _, told=told: next(told)
        refuted.Path = lambda _: SimpleNamespace(iterdir=lambda: [0])
        assert (refuted._refuted(1) == {}) == taken


def times_of_a_worker(load: Load) -> None:
    member = load(MEMBER)
    limits = (member._START_WITHIN, member._GLANCE, member._PATIENCE_DEADLINES, member._PATIENCE_LEAST)
    assert limits == (60.0, 0.5, 5.0, 1.0)


ORACLES: dict[str, Callable[[Load], None]] = {
    DOUBT: numbers_that_are_no_probabilities,
    MEASURES: measures_of_looks,
    PROGRAM: measures_of_the_answer,
    SCORING: signals_of_a_graph,
    LAYOUT: bytes_between_host_and_worker,
    WITNESS: words_of_a_worker,
    MEMBER: times_of_a_worker,
}

CHANGES: tuple[tuple[str, str, str], ...] = (
    (DOUBT, "LARGEST = 1e6", "LARGEST = 2e6"),
    (DOUBT, "_SUM_SLACK = 1e-2", "_SUM_SLACK = 1e-1"),
    (DOUBT, "_SUM_SLACK = 1e-2", "_SUM_SLACK = 1e-3"),
    (DOUBT, "np.float32(1e-30)", "np.float32(1e-20)"),
    (PROGRAM, '"energy", "margin", "novelty", "held_for"})', '"energy", "margin", "novelty"})'),
    (PROGRAM, 'OF_ANSWER = frozenset({"certainty"', 'OF_ANSWER = frozenset({"votes", "certainty"'),
    (MEASURES, '"energy": lambda scores: scores.energy', '"energy": lambda scores: scores.novelty'),
    (MEASURES, '"certainty": _certainty', '"certainty": lambda scores: 1.0'),
    (MEASURES, '"novelty": lambda scores: scores.novelty', '"novelty": lambda scores: 0.0'),
    (SCORING, "COLDEST = 0.01", "COLDEST = 0.001"),
    (SCORING, "COLDEST = 0.01", "COLDEST = 0.02"),
    (SCORING, "_BEYOND = 1e9", "_BEYOND = 1e10"),
    (SCORING, "_ROUNDED = 1e-2", "_ROUNDED = 1e-1"),
    (SCORING, "_ROUNDED = 1e-2", "_ROUNDED = 1e-3"),
    (LAYOUT, "SLOTS = 3", "SLOTS = 2"),
    (LAYOUT, "REQUESTS = 4", "REQUESTS = 5"),
    (LAYOUT, '"<QQII"', '">QQII"'),
    (LAYOUT, "_FRONT = 8", "_FRONT = 12"),
    (LAYOUT, "_CRC_AT = HEAD.size - 4", "_CRC_AT = HEAD.size - 8"),
    (LAYOUT, "COUNTER_AT = slice(8, 16)", "COUNTER_AT = slice(8, 12)"),
    (LAYOUT, "SCORES_AT = 128", "SCORES_AT = 64"),
    (LAYOUT, "(1 << 64) - 1", "(1 << 63) - 1"),
    (WITNESS, '"required": Level.FILTERED', '"required": Level.PROCESS'),
    (WITNESS, '"strict": Level.STRICT', '"strict": Level.FILTERED'),
    (WITNESS, '"preferred": Level.OFF', '"preferred": Level.PROCESS'),
    (WITNESS, '{"seccomp", "limits"', '{"files", "seccomp", "limits"'),
    (WITNESS, '"undumpable", "user"', '"undumpable"'),
    (WITNESS, "_FILTERS = 2", "_FILTERS = 1"),
    (WITNESS, '_NO_CAPABILITIES = "0" * 16', '_NO_CAPABILITIES = "f" * 16'),
    (WITNESS, "LONGEST_TEXT = 4_000", "LONGEST_TEXT = 40_000"),
    (MEMBER, "_START_WITHIN = 60.0", "_START_WITHIN = 600.0"),
    (MEMBER, "_PATIENCE_DEADLINES = 5.0", "_PATIENCE_DEADLINES = 50.0"),
    (MEMBER, "_PATIENCE_LEAST = 1.0", "_PATIENCE_LEAST = 0.0"),
)  # fmt: skip


@pytest.mark.parametrize("module", ORACLES, ids=lambda name: name.rpartition(".")[2])
def test_the_source_of_what_runs_models_passes_as_it_is(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ORACLES[module](loader(monkeypatch, "", "", ""))


@pytest.mark.parametrize(
    ("module", "old", "new"), CHANGES, ids=[f"{c[0].rpartition('.')[2]}-{i}" for i, c in enumerate(CHANGES)]
)
def test_a_changed_source_of_what_runs_models_is_noticed(
    module: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert old in source_of(module), "the source has moved on: write another change"
    load = loader(monkeypatch, module, old, new)
    with pytest.raises((*NOTICED, ContractError, pytest.fail.Exception)):
        ORACLES[module](load)
