"""Every verb of the desk knows workers, schedules and votes: `tests/policy/running.yaml` goes through all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.decider import Decider, World
from edgeguard.desk.compare import Order, compare, sides
from edgeguard.desk.page import html, markdown
from edgeguard.desk.prove.runs import fail_closed
from edgeguard.desk.prove.subject import Subject
from edgeguard.desk.reference import Inputs, Reference
from edgeguard.desk.reference.signals import Seen
from edgeguard.desk.trial import Phase, Trial
from edgeguard.policy import DraftPolicy, compile_draft
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.document import parse
from edgeguard.signals import readings
from edgeguard.types import Authority, Event, Mode, Signal

RUNNING = Path(__file__).parents[1] / "policy" / "running.yaml"
Desk = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def draft() -> DraftPolicy:
    return compile_draft(RUNNING)


@pytest.mark.parametrize("verb", ["check", "test", "lint", "prove", "analyze", "doc"])
def test_every_verb_is_content_with_workers_and_schedules(desk: Desk, verb: str) -> None:
    code, said = desk(verb, RUNNING)
    assert code == 0, said
    assert "Traceback" not in said


def test_formatting_is_a_fixed_point_of_the_new_sections(desk: Desk, tmp_path: Path) -> None:
    assert desk("fmt", "--check", RUNNING) == (0, "")
    loose = tmp_path / "loose.yaml"
    loose.write_text(
        "edgeguard: 1\nschedule:   {squeezing: {every: 4 frames, or_when: 'certainty<0.9&&a||b'}}\n"
        'isolation: {sandbox:   "off", workers: {}, channels: []}\n'
    )
    assert desk("fmt", loose)[0] == 0
    assert "or_when: (certainty < 0.9 && a) || b" in loose.read_text()
    assert 'sandbox: "off"' in loose.read_text()
    assert desk("fmt", "--check", loose) == (0, "")


def test_the_document_prints_who_runs_what(draft: DraftPolicy) -> None:
    text = markdown(draft)
    for title in ("Models", "Isolation", "Channels", "Schedule", "Real time"):
        assert f"\n## {title}\n" in text
    assert (
        "| `eyes` | `filter, primary, squeezed` | strict | 1GiB | 0, 2 | SCHED\\_FIFO 40 | none | 40ms |"
        in text
    )
    assert "| `last` | `third` | off |" in text
    assert "| `camera` | `second` | frame |" in text
    assert "| `doubt3` | in the background |  | 200ms | 300ms |" in text
    assert "take turns every 20 frames, by the seed 7" in text
    assert "| rule | line | schedule | debounce or maximum age |" in text
    assert "Real time" in html(draft)


def test_the_document_prints_what_was_asked_of_a_model(desk: Desk) -> None:
    gate = Path(__file__).parents[2] / "policies" / "sign_gate.yaml"
    code, said = desk("doc", gate)
    assert code == 0
    assert "\n## Qualification\n" in said
    assert "| `redundant` | 0.5 % |" in said


def test_a_document_without_them_has_no_such_tables(desk: Desk) -> None:
    code, said = desk("doc", Path(__file__).parents[2] / "policies" / "triage.yaml")
    assert code == 0
    assert not any(f"## {title}" in said for title in ("Channels", "Schedule", "Qualification", "Real time"))


def test_a_policy_with_all_of_it_is_equivalent_to_itself() -> None:
    assert compare(*sides(RUNNING, RUNNING)).order is Order.EQUIVALENT


def test_a_scheduled_signal_that_is_stale_takes_authority_in_a_trial(draft: DraftPolicy) -> None:
    trial = Trial(draft.program)
    trial.arm()
    (seen,) = trial.run(Phase({"squeezing": "stale"}))[:1]
    assert seen.authority is Authority.SAFE_STATE
    assert [cause.rule for cause in seen.causes if cause.line] == ["signal:squeezing"]


# --- a signal that is never computed again ---


class Held:
    """A guard's decision over signals of which some are held: every other one is measured in every step."""

    def __init__(self, draft: DraftPolicy) -> None:
        self.program, self.now, self.board = draft.program, 0.0, dict[str, Signal]()
        self.decider = Decider(draft.program)
        for event in ((Event.READY,), (), (Event.ARM,)):
            self.step({}, events=event)

    def step(
        self, given: dict[str, float | None], *, events: tuple[Event, ...] = ()
    ) -> tuple[Mode, Authority]:
        """One frame later. `given`: what is measured otherwise; None: held."""
        self.now += 0.05
        for spec in self.program.signals:
            value = given.get(spec.name, spec.nominal)
            if value is not None:
                self.board[spec.name] = Signal(spec.name, value, self.now, spec.source)
        values, healthy, rows = readings(self.program.signals, self.board, self.now)
        command = {limit.name: limit.low for limit in self.program.envelope}
        said = self.decider.decide(World(values, healthy, rows, True, events, command), self.now)
        return said.mode, said.authority


@pytest.mark.parametrize("name", ["disagreement", "squeezing", "doubt3"])
def test_a_signal_that_is_never_computed_again_ends_the_model_s_authority(
    draft: DraftPolicy, name: str
) -> None:
    held = Held(draft)
    said = [held.step({name: None})[1] for _ in range(8)]
    assert said[:6] == [Authority.MODEL] * 6  # 300 ms old, and still good
    assert Authority.MODEL not in said[6:]


def test_fail_closed_is_proved_whatever_is_held(draft: DraftPolicy) -> None:
    result = fail_closed(Subject.of(draft.document, draft.program))
    assert result.objections == ()
    assert "3 signals on a schedule, held and then stale at worst" in result.how


WORKED = """\
edgeguard: 1
policy: {name: worked, version: 1}
models: {primary: {bundle: m}, redundant: {bundle: r}}
admission: {signers: [{key: k.pub, sha256: "%s"}]}
schedule: {disagreement: {every: 4 frames}}
signals:
  disagreement: {of: [primary, redundant], range: [0, 1], max_age: 250ms}
rules:
  - {id: disagree, when: disagreement > 0.5, for: 2 frames, then: rules}
envelope: {brake: {min: 0, max: 1, safe: 1}}
""" % ("0" * 64)


def test_worked_example_of_a_schedule_is_what_both_engines_say() -> None:
    """S12: measured on frames 0 and 4; the held value makes the second frame of the debounce."""
    document = parse(WORKED.encode(), file="p.yaml")
    program = compile_policy(document, base=Path())
    engine, reference = Decider(program), Reference(document, {})
    state = reference.beginning()
    found, board = [], {"disagreement": (0.1, -0.2)}
    for i, events in enumerate([(Event.READY,), (Event.ARM,), *[()] * 6], start=-2):
        now = i * 0.05
        if i in (-2, 0, 4):
            board["disagreement"] = (0.9 if i == 4 else 0.1, now)
        value, at = board["disagreement"]
        signal = {"disagreement": Signal("disagreement", value, at, "primary+redundant")}
        values, healthy, rows = readings(program.signals, signal, now)
        said = engine.decide(World(values, healthy, rows, True, events, {"brake": 0.0}), now)
        inputs = Inputs(now, {"disagreement": Seen(value, at)}, True, frozenset(events), {"brake": 0.0})
        state, outcome = reference.step(state, inputs)
        assert outcome.mode is said.mode
        found.append(said.mode)
    assert found[2:] == [Mode.NOMINAL] * 5 + [Mode.DEGRADED]


def test_votes_that_are_no_whole_number_are_a_fault_in_both_engines() -> None:
    text = WORKED.replace("schedule: {disagreement: {every: 4 frames}}\n", "")
    text = text.replace(
        "disagreement: {of: [primary, redundant], range: [0, 1]",
        "votes: {of: [primary, redundant], range: [0, 2]",
    )
    text = text.replace("disagreement > 0.5", "votes < 2.0")
    document = parse(text.encode(), file="p.yaml")
    program, reference = compile_policy(document, base=Path()), Reference(document, {})
    for value, healthy in ((1.0, True), (2.0, True), (1.5, False), (3.0, False)):
        read = readings(program.signals, {"votes": Signal("votes", value, 1.0, "primary")}, 1.0)
        assert read[1] == (healthy,)
        inputs = Inputs(1.0, {"votes": Seen(value, 1.0)}, new_frame=True)
        outcome = reference.step(reference.beginning(), inputs)[1]
        assert (outcome.values["votes"] is not None) is healthy
