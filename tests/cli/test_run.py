"""run: the guarded loop on real files, its log, and every way in which it must refuse to start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from edgeguard.cli.loop import Clock, Limits, Summary, run_loop, use_answer
from edgeguard.console import Extra
from edgeguard.types import (
    Answer,
    Authority,
    Command,
    Event,
    Frame,
    GateDecision,
    Mode,
    Verdict,
)

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgeguard.types import Image

Call = Callable[..., Any]
ROOT = Path(__file__).parents[2]


def test_a_run_shows_who_acts_and_logs_every_verdict(call: Call, project: Any) -> None:
    log = project.root / "run.log"
    said = call(*project.run("--seconds", 0.5, "--log", log))
    assert said.code == 0, said.err
    assert "safe_state (standby) -> model (nominal)" in said.out
    assert "of the steps" in said.out
    assert "the model said:" in said.out
    report = json.loads(call("log", "verify", log, "--format", "json").out)
    assert report["intact"] is True
    assert f"log {log}: {report['verdicts']} verdicts, head {report['head']}" in said.out


def test_pictures_unlike_those_it_was_calibrated_on_take_the_answer_away(call: Call, project: Any) -> None:
    odd = project.root / "odd"
    odd.mkdir()
    rng = np.random.default_rng(1)
    for i in range(20):
        Pillow.fromarray(rng.integers(0, 255, (24, 32, 3)).astype(np.uint8)).save(odd / f"odd-{i:02}.png")
    for i, path in enumerate(sorted(project.pictures.rglob("*.png"))[:10]):  # first some that let it be armed
        Pillow.open(path).save(odd / f"known-{i:02}.png")
    log = project.root / "run.log"
    args = [odd if arg == project.pictures else arg for arg in project.run("--fps", 60, "--log", log)]
    assert call(*args).code == 0
    said = call("explain", log)
    assert said.code == 0
    assert "The fallback rules act instead of the model because rule `unsure`" in said.out
    line = 1 + next(i for i, row in enumerate(project.policy.read_text().splitlines()) if "id: unsure" in row)
    assert f"(line {line} of colours version 1)" in said.out
    assert "against calibrated.certainty" in said.out
    last = json.loads(call("explain", log, "--format", "json").out)
    assert last["command"] == {"use_answer": 0.0}


def test_a_second_run_continues_the_log(call: Call, project: Any) -> None:
    log = project.root / "run.log"
    for _ in range(2):
        assert call(*project.run("--seconds", 0.1, "--log", log)).code == 0
    assert json.loads(call("log", "verify", log, "--format", "json").out)["runs"] == 2


def test_a_log_on_a_full_disk_ends_with_exit_5(call: Call, project: Any) -> None:
    said = call(*project.run("--seconds", 0.1, "--log", "/dev/full"))
    assert said.code == 5
    assert "error: the log `/dev/full` is not whole" in said.err


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--source", "nowhere"], 2, "there is no `nowhere`"),
        (["--source", "camera:63"], 2, "cannot open the camera `camera:63`"),
        (["--log", "/proc/x.log"], 2, "cannot write the log"),
        (["--link", "/dev/ttyNONE"], 2, "names no device key"),
        (["--trust", "nowhere.pub"], 2, "nowhere.pub"),
        (["--policy", "nowhere.yaml"], 4, "nowhere.yaml"),
        (["--context", "speed=3"], 2, "no context signal `speed`; it has: none"),
        (["--fps", "0"], 2, "frames a second"),
        (["--seconds", "-1"], 2, "--seconds"),
    ],
)
def test_what_is_missing_is_said_in_one_line_before_anything_starts(
    call: Call, project: Any, more: list[str], code: int, message: str
) -> None:
    said = call(*project.run(*more))
    assert said.code == code
    assert message in said.err
    assert "Traceback" not in said.err


def test_without_a_trusted_key_nothing_runs(
    call: Call, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEGUARD_TRUST", raising=False)
    args = [a for a in project.run() if a not in ("--trust", project.pub)]
    said = call(*args)
    assert (said.code, "`--trust KEY.pub`" in said.err) == (4, True)


@pytest.mark.parametrize(
    "name", ["policy.yaml", "calibration.json", "models/primary/model.onnx", "models/primary/edgeguard.json"]
)
def test_one_flipped_byte_is_refused_with_exit_4_and_the_file_s_name(
    call: Call, project: Any, name: str
) -> None:
    path = project.root / "guard" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    said = call(*project.run())
    assert said.code == 4
    assert Path(name).name in said.err


CONTEXT = "  # speed:    {from: context, unit: m/s, range: [0, 60], max_age: 200ms}"


def test_context_signals_are_given_as_constants_or_refused(call: Call, project: Any) -> None:
    project.change_policy(CONTEXT, "  speed: {from: context, unit: m/s, range: [0, 60], max_age: 200ms}")
    said = call(*project.run("--seconds", 0.2))
    assert (said.code, "give --context speed=NUMBER" in said.err) == (2, True)
    assert call(*project.run("--context", "speed")).code == 2
    said = call(*project.run("--seconds", 0.2, "--context", "speed=3.5"))
    assert said.code == 0
    assert "-> model (nominal)" in said.out


def test_with_a_link_nothing_is_armed_unless_told_so(call: Call, project: Any) -> None:
    key = project.root / "guard" / "keys" / "link.key"
    assert call("link", "provision", key).code == 0
    project.change_policy("log: {flush: 1s}", "log: {flush: 1s}\nlink: {key: keys/link.key}\nftti: 2s")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
        said = call(*project.run("--seconds", 0.2, "--link", port))
        assert said.code == 0, said.err
        assert "(standby)" in said.out
        assert "(nominal)" not in said.out
    said = call(*project.run("--seconds", 0.1, "--link", port))
    assert (said.code, said.err.count("\n")) == (2, 1)


@pytest.mark.process
def test_a_service_s_stop_ends_the_run_in_order(project: Any) -> None:
    log = project.root / "run.log"
    args = [str(a) for a in project.run("--fps", 1, "--log", log)]
    done = subprocess.Popen(
        [sys.executable, "-m", "edgeguard", *args], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert done.stdout is not None
    assert b"standby" in done.stdout.readline()
    os.kill(done.pid, signal.SIGTERM)
    out, err = done.communicate(timeout=30)
    assert (done.returncode, err) == (0, b"")
    assert b"of the steps" in out
    assert log.read_bytes().splitlines()[-1].startswith(b'{"kind":"end"')


class FakeTime:
    def __init__(self) -> None:
        self.t = 100.0
        self.slept: list[float] = []
        self.work = 0.0

    def now(self) -> float:
        return self.t

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.t += seconds


class FakeGuard:
    """Stands by until it is armed for the third time; each step takes `work` s."""

    def __init__(self, time: FakeTime) -> None:
        self.time = time
        self.events: list[Event] = []
        self.frames: list[Frame | None] = []
        self.context: list[Mapping[str, Any]] = []

    def operator(self, event: Event) -> None:
        self.events.append(event)

    def step(self, frame: Frame | None, context: Mapping[str, Any], now: float) -> Verdict:
        self.time.t += self.time.work
        self.frames.append(frame)
        self.context.append(context)
        armed = self.events.count(Event.ARM) >= 3
        mode, who = (Mode.NOMINAL, Authority.MODEL) if armed else (Mode.STANDBY, Authority.SAFE_STATE)
        answer = (
            Answer(0, now, 0, "stop", 0.9, (0.9, 0.1), "d") if frame is not None and frame.number else None
        )
        return Verdict(len(self.frames), 0, now, mode, who, GateDecision.ALLOW, Command(), answer=answer)


class FakeSource:
    name = "fake"
    trouble = ""

    def __init__(self, frames: int) -> None:
        self.left = frames
        self.ended = False
        self.given = 0

    def poll(self, now: float) -> Frame | None:
        if self.given == self.left:
            self.ended = True
            return None
        self.given += 1
        return Frame(np.full((1, 1, 3), self.given, np.uint8), self.given - 1, now)

    def close(self) -> None:
        pass


class FakeScreen:
    def __init__(self) -> None:
        self.shown: list[tuple[Verdict, Image | None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, verdict: Verdict, image: Image | None, extra: Extra) -> None:
        self.shown.append((verdict, image))


class FakeKeys:
    def __init__(self, presses: dict[int, list[Event]] | None = None, quits: int = -1) -> None:
        self.presses = presses or {}
        self.quits = quits
        self.calls = 0
        self.quit = False

    def poll(self) -> list[Event]:
        self.calls += 1
        self.quit = self.calls == self.quits
        return self.presses.get(self.calls, [])


def loop(
    frames: int = 10_000,
    *,
    work: float = 0.0,
    keys: FakeKeys | None = None,
    seconds: float = float("inf"),
    arm: bool = True,
) -> tuple[FakeTime, FakeGuard, FakeScreen, Summary]:
    time = FakeTime()
    time.work = work
    guard, screen = FakeGuard(time), FakeScreen()
    summary = run_loop(
        guard,
        FakeSource(frames),
        screen,
        keys or FakeKeys(),
        context={"speed": 3.0},
        limits=Limits(0.02, seconds, arm=arm),
        clock=Clock(time.now, time.sleep),
        extra=Extra,
    )
    return time, guard, screen, summary


def test_the_loop_ends_with_the_source_and_counts() -> None:
    _, guard, screen, summary = loop(4)
    assert (summary.frames, summary.steps) == (4, 5)
    assert len(screen.shown) == 5
    assert summary.labels == Counter({"stop": 3, "(no answer)": 1})
    assert guard.context[0] == {"speed": 3.0}
    assert screen.shown[-1][1] is screen.shown[-2][1]


def test_the_loop_keeps_the_policy_s_period() -> None:
    time, _, _, summary = loop(100, work=0.005)
    assert summary.seconds == pytest.approx(101 * 0.02)
    assert time.slept[0] == pytest.approx(0.015)


def test_a_late_loop_does_not_catch_up_in_a_burst() -> None:
    time, _, _, _ = loop(10, work=0.05)
    assert time.slept == []


def test_the_loop_ends_after_its_time() -> None:
    assert loop(seconds=0.99)[3].steps == 50


def test_the_loop_arms_until_it_is_armed_and_never_again() -> None:
    _, guard, _, _ = loop(20)
    assert guard.events == [Event.ARM] * 3


def test_a_stop_before_it_is_armed_keeps_the_loop_from_arming() -> None:
    _, guard, _, _ = loop(20, keys=FakeKeys({2: [Event.STOP]}))
    assert guard.events == [Event.ARM, Event.STOP]


def test_without_arm_only_the_operator_arms() -> None:
    _, guard, _, _ = loop(20, arm=False, keys=FakeKeys({2: [Event.TAKE, Event.STOP]}))
    assert guard.events == [Event.TAKE, Event.STOP]


def test_the_operator_can_quit() -> None:
    assert loop(keys=FakeKeys(quits=7))[3].steps == 7


def test_the_summary_says_who_could_act_and_what_was_said() -> None:
    text = str(
        Summary(4, 2, 1.5, Counter({Authority.MODEL: 3, Authority.SAFE_STATE: 1}), Counter({"stop": 2}))
    )
    assert text.splitlines() == [
        "2 frames and 4 steps in 1.5 s",
        "  model        75.0% of the steps",
        "  safe state   25.0% of the steps",
        "  the model said: stop 2",
    ]
    assert str(Summary()).endswith("the model said: nothing")


def test_the_planner_of_an_answer_gate_suggests_to_use_the_answer() -> None:
    assert use_answer(Answer(0, 0.0, 0, "stop", 0.9, (0.9,), "d"), {}) == {"use_answer": 1.0}
