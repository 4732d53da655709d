"""Who runs what, where and how often: from the text of a policy to the plain values that the runtime reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeguard.decision.table import Truth
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.describe import describe
from edgeguard.policy.document import PolicyDocument, parse
from edgeguard.policy.looks import asked_for, home, runnable, taken_from
from edgeguard.program import ModelRef, Program, Realtime, Scheduled, Switch, WorkerSpec, never

HERE = Path(__file__).parent
TEXT = (HERE / "running.yaml").read_text()
SIGNED = 'admission: {signers: [{key: k.pub, sha256: "' + "0" * 64 + '"}]}\n'
LEAST = f"""\
edgeguard: 1
policy: {{name: least, version: 1}}
models: {{primary: {{bundle: m}}, redundant: {{bundle: r}}}}
{SIGNED}signals:
  certainty: {{of: primary, range: [0, 1], max_age: 300ms}}
envelope: {{brake: {{min: 0, max: 1, safe: 1}}}}
"""


@pytest.fixture(scope="module")
def document() -> PolicyDocument:
    return parse(TEXT.encode(), file="running.yaml")


@pytest.fixture(scope="module")
def program(document: PolicyDocument) -> Program:
    return compile_policy(document, base=Path("/p"))


def compiled(text: str) -> Program:
    return compile_policy(parse(text.encode(), file="p.yaml"), base=Path("/p"))


# --- models ---


def test_alternates_follow_their_primary_and_run_on_its_backend(program: Program) -> None:
    assert program.models == (
        ModelRef("primary", "/p/models/a", "auto"),
        ModelRef("primary.1", "/p/models/b", "auto"),
        ModelRef("primary.2", "/c", "auto"),
        ModelRef("redundant", "/p/models/r", "onnxruntime-cuda", cpu_fallback=True),
        ModelRef("third", "/p/models/t"),
        ModelRef("filter", "/p/models/f"),
    )
    assert program.switch == Switch(every=20, seed=7)


def test_a_switch_without_a_seed_draws_one_at_the_start() -> None:
    text = LEAST.replace(
        "primary: {bundle: m}", "primary: {bundle: m, alternates: [x], switch: {every: 1 frame}}"
    )
    assert compiled(text).switch == Switch(every=1, seed=None)


def test_a_fused_graph_is_a_model_of_its_own_and_the_only_look_of_the_primary() -> None:
    text = LEAST.replace(
        "signals:", "fused: {bundle: g}\nisolation: {workers: {w: {runs: [fused]}}}\nsignals:"
    )
    program = compiled(text)
    assert [ref.role for ref in program.models] == ["primary", "redundant", "fused"]
    assert program.workers[0].looks == ("fused",)


# --- workers ---


def test_every_word_about_a_worker_reaches_it(program: Program) -> None:
    eyes, second, last = program.workers
    assert eyes == WorkerSpec(
        name="eyes",
        looks=("primary", "squeezed"),
        sandbox="strict",
        memory=2**30,
        cpus=(0, 2),
        fifo=40,
        gpu=False,
        deadline=0.04,
        restarts_most=5,
        restarts_within=120.0,
        lockout=True,
    )
    assert (second.looks, second.sandbox, second.gpu, second.lockout) == (
        ("redundant", "plain"), "required", True, False,
    )  # fmt: skip
    assert (last.looks, last.sandbox) == (("third",), "off")


def test_a_worker_of_which_nothing_is_said_has_the_defaults() -> None:
    (worker,) = compiled(LEAST + "isolation: {workers: {w: {runs: [redundant]}}}\n").workers
    assert worker == WorkerSpec("w", ("redundant",))


def test_looks_of_the_primary_run_beside_it_where_no_worker_names_them() -> None:
    both = LEAST + "filter: {bundle: f}\nisolation: {workers: {w: {runs: [primary, filter]}}}\n"
    assert compiled(both).workers[0].looks == ("primary", "plain", "squeezed")
    bare = LEAST + "isolation: {workers: {w: {runs: [primary]}}}\n"
    assert compiled(bare).workers[0].looks == ("primary", "squeezed")
    policy = parse((LEAST + "isolation: {workers: {w: {runs: [squeezed]}}}\n").encode(), file="p").policy
    assert [home(policy, look) for look in ("primary", "squeezed", "redundant")] == ["host", "w", "host"]
    assert runnable(policy) == ("primary", "redundant", "squeezed")


def test_declared_channels_give_every_worker_what_it_has_without_them(program: Program) -> None:
    bare = compiled(LEAST + "isolation: {workers: {w: {runs: [redundant]}}}\n")
    assert all(worker.hears and worker.speaks for worker in (*program.workers, *bare.workers))


# --- schedule ---


def test_schedule_is_in_file_order_with_every_word_of_it(program: Program) -> None:
    assert program.schedule == (
        Scheduled("disagreement", every=4),
        Scheduled("squeezing", every=4, offset=2),
        Scheduled("doubt3", background=True),
    )


def given(program: Program, **values: float) -> tuple[list[float], list[bool]]:
    """Only these signals are there, as when the answer has just come."""
    names = [spec.name for spec in program.signals]
    return [values.get(name, 0.0) for name in names], [name in values for name in names]


def test_a_scheduled_signal_is_due_besides_when_its_condition_holds(program: Program) -> None:
    calm = {"certainty": 0.95, "answer": 0.0, "door": 0.0}
    assert program.due(*given(program, **calm)) == (Truth.FALSE,) * 3
    assert program.due(*given(program, **{**calm, "certainty": 0.5})) == (
        Truth.TRUE,
        Truth.FALSE,
        Truth.FALSE,
    )
    assert program.due(*given(program, **{**calm, "door": 1.0}))[0] is Truth.TRUE
    assert program.due(*given(program, **{**calm, "door": 1.0, "answer": 1.0}))[0] is Truth.FALSE


def test_a_condition_that_cannot_be_evaluated_is_a_fault_and_so_is_everything_odd(program: Program) -> None:
    assert program.due(*given(program, certainty=0.95)) == (Truth.FAULT, Truth.FALSE, Truth.FALSE)
    assert program.due([], []) == (Truth.FAULT,) * 3
    values, healthy = given(program, certainty=float("nan"), answer=0.0, door=0.0)
    assert program.due(values, healthy)[0] is Truth.FAULT


def test_a_policy_without_a_schedule_has_nothing_to_ask() -> None:
    program = compiled(LEAST)
    assert (program.schedule, program.due, program.switch, program.realtime) == ((), never, None, None)


def test_a_condition_of_the_schedule_may_use_names_and_thresholds() -> None:
    from tests.policy.conftest import calibration

    text = LEAST.replace("envelope", "  squeezing: {of: primary, range: [0, 1], max_age: 300ms}\nenvelope")
    text += "calibration: c.json\nlet: {unsure: certainty < calibrated.certainty + 0.05}\n"
    text += "schedule: {squeezing: {every: 2 frames, or_when: unsure}}\n"
    document = parse(text.encode(), file="p.yaml")
    assert document.thresholds() == ("certainty",)
    program = compile_policy(document, base=Path(), calibration=calibration("least", {"certainty": 0.5}))
    assert program.due([0.54, 0.0], [True, False]) == (Truth.TRUE,)
    assert program.due([0.56, 0.0], [True, False]) == (Truth.FALSE,)


# --- signals ---


def test_signals_say_what_is_measured_and_of_which_models_the_primary_first(program: Program) -> None:
    found = {spec.name: (spec.measure, spec.of, spec.whole) for spec in program.signals}
    assert found["energy"] == ("energy", ("primary",), False)
    assert found["doubt3"] == ("disagreement", ("primary", "third"), False)
    assert found["disagreement"] == ("disagreement", ("primary", "redundant"), False)
    assert found["votes"] == ("votes", ("primary", "redundant"), True)
    assert found["answer"] == ("answer", ("primary",), True)
    assert found["second"] == ("answer", ("redundant",), True)
    assert found["speed"] == ("speed", (), False)


def test_direction_of_doubt_follows_the_measure_whatever_the_name(program: Program) -> None:
    worse = {spec.name: spec.worse for spec in program.signals}
    for name in ("certainty", "margin", "held_for", "votes"):
        assert worse[name] == "lower"
    for name in ("energy", "disagreement", "doubt3", "squeezing", "workers_down"):
        assert worse[name] == "higher"


def test_what_a_signal_is_computed_from_besides_the_answer(document: PolicyDocument) -> None:
    policy = document.policy
    found = {name: asked_for(policy, name) for name in policy.signals}
    assert found["disagreement"] == ("redundant",)
    assert found["doubt3"] == ("third",)
    assert found["squeezing"] == ("plain", "squeezed")
    assert found["second"] == ("redundant",)
    assert not any(found[name] for name in ("certainty", "energy", "margin", "held_for", "answer", "speed"))


def test_a_fused_graph_computes_what_it_can_itself() -> None:
    text = LEAST.replace(
        "envelope", "  disagreement: {of: [primary, redundant], range: [0, 1], max_age: 1s}\nenvelope"
    )
    text = text.replace(
        "envelope", "  votes: {of: [primary, redundant], range: [0, 2], max_age: 1s}\nenvelope"
    )
    policy = parse((text + "fused: {bundle: g}\n").encode(), file="p").policy
    assert taken_from(policy, "disagreement") == ("fused",)
    assert taken_from(policy, "votes") == ("fused", "redundant")


# --- the rest ---


def test_real_time_wishes_reach_the_program(program: Program) -> None:
    assert program.realtime == Realtime(fifo=50, cpus=(1,), lock_memory=True, freeze_gc=True, required=True)
    assert compiled(LEAST + "realtime: {}\n").realtime == Realtime()


@pytest.mark.parametrize("text", ["0.5%", "0.005", '"0.5%"', "0.5 %"])
def test_a_share_is_a_number_or_a_percentage(text: str) -> None:
    source = LEAST + f"qualification: {{redundant: {{accuracy_loss: {text}, common_mode: 1}}}}\n"
    asked = parse(source.encode(), file="p").policy.qualification["redundant"]
    assert (asked.accuracy_loss, asked.common_mode) == (0.005, 1.0)


def test_description_names_workers_and_schedule(program: Program) -> None:
    said = describe(program)
    assert [worker["name"] for worker in said["workers"]] == ["eyes", "second", "last"]  # type: ignore[index,union-attr,call-overload]  # JSON has no types
    assert [entry["every"] for entry in said["schedule"]] == [4, 4, 1]  # type: ignore[index,union-attr,call-overload]  # JSON has no types
