"""A worker's member step by step, over a process that does what a test says: deadlines, patience, restarts, its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeguard.errors import ContractError
from edgeguard.inference.looks import Reply
from edgeguard.inference.member import parts_for
from edgeguard.isolation import load, memory
from edgeguard.isolation import member as module
from edgeguard.isolation.channel import Asked, Heard
from edgeguard.isolation.member import WorkerMember, start_worker
from edgeguard.isolation.process import Phase, Recipe
from edgeguard.isolation.sandbox import Jail, Level, Wrapped
from edgeguard.program import WorkerSpec
from tests.isolation.conftest import EYES

FINE: Mapping[str, Any] = {"primary": "raw"}


class Scripted:
    """Stands for a process. Each of its fields is what it does next."""

    made: list[Scripted]
    clock: list[float]
    refuses: Exception | None = None
    phases: tuple[Phase, ...] = (Phase.READY,)

    def __init__(self, recipe: Recipe) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.recipe = recipe
        self.phase, self.why, self.pid = Phase.STARTING, "", 100 + len(self.made)
        self.reached = SimpleNamespace(level=Level.PROCESS)
        self.facts: dict[str, str] = {}
        self.coming = list(self.phases)
        self.suggestions = SimpleNamespace(read=self.read)
        self.heard: Any = Heard.NOTHING
        self.reads: list[Asked] = []
        self.waits: list[float] = []
        self.during: Callable[[], object] = lambda: None
        self.lingers = 1
        self.waited_for = False
        self.made.append(self)

    def advance(self) -> Phase:
        if self.coming and self.phase is not Phase.ENDED:
            self.phase = self.coming.pop(0)
        return self.phase

    def wait(self, seconds: float) -> None:
        if self.phase is Phase.ENDED:
            return
        self.waits.append(seconds)
        self.clock[0] += 0.25
        self.during()

    def read(self, asked: Asked) -> Any:
        self.reads.append(asked)
        return self.heard

    def end(self, why: str) -> None:
        if self.phase is not Phase.ENDED:
            self.phase, self.why = Phase.ENDED, why

    def dies(self, why: str = "has ended") -> None:
        self.end(why)

    def reap(self, *, wait: bool = False) -> bool:
        self.waited_for = self.waited_for or wait
        self.lingers -= 1
        return self.lingers < 0

    def words(self) -> dict[str, str]:
        return {"runs in": f"process {self.pid}", "sandbox seccomp": "on"}


class Bench:
    """Makes members over scripted processes, at a clock of its own."""

    def __init__(self, tiny: Any, patch: pytest.MonkeyPatch) -> None:
        self.now = [0.0]
        self.patch = patch
        self.jails: list[Any] = []
        self.undumpable = 0
        self.parts = parts_for(EYES, {"primary": tiny.classifier()}, {})
        self.members: list[WorkerMember] = []
        self.process: Any = type("Process", (Scripted,), {"made": [], "clock": self.now})
        patch.setattr(module, "Process", self.process)
        patch.setattr(module, "wrap", self._wrap)
        patch.setattr(module, "undumpable", self._undumpable)

    def _wrap(self, command: Any, jail: Any) -> Wrapped:
        self.jails.append((command, jail))
        return Wrapped(("front",), {"bubblewrap": "on"})

    def _undumpable(self) -> None:
        self.undumpable += 1

    @property
    def last(self) -> Any:
        return self.process.made[-1]

    def member(self, *, ready: bool = True, looks: tuple[str, ...] = EYES, **spec: Any) -> WorkerMember:
        scoring: Any = SimpleNamespace(reply=lambda number, raws: Reply(number, dict(raws)))
        made = WorkerMember(
            WorkerSpec("eyes", looks, **({"deadline": 0.5} | spec)),
            self.parts,
            {"primary": b"model"},
            scoring,
            clock=lambda: self.now[0],
        )
        self.members.append(made)
        if ready:
            made.wait_until_ready()
        return made

    def asked(self, member: WorkerMember, number: int = 7) -> Any:
        assert member.begin(number) is not None
        member.submit(("primary",))
        return self.last


@pytest.fixture
def bench(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tiny, monkeypatch)
    yield made
    for member in made.members:
        member.close()


# --- how it starts ----------------------------------------------------------------------------------------------------


def test_a_run_gets_the_memory_the_models_and_the_tool_in_front_of_it(bench: Bench) -> None:
    member = bench.member(memory=2**30, gpu=True)
    recipe = bench.last.recipe
    assert (recipe.spec, recipe.front, recipe.program) == (member.spec, ("front",), "")
    assert recipe.least is Level.OFF
    order = load.read(os.dup(recipe.load))
    assert (order.level, order.looks, order.models) == (Level.STRICT, EYES, {"primary": b"model"})
    assert os.fstat(recipe.frames).st_size == recipe.layout.frames_size
    assert bench.jails == [((), Jail(Level.STRICT, memory=2**30, gpu=True))]
    assert (member.name, member.looks, member.kinds) == ("eyes", EYES, recipe.layout.kinds)
    assert (member.pid, member.restarted) == (100, 0)
    for descriptor, name in ((recipe.load, "load"), (recipe.frames, "frames")):
        assert f"edgeguard-{name}" in str(Path(f"/proc/self/fd/{descriptor}").readlink())


@pytest.mark.parametrize(("sandbox", "times"), [("off", 0), ("preferred", 1), ("strict", 1)])
def test_the_hosts_memory_is_closed_to_a_worker_unless_the_policy_wants_no_sandbox(
    bench: Bench, sandbox: str, times: int
) -> None:
    bench.member(sandbox=sandbox)
    assert bench.undumpable == times
    assert bench.jails[0][1].level is (Level.OFF if sandbox == "off" else Level.STRICT)


def test_another_program_may_stand_for_the_workers_in_a_test(bench: Bench) -> None:
    scoring: Any = SimpleNamespace()
    spec = WorkerSpec("eyes", EYES)
    bench.members.append(WorkerMember(spec, bench.parts, {"primary": b"model"}, scoring, program="pass"))
    assert bench.last.recipe.program == "pass"


def test_its_start_is_waited_for_in_glances(bench: Bench) -> None:
    bench.process.phases = (Phase.STARTING, Phase.STARTING, Phase.READY)
    member = bench.member()
    assert bench.last.waits == [0.5, 0.5]
    assert member.answering


def test_a_start_that_fails_is_refused_in_the_workers_own_words(bench: Bench) -> None:
    member = bench.member(ready=False)
    bench.last.dies("cannot load the model")
    with pytest.raises(ContractError) as caught:
        member.wait_until_ready()
    assert str(caught.value) == "worker `eyes` cannot load the model"
    assert member.pid is None
    assert member.describe() == {"runs in": "no process", "why": "cannot load the model"}


@pytest.mark.parametrize("late", [False, True])
def test_a_start_has_a_minute(bench: Bench, late: bool) -> None:
    bench.process.phases = ()
    bench.now[0] = 1000.0
    member = bench.member(ready=False, restarts_most=0)
    bench.now[0] += 60.25 if late else 60.0
    member.tend(0.0)
    assert (member.pid is None) == late
    if late:
        assert member.describe()["why"] == "was not ready after 60 s"


def test_a_system_without_room_for_it_refuses_and_keeps_nothing(bench: Bench) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    bench.process.refuses = OSError(11, "no room")
    with pytest.raises(ContractError) as caught:
        bench.member()
    assert str(caught.value) == "worker `eyes` cannot be started: [Errno 11] no room"
    bench.process.refuses = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        bench.member()
    bench.patch.setattr(memory, "sealed_bytes", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bench.member()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_public_start_hands_over_the_models_of_its_parts_and_its_clock(bench: Bench) -> None:
    models: Any = {role: SimpleNamespace(model=role.encode() * 20) for role in ("primary", "other")}
    scoring: Any = SimpleNamespace()
    spec = WorkerSpec("eyes", EYES)
    member = start_worker(spec, bench.parts, models, scoring, clock=lambda: bench.now[0])
    bench.members.append(member)
    assert (member.answering, member.scoring, member.spec) == (True, scoring, spec)
    order = os.pread(bench.last.recipe.load, 10_000, 0)
    assert (b"primary" * 20 in order, b"other" * 20 in order) == (True, False)
    bench.asked(member)
    assert member.collect() == Reply(7, {})
    assert bench.last.waits == [0.05]  # to the bit, so it is not the system's clock
    bench.process.phases = (Phase.ENDED,)
    with pytest.raises(ContractError):
        start_worker(spec, bench.parts, models, scoring, clock=lambda: bench.now[0])
    assert bench.last.waited_for


# --- what it answers --------------------------------------------------------------------------------------------------


def test_it_takes_no_frame_before_it_is_ready_nor_without_both_channels(bench: Bench) -> None:
    early = bench.member(ready=False)
    assert (early.begin(1), early.answering) == (None, False)
    for member in (bench.member(hears=False), bench.member(speaks=False)):
        assert (member.begin(1), member.answering) == (None, False)


def test_only_its_own_looks_at_a_frame_that_was_begun_are_asked_for(bench: Bench) -> None:
    member = bench.member()
    member.submit(("primary",))
    assert member.collect() == Reply(-1, {})
    assert member.begin(7) is not None
    member.submit(("redundant",))
    assert member.collect() == Reply(-1, {})
    member.submit(("squeezed", "redundant", "primary"))
    bench.last.heard = FINE
    assert member.collect() == Reply(7, FINE)
    assert [asked.wanted for asked in bench.last.reads] == [0b101]
    bench.last.dies()
    assert member.begin(8) is None
    assert member._pictures.begun is False
    member.submit(("primary",))
    assert member.collect() == Reply(-1, {})
    assert len(bench.last.reads) == 1


def test_a_frame_that_a_process_did_not_take_is_not_asked_of_the_next(bench: Bench) -> None:
    member = bench.member()
    assert member.begin(7) is not None
    bench.last.dies()
    assert member.begin(8) is None
    for _ in range(2):
        member.tend(0.0)
    member.submit(("primary",))
    assert member.poll() is None
    assert bench.last.reads == []


def test_an_answer_is_waited_for_until_the_deadline_and_no_longer(bench: Bench) -> None:
    bench.now[0] = 100.0
    member = bench.member()
    process = bench.asked(member)
    assert member.answering is True
    assert member.collect() == Reply(7, {})
    assert process.waits == [0.5, 0.25]
    assert member.answering is False
    assert [asked.number for asked in process.reads] == [7] * 3
    assert member.collect() == Reply(-1, {})  # given up: not waited for again
    assert member.poll() is None
    assert len(process.reads) == 3
    bench.asked(member, 8)
    process.heard = FINE
    assert member.collect() == Reply(8, FINE)
    assert member.answering is True


def test_an_answer_is_given_once(bench: Bench) -> None:
    member = bench.member()
    process = bench.asked(member)
    assert member.poll() is None
    process.heard = FINE
    assert member.poll() == Reply(7, FINE)
    assert member.poll() is None
    assert member.collect() == Reply(-1, {})
    assert [asked.number for asked in process.reads] == [7] * 2
    assert process.waits == []


def test_nothing_is_there_before_anything_was_asked(bench: Bench) -> None:
    member = bench.member()
    assert member.poll() is None
    assert member.collect() == Reply(-1, {})
    bench.now[0] += 1000.0
    assert member.tend(0.0)
    assert (member.pid, bench.last.reads) == (100, [])


def test_the_picture_of_an_open_question_is_kept_and_no_other(bench: Bench) -> None:
    member = bench.member()
    kept: list[Asked | None] = []
    begin = member._pictures.begin

    def keeping(number: int, keep: Asked | None) -> Any:
        kept.append(keep)
        return begin(number, keep)

    bench.patch.setattr(member._pictures, "begin", keeping)
    process = bench.asked(member)
    bench.asked(member, 8)
    process.heard = FINE
    assert member.collect().number == 8
    bench.asked(member, 9)
    assert [None if keep is None else keep.number for keep in kept] == [None, 7, None]


def test_a_process_that_ends_while_it_is_waited_for_costs_that_frame(bench: Bench) -> None:
    member = bench.member(restarts_most=1)
    process = bench.asked(member)
    process.during = process.dies
    assert member.collect() == Reply(7, {})
    assert process.waits == [0.5]
    assert member.tend(0.0)
    assert (member.pid, member.restarted) == (101, 1)
    assert not member.answering  # the new one is not ready yet
    member.tend(0.0)
    assert member.answering


@pytest.mark.parametrize("waiting", [False, True])
def test_what_breaks_the_protocol_costs_the_worker_its_life(bench: Bench, waiting: bool) -> None:
    member = bench.member(restarts_most=0)
    process = bench.asked(member)
    process.heard = Heard.BROKEN
    assert (member.collect() == Reply(7, {})) if waiting else (member.poll() is None)
    assert (process.phase, process.why, process.waits) == (Phase.ENDED, "broke the protocol", [])
    assert member.answering is False
    member.tend(0.0)
    assert member.pid is None
    assert member.describe()["why"] == "broke the protocol"


def test_a_question_that_ended_with_its_process_is_told_once(bench: Bench) -> None:
    member = bench.member()
    bench.asked(member).dies()
    assert member.poll() is None
    member.tend(0.0)
    assert member.poll() == Reply(7, {})
    assert member.poll() is None
    member.tend(0.0)
    assert member.poll() is None
    assert bench.last.reads == []
    process = bench.asked(member, 8)
    process.dies()
    member.tend(0.0)
    member.tend(0.0)
    bench.asked(member, 9)
    assert member.poll() is None  # the newer question is open: the lost one is forgotten
    bench.last.heard = FINE
    assert member.poll() == Reply(9, FINE)


def test_an_answer_before_its_end_leaves_no_question_behind(bench: Bench) -> None:
    member = bench.member()
    process = bench.asked(member)
    process.heard = FINE
    assert member.poll() == Reply(7, FINE)
    process.dies()
    member.tend(0.0)
    assert member.poll() is None


# --- whether it lives -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("deadline", "patience"), [(0.125, 1.0), (0.5, 2.5)])
def test_a_worker_hangs_that_gave_no_answer_for_five_deadlines_and_a_second(
    bench: Bench, deadline: float, patience: float
) -> None:
    member = bench.member(deadline=deadline, restarts_most=0)
    bench.now[0] = 100.0
    bench.asked(member)
    bench.now[0] += 0.25
    bench.asked(member, 8)  # a newer question is no answer to the older one
    bench.now[0] = 100.0 + patience
    member.tend(0.0)
    assert member.pid == 100
    bench.now[0] += 0.25
    member.tend(0.0)
    assert member.pid is None
    assert member.describe()["why"] == f"gave no answer for {patience:g} s"


def test_a_late_answer_is_a_sign_of_life(bench: Bench) -> None:
    member = bench.member(deadline=0.125, restarts_most=0)
    process = bench.asked(member)
    bench.now[0] = 1.0
    process.heard = Heard.LATE
    member.tend(0.0)
    process.heard = Heard.NOTHING
    bench.now[0] = 2.0
    member.tend(0.0)
    assert member.pid == 100
    bench.now[0] = 2.25
    member.tend(0.0)
    assert member.pid is None


def test_an_answer_that_nobody_fetches_is_a_sign_of_life_and_is_read_once(bench: Bench) -> None:
    member = bench.member(restarts_most=0)
    process = bench.asked(member)
    process.heard = FINE
    for now in (1.0, 1000.0):
        bench.now[0] = now
        member.tend(0.0)
        assert (member.pid, [asked.number for asked in process.reads]) == (100, [7])
        process.heard = Heard.NOTHING  # whatever is written over it
    assert member.poll() == Reply(7, FINE)
    assert member.poll() is None


def test_an_answer_that_came_after_its_deadline_is_a_sign_of_life_and_no_answer(bench: Bench) -> None:
    member = bench.member(deadline=0.125, restarts_most=0)
    process = bench.asked(member)
    assert member.collect() == Reply(7, {})
    process.heard = FINE
    for now in (1.0, 1000.0):
        bench.now[0] = now
        member.tend(0.0)
    assert (member.pid, member.answering, member.poll()) == (100, False, None)
    bench.asked(member, 8)
    process.heard = Heard.NOTHING
    assert member.poll() is None  # the old answer is none to the new question


def test_the_silence_of_an_ended_process_is_not_the_next_ones(bench: Bench) -> None:
    member = bench.member(deadline=0.125)
    bench.asked(member).dies()
    member.tend(0.0)
    member.tend(0.0)
    bench.now[0] = 1000.0
    member.tend(0.0)
    assert member.pid == 101
    bench.asked(member, 8)
    bench.now[0] = 1001.0
    member.tend(0.0)
    assert member.pid == 101


def test_a_new_process_is_not_overdue_and_has_its_own_minute(bench: Bench) -> None:
    member = bench.member()
    process = bench.asked(member)
    assert member.collect() == Reply(7, {})
    assert not member.answering
    bench.now[0] = 1000.0
    bench.process.phases = (Phase.STARTING, Phase.READY)
    process.dies()
    member.tend(0.0)
    member.tend(0.0)
    assert (member.pid, member.answering) == (101, False)
    member.tend(0.0)
    assert member.answering


def test_restarts_are_within_their_budget_and_then_it_locks_out_or_stays_down(bench: Bench) -> None:
    for lockout in (False, True):
        member = bench.member(restarts_most=1, restarts_within=60.0, lockout=lockout)
        first = member.pid
        for now, goes_on in ((0.0, True), (59.0, not lockout), (1000.0, not lockout)):
            bench.last.dies("was killed")
            assert member.tend(now) == goes_on
        assert first is not None
        assert (member.pid, member.restarted, bench.last.pid) == (None, 1, first + 1)
        assert member.describe() == {"runs in": "no process", "why": "was killed"}


@pytest.mark.parametrize("error", [OSError(11, "no room"), ContractError("no sealable memory")])
def test_a_restart_that_fails_costs_one_and_raises_nothing(bench: Bench, error: Exception) -> None:
    member = bench.member(restarts_most=2)
    bench.last.dies()
    bench.process.refuses = error
    assert member.tend(0.0)
    assert (member.pid, member.restarted) == (None, 1)
    assert member.describe()["why"] == f"could not be started again: {error}"
    bench.process.refuses = None
    assert member.tend(1.0)
    assert (member.pid, member.restarted) == (101, 2)


def test_another_run_may_not_reach_less_than_any_before(bench: Bench) -> None:
    member = bench.member()
    for reached, least in ((Level.FILTERED, Level.FILTERED), (Level.PROCESS, Level.FILTERED)):
        bench.last.reached = SimpleNamespace(level=reached)
        bench.last.dies()
        member.tend(0.0)
        assert bench.last.recipe.least is least


def test_an_ended_process_is_reaped_once_the_kernel_lets_go(bench: Bench) -> None:
    member = bench.member()
    ended = bench.last
    ended.lingers = 2
    ended.dies()
    for _ in range(6):
        member.tend(0.0)
    assert ended.lingers == -1
    assert not ended.waited_for


def test_its_end_is_waited_for_and_everything_is_given_back(bench: Bench) -> None:
    member = bench.member()
    recipe, process = bench.last.recipe, bench.last
    member.close()
    assert (process.why, process.waited_for, member.pid) == ("was closed", True, None)
    for descriptor in (recipe.load, recipe.frames):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    left = process.lingers
    member.close()
    assert process.lingers == left
    assert member.tend(0.0)
    assert bench.last is process  # a closed one is not started again


def test_what_it_is_told_to_run_stands_where_what_it_says_does_not_fit(bench: Bench) -> None:
    member = bench.member()
    contract = bench.parts["primary"].contract
    own = f"{contract.bundle} {contract.digest[:12]}"
    fitting = f"{own} on onnxruntime"
    for facts, shown in (({"primary": fitting}, fitting), ({"primary": "another on x"}, own), ({}, own)):
        bench.last.facts = {"runs in": "the host", **facts}
        assert member.describe() == {
            "primary": shown,
            "sandbox bubblewrap": "on",
            "runs in": "process 100",
            "sandbox seccomp": "on",
        }


def test_how_often_it_fell_and_why_last_is_told(bench: Bench) -> None:
    member = bench.member(restarts_most=9)
    for why, often in (("was killed", "1 time"), ("broke the protocol", "2 times"), ("has ended", "3 times")):
        bench.last.dies(why)
        member.tend(0.0)
        assert member.describe()["started again"] == f"{often}, last as it {why}"
