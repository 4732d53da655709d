"""The command line as a whole: help, exit codes, messages; never a traceback."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import edgeguard
from edgeguard.cli import app as app_module
from edgeguard.cli import main
from edgeguard.errors import AdmissionError, Diagnostic, EdgeguardError, PolicyError, UsageError

Call = Callable[..., Any]
ROOT = Path(__file__).parents[2]
VERBS = [
    "init", "keys new", "keys show", "sign", "verify", "calibrate", "qualify", "policy check", "policy table", "run",
    "explain", "log verify", "link ping", "link monitor", "link provision",
]  # fmt: skip


def test_the_version_is_printed(call: Call) -> None:
    assert call("--version").out == f"edgeguard {edgeguard.__version__}\n"


def test_help_names_every_verb_and_the_exit_codes(call: Call) -> None:
    said = call("--help")
    assert said.code == 0
    assert all(verb.split()[0] in said.out for verb in VERBS)
    assert "5 findings" in said.out


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_has_an_example(call: Call, verb: str) -> None:
    said = call(*verb.split(), "--help")
    assert said.code == 0
    assert f"Example: edgeguard {verb}" in said.out


def commands(group: Any, name: str = "edgeguard") -> Iterator[tuple[str, Any]]:
    """Every command below `group`, under its name."""
    for verb, command in getattr(group, "commands", {}).items():
        yield f"{name} {verb}", command
        yield from commands(command, f"{name} {verb}")


def test_what_a_verb_takes_is_named_in_capitals_in_its_help(call: Call) -> None:
    unnamed = []
    for name, command in commands(typer.main.get_command(app_module.app)):
        if not hasattr(command, "commands"):
            said = call(*name.split()[1:], "--help").out
            found = re.findall(r"^  (?:(?:-\w, )?(--[a-z-]+)|([a-z]+\S*)) +<[^|>]+>", said, re.MULTILINE)
            unnamed += [f"{name} {option or argument}" for option, argument in found]
    assert unnamed == []


@pytest.mark.parametrize(
    "args", [["nonsense"], ["sign"], ["run", "--nonsense"], ["explain", "x", "--format", "xml"]]
)
def test_a_wrong_command_line_exits_2(call: Call, args: list[str]) -> None:
    said = call(*args)
    assert said.code == 2
    assert "Traceback" not in said.err


def fail(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def raising(**_: object) -> None:
        raise error

    monkeypatch.setattr(app_module, "app", raising)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no such thing"), 2),
        (AdmissionError("digest-mismatch", "model.onnx", "altered"), 4),
        (EdgeguardError("odd"), 1),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    fail(monkeypatch, error)
    said = call("sign")
    assert (said.code, said.err) == (code, f"error: {error}\n")


def test_every_finding_in_a_policy_is_a_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tuple(Diagnostic("EG1042", "odd", "p.yaml", line, 3, "try even") for line in (1, 2))
    fail(monkeypatch, PolicyError(found))
    said = call("policy", "check", "p.yaml")
    assert said.code == 3
    assert said.err.splitlines()[1] == "error: p.yaml:2:3: EG1042: odd (try even)"


def test_an_internal_error_is_one_line_without_a_traceback(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, RuntimeError("broken\nsecond line"))
    said = call("sign")
    assert said.code == 1
    assert said.err.startswith("error: internal: broken (set EDGEGUARD_DEBUG=1")
    assert said.err.count("\n") == 1
    fail(monkeypatch, RuntimeError())
    assert "no reason given" in call("sign").err


def test_the_traceback_of_an_internal_error_is_shown_when_asked_for(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, RuntimeError("broken"))
    monkeypatch.setenv("EDGEGUARD_DEBUG", "1")
    assert "Traceback" in call("sign").err


def test_a_command_that_returns_exits_0(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "app", lambda **_: None)
    assert call("sign").code == 0


def test_the_command_takes_the_process_s_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["edgeguard", "--version"])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 0


def test_help_loads_no_model_runtime_no_yaml_and_no_numbers() -> None:
    code = (
        "from edgeguard.cli.app import invoke\ninvoke(['--help'])\n"
        "import json, sys\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert (
        loaded & {"numpy", "onnxruntime", "yaml", "cryptography", "serial", "cv2", "PIL", "edgeguard.policy"}
        == set()
    )
