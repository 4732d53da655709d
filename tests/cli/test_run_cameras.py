"""Several cameras in one run: their names, their lines and logs, and that each is guarded by itself."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from edgeguard import sources
from edgeguard.cli import stage
from edgeguard.cli.cameras import CameraPlan, plan_cameras
from edgeguard.console import Extra, TableScreen
from edgeguard.errors import UsageError
from edgeguard.sources import Taken
from edgeguard.types import Answer, Authority, Cause, Command, GateDecision, Mode, Verdict

Call = Callable[..., Any]


def test_each_camera_has_a_name_a_log_and_a_line_of_its_own() -> None:
    plans = plan_cameras(
        ["front=rtsp://me:secret@host:554/live?x=1", "/dev/video2"],
        ["/dev/ttyA", "/dev/ttyB"],
        Path("d/run.log"),
    )
    assert plans == (
        CameraPlan("front", "rtsp://me:secret@host:554/live?x=1", "/dev/ttyA", Path("d/run.front.log")),
        CameraPlan("video2", "/dev/video2", "/dev/ttyB", Path("d/run.video2.log")),
    )


def test_one_camera_keeps_its_log_s_name() -> None:
    assert plan_cameras(["camera:0"], ["auto"], Path("run.log")) == (
        CameraPlan("camera-0", "camera:0", "auto", Path("run.log")),
    )


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["camera:0", "camera:1", "camera"], ["camera-0", "camera-1", "camera"]),
        (["camera", "camera", "camera-2=camera:5"], ["camera", "camera-3", "camera-2"]),
        (["rtsp://me:secret@host:554/live?token=1"], ["host-554-live"]),
        (["http://" + "very-long-" * 9 + "host/end"], ["long-very-long-host-end"]),
        (["gst: v4l2src device=/dev/video0 ! appsink"], ["pipeline"]),
        (["Pictures/Day 1.mp4", "..."], ["pictures-day-1-mp4", "camera"]),
        (["Front=camera:0"], ["front-camera-0"]),
    ],
)
def test_a_camera_without_a_name_gets_one_that_may_stand_in_a_file_s_name(
    sources: list[str], names: list[str]
) -> None:
    assert [plan.name for plan in plan_cameras(sources)] == names


def test_a_file_whose_name_looks_like_a_camera_s_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a=b.mp4").touch()
    assert plan_cameras(["a=b.mp4"])[0].source == "a=b.mp4"


@pytest.mark.parametrize(
    ("sources", "links", "message"),
    [
        ([], [], "at least one `--source`"),
        (["a=camera:0", "a=camera:1"], [], "two cameras are called `a`"),
        (["camera:0", "camera:1"], ["/dev/ttyA"], "2 cameras and 1 lines"),
        (["camera:0"], ["/dev/ttyA", "/dev/ttyB"], "1 cameras and 2 lines"),
        (["camera:0", "camera:1"], ["/dev/ttyA", "/dev/ttyA"], "a different port"),
        (["camera:0", "camera:1"], ["auto", "/dev/ttyA"], "a different port"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(sources: list[str], links: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_cameras(sources, links)


def test_each_line_has_a_panel_of_its_own_or_none_has() -> None:
    plans = plan_cameras(
        ["camera:0", "camera:1"], ["/dev/ttyA", "/dev/ttyB"], None, ["/dev/ttyC", "unix:///p"]
    )
    assert [plan.panel for plan in plans] == ["/dev/ttyC", "unix:///p"]
    for links in ([], ["/dev/ttyA", "/dev/ttyB"]):
        with pytest.raises(UsageError, match=rf"{len(links)} lines and 1 panels"):
            plan_cameras(["camera:0", "camera:1"], links, None, ["/dev/ttyC"])


def test_two_cameras_run_side_by_side_with_a_log_each(call: Call, project: Any) -> None:
    log = project.root / "run.log"
    said = call(*project.run("--source", f"second={project.pictures}", "--seconds", 0.5, "--log", log))
    assert said.code == 0, said.err
    names = sorted(path.name for path in project.root.glob("run*.log"))
    assert len(names) == 2
    assert "run.second.log" in names
    for name in names:
        report = json.loads(call("log", "verify", project.root / name, "--format", "json").out)
        assert report["intact"] is True
        assert (
            f": log {project.root / name}: {report['verdicts']} verdicts, head {report['head']}" in said.out
        )
    seconds = [line for line in said.out.splitlines() if line.startswith("second ")]
    assert any("safe_state (standby) -> model (nominal)" in line for line in seconds)
    assert "second: " in said.out


def test_one_log_that_is_not_whole_is_told_by_its_name(call: Call, project: Any) -> None:
    (project.root / "run.second.log").symlink_to("/dev/full")
    more = ["--source", f"second={project.pictures}", "--seconds", 0.1, "--log", project.root / "run.log"]
    said = call(*project.run(*more))
    assert said.code == 5
    assert said.err.count("is not whole") == 1
    assert "run.second.log" in said.err


def test_a_second_camera_that_is_not_there_is_refused_before_anything_starts(
    call: Call, project: Any
) -> None:
    said = call(*project.run("--source", "camera:63", "--seconds", 0.1))
    assert (said.code, "cannot open the camera `camera:63`" in said.err, said.out) == (2, True, "")


class Dying:
    """A camera that gives one picture and then hangs, until the test is over."""

    over = threading.Event()

    def __init__(self) -> None:
        self.left = [np.full((24, 32, 3), 120, np.uint8)]

    def read(self) -> Taken | None:
        if not self.left:
            self.over.wait()
            return None
        return Taken(self.left.pop(), None)

    def release(self) -> None:
        pass


def test_a_camera_that_hangs_holds_nobody_up_and_loses_its_own_authority(
    call: Call, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = sources.open_source

    def open_source(spec: str, **options: Any) -> sources.Source:
        if spec == "dying":
            return sources.CameraSource(Dying, name="dying", patience=0.2)
        return opened(spec, **options)

    monkeypatch.setattr(sources, "open_source", open_source)
    log = project.root / "run.log"
    said = call(*project.run("--source", "dying=dying", "--seconds", 1.0, "--log", log))
    Dying.over.set()
    assert said.code == 0, said.err
    runs = {name: log.with_name(f"run.{name}.log").read_text() for name in ("dying", project.pictures.name)}
    verdicts = {name: text.count('"kind":"verdict"') for name, text in runs.items()}
    assert len(set(verdicts.values())) == 1, verdicts
    last = {name: json.loads(text.splitlines()[-2]) for name, text in runs.items()}
    assert last["dying"]["authority"] != "model"
    assert last[project.pictures.name]["authority"] == "model"


def verdict(at: float = 1.0, *, causes: tuple[Cause, ...] = (), answer: Answer | None = None) -> Verdict:
    return Verdict(
        1, 0, at, Mode.DEGRADED, Authority.RULES, GateDecision.ALLOW, Command(), causes=causes, answer=answer
    )


def drawn(screen: TableScreen) -> str:
    out = io.StringIO()
    Console(file=out, width=160).print(screen.render())
    return out.getvalue()


def test_the_table_has_a_row_a_camera_with_who_acts_and_why() -> None:
    out = io.StringIO()
    with TableScreen(Console(file=out, width=160), "colours version 1", ["front", "rear", "side"]) as screen:
        cause = Cause("unsure", 12, "certainty < 0.9", Authority.RULES, 0.0)
        answer = Answer(0, 1.0, 0, "stop", 0.5, (0.5, 0.5), "d")
        screen.show(
            "front", verdict(causes=(cause,), answer=answer), Extra(note="source camera:0", keys=True)
        )
        screen.show("rear", verdict(), Extra(note="the camera `r` gives no picture", log_healthy=False))
        text = drawn(screen)
        assert "colours version 1" in text
        assert "`unsure` (line 12): certainty < 0.9" in text
        assert "stop  0.5" in text
        assert "RULES" in text
        assert "its log cannot be written; the camera `r` gives no picture" in text
        assert "starting" in text
        assert "a arm" in text
        screen.show("rear", replace(verdict(1.01), takeover_deadline=4.21), Extra())
        assert "TAKE OVER: 3.2 s" in drawn(screen)
        screen.gone("front", "a fault")
        assert "FAILED" in drawn(screen)
        assert "`unsure`" not in drawn(screen)
    assert "front" in out.getvalue()


class Guard:
    program = SimpleNamespace(name="colours", version=1)


class Link:
    closed = 0
    status = SimpleNamespace(state="lost", mcu_mode="unknown", latches=(), stopped=False)

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("terminal", [True, False])
def test_a_guard_that_fails_closes_its_line_and_shows(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, link = io.StringIO(), Link()
    monkeypatch.setattr(
        stage,
        "Console",
        lambda: Console(file=out, force_terminal=terminal, width=160, _environ={"TERM": "xterm"}),
    )
    source = SimpleNamespace(name="s", trouble="", ended=False)
    posts: Any = [
        SimpleNamespace(name=name, source=source, guard=Guard(), link=link, log=None)
        for name in ("front", "rear")
    ]
    with ExitStack() as stack:
        cameras = stage.cameras_on(stack, posts, SimpleNamespace(active=False), headless=False)  # type: ignore[arg-type] # a stand-in
        cameras[1].show(verdict(), None)
        cameras[0].give_up(RuntimeError("a fault"))
    assert link.closed == 1
    assert "a fault" in out.getvalue()
    assert ("line lost" in out.getvalue()) is terminal
