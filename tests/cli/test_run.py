"""run: the guarded loop on real files, its log, and every way in which it must refuse to start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from edgeguard.cli.posts import falls, shortfalls

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


def test_what_a_worker_does_without_is_a_warning_and_what_nobody_asked_for_is_none() -> None:
    told = {
        "host": {"runs in": "the host's process"},
        "whole": {"sandbox": "strict", "sandbox files": "on (own mounts)", "sandbox landlock": "too old"},
        "bare": {"sandbox": "off", "sandbox files": "not asked for", "sandbox affinity": "not asked for"},
        "open": {"sandbox": "process", "sandbox seccomp": "no such filter", "sandbox user": "on"},
        "adrift": {"sandbox": "strict", "sandbox affinity": "cpus 99: invalid"},
    }
    post: Any = SimpleNamespace(guard=SimpleNamespace(members=told))
    assert shortfalls(post) == [
        "worker `open`, sandbox level `process`, does without `seccomp`: no such filter",
        "worker `adrift`, sandbox level `strict`, does without `affinity`: cpus 99: invalid",
    ]


def test_a_run_tells_which_workers_fell_and_why() -> None:
    told = {
        "host": {"runs in": "host"},
        "whole": {"sandbox": "strict"},
        "again": {"started again": "2 times, last as it has ended"},
        "down": {"runs in": "no process", "why": "broke the protocol"},
    }
    post: Any = SimpleNamespace(guard=SimpleNamespace(members=told))
    assert falls(post) == [
        "worker `again` was started again 2 times, last as it has ended",
        "worker `down` is down: it broke the protocol",
    ]


def test_a_run_warns_of_a_sandbox_that_cannot_be_had(
    call: Call, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEGUARD_SANDBOX_WITHOUT", "seccomp")
    project.change_policy("\nadmission:", "\nisolation: {workers: {eyes: {runs: [primary]}}}\nadmission:")
    said = call(*project.run("--seconds", 0.1))
    assert said.code == 0, said.err
    assert said.err.count("warning: worker `eyes`, sandbox level `process`, does without `seccomp_load`") == 1


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
    assert (said.code, "`--trust KEY.pub`" in said.err) == (2, True)


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
    assert call("link", "provision", project.root / "guard" / "keys" / "arm-7").code == 0
    line = "link: {key: keys/arm-7.device-key, operator_key: keys/arm-7.operator-key}"
    project.change_policy("log: {flush: 1s}", f"log: {{flush: 1s}}\n{line}\nftti: 2s")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
        said = call(*project.run("--seconds", 0.2, "--link", port))
        assert said.code == 0, said.err
        assert "(standby)" in said.out
        assert "(nominal)" not in said.out
    said = call(*project.run("--seconds", 0.1, "--link", port))
    assert (said.code, said.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(("key", "panel", "code", "says"), [
    (", operator_key: keys/arm-7.operator-key", True, 2, "leave `--panel` out, or the key"),
    ("", False, 0, "nobody here can arm the microcontroller"),
])  # fmt: skip
def test_who_can_arm_the_microcontroller_is_said_at_the_start(
    call: Call, project: Any, key: str, panel: bool, code: int, says: str
) -> None:
    assert call("link", "provision", project.root / "guard" / "keys" / "arm-7").code == 0
    line = f"link: {{key: keys/arm-7.device-key{key}}}"
    project.change_policy("log: {flush: 1s}", f"log: {{flush: 1s}}\n{line}\nftti: 2s")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
        said = call(*project.run("--seconds", 0.1, "--link", port, *(["--panel", port] if panel else [])))
    assert (said.code, says in said.err) == (code, True), said.err


@pytest.mark.process
def test_a_service_s_stop_ends_the_run_in_order(project: Any) -> None:
    log = project.root / "run.log"
    args = [str(a) for a in project.run("--fps", 1, "--log", log)]
    done = subprocess.Popen(
        [sys.executable, "-m", "edgeguard", *args], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert done.stdout is not None
    assert any(b"standby" in line for line in done.stdout)  # after the digests of what was admitted
    os.kill(done.pid, signal.SIGTERM)
    out, err = done.communicate(timeout=30)
    assert (done.returncode, err) == (0, b"")
    assert b"of the steps" in out
    assert log.read_bytes().splitlines()[-1].startswith(b'{"kind":"end"')
