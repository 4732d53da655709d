"""Perception gives every signal its models can make, with the right values, and never raises on a frame."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeguard.errors import ContractError, UsageError
from edgeguard.filter import squeeze
from edgeguard.inference.backends import open_backend
from edgeguard.inference.onnx_backend import OnnxSession
from edgeguard.inference.perception import Perception
from edgeguard.inference.preprocess import Resizer
from edgeguard.inference.session import InferenceError
from edgeguard.program import ModelRef
from edgeguard.types import Frame

DOUBT = ("certainty", "disagreement", "reconstruction", "squeezing", "novelty")


class Clock:
    """Each look at it takes a millisecond."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def build(tiny: Any, **models: Any) -> Perception:
    return Perception.build(models, (), Clock())


@pytest.fixture(scope="module")
def trio(tiny: Any) -> Iterator[Perception]:
    perception = Perception.build(
        {
            "primary": tiny.classifier(novelty=True, temperature=40.0),
            "redundant": tiny.classifier(seed=1, role="redundant", temperature=40.0),
            "filter": tiny.filter(gain=0.5),
        },
        (),
        Clock(),
    )
    perception.warm_up()
    yield perception
    perception.close()


def values(perception: Perception, image: Any, at: Any = 1.0, now: float = 1.02) -> dict[str, float | None]:
    return {s.name: s.value for s in perception.observe(Frame(image, 1, at), now).signals}


def softmax(model: Any, picture: np.ndarray, temperature: float) -> Any:
    logits = (
        open_backend("auto").load(model).run(np.ascontiguousarray(picture[None]))["logits"][0].astype(float)
    )
    scaled = np.exp((logits - logits.max()) / temperature)
    return scaled / scaled.sum()


def test_every_signal_is_what_its_definition_says(tiny: Any, trio: Perception) -> None:
    image = tiny.frame(3)
    x = np.empty((3, 8, 8), np.float32)
    Resizer(8, 8, "area")(image, x)
    primary, redundant = tiny.classifier(), tiny.classifier(seed=1)
    answer = softmax(primary, x * np.float32(0.5), 40.0)
    plain, second = softmax(primary, x, 40.0), softmax(redundant, x, 40.0)
    squeezed = softmax(primary, squeeze(x), 40.0)
    observation = trio.observe(Frame(image, 7, 1.0), 1.02)
    got = {s.name: s.value for s in observation.signals}
    assert observation.answer is not None
    assert observation.answer.frame == 7
    assert observation.answer.at == 1.0
    assert observation.answer.name == tiny.classes[int(answer.argmax())]
    assert observation.answer.digest == trio.digests["primary"]
    np.testing.assert_allclose(observation.answer.probabilities, answer, atol=1e-4)
    assert got["certainty"] == pytest.approx(answer.max(), abs=1e-4)
    assert got["disagreement"] == pytest.approx(0.5 * np.abs(answer - second).sum(), abs=1e-4)
    assert got["reconstruction"] == pytest.approx(0.5 * np.abs(plain - answer).sum(), abs=1e-4)
    assert got["squeezing"] == pytest.approx(0.5 * np.abs(plain - squeezed).sum(), abs=1e-4)
    assert got["novelty"] == pytest.approx(float(x.mean()) * 0.5, abs=1e-4)
    assert got["frame_age"] == pytest.approx(0.02)
    assert got["contrast"] == pytest.approx(image.std() / 127.5, rel=1e-3)
    assert got["latency"] == pytest.approx(0.001)


def test_signals_say_where_they_come_from_and_when(tiny: Any, trio: Perception) -> None:
    signals = trio.observe(Frame(tiny.frame(), 1, 3.5), 3.5).signals
    assert {s.at for s in signals} == {3.5}
    assert {s.name: s.source for s in signals} == {
        "certainty": "primary",
        "disagreement": "redundant",
        "reconstruction": "filter",
        "squeezing": "primary",
        "novelty": "primary",
        "frame_age": "frame",
        "frozen_for": "frame",
        "contrast": "frame",
        "latency": "runtime",
    }


def test_a_primary_alone_makes_no_signal_of_other_models(tiny: Any) -> None:
    perception = build(tiny, primary=tiny.classifier())
    names = [s.name for s in perception.observe(Frame(tiny.frame(), 1, 0.0), 0.0).signals]
    assert names == ["certainty", "squeezing", "frame_age", "frozen_for", "contrast", "latency"]
    assert perception.classes == tiny.classes


@pytest.mark.parametrize("batch", ["N", 1])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("probabilities", [False, True])
def test_batches_layouts_and_meanings_agree(
    tiny: Any, batch: str | int, layout: str, probabilities: bool
) -> None:
    options = {"batch": batch, "layout": layout}
    perception = build(
        tiny,
        primary=tiny.classifier(novelty=True, probabilities=probabilities, **options),
        redundant=tiny.classifier(role="redundant", probabilities=probabilities, **options),
        filter=tiny.filter(**options),
    )
    perception.warm_up()
    got = values(perception, tiny.frame(5))
    assert got["disagreement"] == pytest.approx(0.0, abs=1e-5)
    assert got["reconstruction"] == pytest.approx(0.0, abs=1e-5)
    assert got["certainty"] is not None
    assert got["novelty"] is not None


def test_models_that_look_at_other_pictures_get_their_own(tiny: Any) -> None:
    perception = build(
        tiny,
        primary=tiny.classifier(),
        redundant=tiny.classifier(role="redundant", resize="bilinear"),
    )
    got = values(perception, tiny.frame(5, 30, 40))
    assert got["disagreement"] is not None
    assert got["disagreement"] > 0.0


@pytest.mark.parametrize("poison", [math.nan, math.inf, 1e7])
def test_a_primary_that_says_nonsense_has_no_answer_and_no_doubt_signal(tiny: Any, poison: float) -> None:
    perception = build(
        tiny, primary=tiny.classifier(poison=poison), redundant=tiny.classifier(role="redundant")
    )
    observation = perception.observe(Frame(tiny.frame(), 1, 0.0), 0.0)
    assert observation.answer is None
    got = {s.name: s.value for s in observation.signals}
    assert all(got[name] is None for name in ("certainty", "disagreement", "squeezing"))
    assert got["contrast"] is not None
    with pytest.raises(ContractError, match="no usable answer"):
        perception.warm_up()


def test_a_redundant_model_that_says_nonsense_costs_only_its_signal(tiny: Any) -> None:
    perception = build(
        tiny, primary=tiny.classifier(), redundant=tiny.classifier(role="redundant", poison=math.nan)
    )
    got = values(perception, tiny.frame())
    assert got["disagreement"] is None
    assert got["certainty"] is not None
    with pytest.raises(ContractError, match="no usable answer to a grey picture from `tiny-redundant`"):
        perception.warm_up()


def test_a_filter_that_says_nonsense_takes_the_answer_away(tiny: Any) -> None:
    perception = build(tiny, primary=tiny.classifier(novelty=True), filter=tiny.filter(gain=math.nan))
    observation = perception.observe(Frame(tiny.frame(), 1, 0.0), 0.0)
    got = {s.name: s.value for s in observation.signals}
    assert observation.answer is None
    assert [got[n] for n in ("certainty", "reconstruction", "novelty")] == [None, None, None]
    assert got["squeezing"] is not None
    with pytest.raises(ContractError, match="no usable answer to a grey picture from `tiny-primary`"):
        perception.warm_up()


def test_an_answer_from_memory_of_c_is_read_all_the_same(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As TensorRT's memory gives it: numpy takes it for float32, and a plain view of it cannot be indexed."""
    perception = build(tiny, primary=tiny.classifier())
    run = OnnxSession.run

    def of_c(session: OnnxSession, batch: Any) -> dict[str, Any]:
        outputs = {}
        for meaning, array in run(session, batch).items():
            room = np.ctypeslib.as_array((ctypes.c_float * array.size)()).reshape(array.shape)
            room[...] = array
            outputs[meaning] = room
        return outputs

    straight = perception.observe(Frame(tiny.frame(3), 1, 1.0), 1.0).answer
    monkeypatch.setattr(OnnxSession, "run", of_c)
    answer = perception.observe(Frame(tiny.frame(3), 2, 2.0), 2.0).answer
    assert straight is not None
    assert answer is not None
    assert list(answer.probabilities) == pytest.approx(list(straight.probabilities))


def test_a_model_that_fails_on_one_frame_answers_the_next(tiny: Any) -> None:
    perception = build(tiny, primary=tiny.brittle())
    bright = np.full((8, 8, 3), 255, np.uint8)
    dark = np.full((8, 8, 3), 40, np.uint8)
    assert values(perception, bright)["certainty"] is None
    assert values(perception, dark)["certainty"] is not None


def test_a_filter_that_fails_while_running_takes_the_answer_away(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    perception = build(tiny, primary=tiny.classifier(), filter=tiny.filter())
    monkeypatch.setattr("edgeguard.inference.runner._Filter.__call__", lambda _self, _picture: None)
    assert perception.observe(Frame(tiny.frame(), 1, 0.0), 0.0).answer is None


def test_one_failed_run_of_a_fixed_batch_takes_the_answer_away(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    perception = build(tiny, primary=tiny.classifier(batch=1))
    whole = OnnxSession.run
    calls = iter([True, False])

    def run(self: Any, batch: Any) -> Any:
        if next(calls):
            return whole(self, batch)
        raise InferenceError("did not answer")

    monkeypatch.setattr(OnnxSession, "run", run)
    assert perception.observe(Frame(tiny.frame(), 1, 0.0), 0.0).answer is None


def test_a_novelty_that_is_no_number_takes_the_answer_away(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    perception = build(tiny, primary=tiny.classifier(novelty=True))
    outputs = {"logits": np.zeros((2, 3), np.float32), "novelty": np.array([math.nan, 0], np.float32)}
    monkeypatch.setattr(OnnxSession, "run", lambda _self, _batch: outputs)
    assert perception.observe(Frame(tiny.frame(), 1, 0.0), 0.0).answer is None


@pytest.mark.parametrize(
    "image",
    [
        None,
        "picture",
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
    ],
    ids=["none", "text", "float", "grey", "alpha", "empty", "batch"],
)
def test_a_frame_that_is_no_picture_gives_signals_without_values(trio: Perception, image: Any) -> None:
    observation = trio.observe(Frame(image, 1, 1.0), 1.0)
    assert observation.answer is None
    assert len(observation.signals) == 9
    assert all(signal.value is None for signal in observation.signals)


@pytest.mark.parametrize("at", [None, "now", math.nan, 10**400, -(2**62)])
def test_a_frame_without_a_time_gives_nothing_fresh(tiny: Any, trio: Perception, at: Any) -> None:
    for signal in trio.observe(Frame(tiny.frame(), 1, at), 1.0).signals:
        assert math.isnan(signal.at)


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.float32, np.int64, np.bool_]),
        st.lists(st.integers(0, 9), min_size=0, max_size=4).map(tuple),
    ),
    st.floats(),
    st.floats(),
)
@settings(max_examples=80)
def test_observe_never_raises(trio: Perception, image: Any, at: float, now: float) -> None:
    observation = trio.observe(Frame(image, 1, at), now)
    assert [s.name for s in observation.signals] == [name for name, _ in trio.signal_names]


def test_warm_up_leaves_the_frame_health_alone(tiny: Any) -> None:
    perception = build(tiny, primary=tiny.classifier())
    perception.warm_up()
    assert values(perception, np.full((8, 8, 3), 128, np.uint8), at=5.0)["frozen_for"] == 0.0


def test_describe_names_every_bundle_its_digest_and_place(trio: Perception) -> None:
    described = trio.describe()["host"]
    assert set(described) == {"runs in", "primary", "filter", "redundant"}
    assert described["runs in"] == "host"
    assert trio.digests["filter"][:12] in described["filter"]
    assert "CPUExecutionProvider" in described["primary"]


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (lambda t: {"redundant": t.classifier()}, "no primary model"),
        (lambda t: {"primary": t.filter()}, "needs an output of meaning `logits`"),
        (lambda t: {"primary": t.classifier(), "filter": t.classifier(role="filter")}, "meaning `image`"),
        (
            lambda t: {
                "primary": t.classifier(),
                "redundant": t.classifier(classes=("none", "yield", "stop")),
            },
            "other classes, or another order",
        ),
        (lambda t: {"primary": t.classifier(temperature=0.001)}, "`temperature` must be at least"),
        (lambda t: {"primary": t.classifier(), "filter": wide_filter(t)}, "16 x 8 pixels"),
    ],
)
def test_models_that_do_not_fit_are_refused(tiny: Any, models: Any, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        Perception.build(models(tiny), (), Clock())


def wide_filter(tiny: Any) -> Any:
    from onnx import helper

    from edgeguard.admission import TensorSpec

    spec = tiny.spec(shape=("N", 3, 8, 16))
    return tiny.model(
        [helper.make_node("Relu", ["image"], ["clean"])],
        {},
        spec=spec,
        outputs=[TensorSpec("clean", "float32", spec.shape, "image")],
        role="filter",
    )


def test_a_novelty_of_several_numbers_is_refused(tiny: Any) -> None:
    from onnx import helper

    from edgeguard.admission import TensorSpec

    outputs = [
        TensorSpec("logits", "float32", ("N", 3), "logits"),
        TensorSpec("novelty", "float32", ("N", 192), "novelty"),
    ]
    nodes = [
        helper.make_node("Flatten", ["image"], ["novelty"]),
        helper.make_node("MatMul", ["novelty", "w"], ["logits"]),
    ]
    model = tiny.model(nodes, {"w": np.zeros((192, 3), np.float32)}, spec=tiny.spec(), outputs=outputs)
    with pytest.raises(ContractError, match="`novelty` must be one number"):
        build(tiny, primary=model)


def test_an_unknown_backend_in_the_policy_is_refused(tiny: Any) -> None:
    with pytest.raises(UsageError, match="unknown backend `magic`"):
        Perception.build({"primary": tiny.classifier()}, [ModelRef("primary", "", "magic")], Clock())
