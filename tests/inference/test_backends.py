"""A policy's backend is had or refused by name, and `edgeguard probe` tells which can be had on this machine."""

from __future__ import annotations

import json
import sys
from typing import get_args

import pytest
from typer.testing import CliRunner

from edgeguard.cli.app import app
from edgeguard.errors import UsageError
from edgeguard.inference import backends
from edgeguard.policy.running import Backend


def test_the_names_are_those_of_the_policy() -> None:
    assert get_args(Backend) == backends.NAMES


def test_an_unknown_name_is_refused_with_all_there_are() -> None:
    with pytest.raises(
        UsageError, match=r"unknown backend `cuda`; use one of auto, onnxruntime, onnxruntime-cuda"
    ):
        backends.open_backend("cuda")


def test_every_backend_is_described_or_refused_with_a_reason() -> None:
    found = backends.available()
    assert tuple(found) == backends.NAMES[1:]
    assert found["onnxruntime"].endswith("telemetry off")
    assert all(text for text in found.values())


def test_what_cannot_be_had_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    assert backends.available()["tensorrt"].startswith("no: the CUDA runtime cannot be used (")


@pytest.mark.process
def test_probe_tells_of_backends_beside_the_sandbox() -> None:
    done = CliRunner().invoke(app, ["probe", "--format", "json"])
    assert done.exit_code == 0
    assert set(json.loads(done.stdout)) == {"sandbox", "backends"}
    assert json.loads(done.stdout)["backends"]["onnxruntime"].startswith("onnxruntime ")
    shown = CliRunner().invoke(app, ["probe"]).stdout
    assert shown.index("sandbox\n") < shown.index("backends\n") < shown.index("tensorrt-rtx")
