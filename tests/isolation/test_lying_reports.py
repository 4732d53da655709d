"""A worker that was taken over while it loaded may report anything: it ends, and its host is none the worse."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from edgeguard.errors import ContractError
from edgeguard.isolation import witness
from edgeguard.isolation.sandbox.levels import LAYERS, Level
from tests.isolation.conftest import Shop

pytestmark = pytest.mark.process

LIES = f"""
import ctypes, json, os, sys, time
told = {{"level": 3, "layers": dict.fromkeys({LAYERS!r}, "on")}}
report = int(sys.argv[2].split(",")[2])
def tell(text):
    os.write(report, text + b"\\n")
tell(json.dumps({{"entered": told}}).encode())
"""


def test_a_name_that_is_no_text_is_no_way_to_fell_the_host(shop: Shop) -> None:
    program = f"""{LIES}
ctypes.CDLL(None).prctl(15, b"\\xff\\xfe:\\r\\x85", 0, 0, 0)
tell(json.dumps({{"ready": told}}).encode())
time.sleep(60)
"""
    with pytest.raises(ContractError, match="`seccomp`: the kernel says the filter is not there"):
        shop.start(program=program, sandbox="required")


@pytest.mark.parametrize("text", ['{"ready": 1, "facts": {"a": %s, "b": "told"}}', '{"error": %s}'])
def test_what_is_told_counts_only_as_plain_words(shop: Shop, text: str) -> None:
    told = text % ("[" * 300 + "]" * 300)
    program = f"{LIES}\ntell({told.encode()!r})\ntime.sleep(60)\n"
    worker = shop.start(program=program, sandbox="off", restarts_most=0, wait=False)
    end = time.monotonic() + 10.0
    while time.monotonic() < end and worker.pid is not None and not worker.answering:
        worker.tend(time.monotonic())
        time.sleep(0.01)
    words = worker.describe()
    assert "a" not in words
    assert "b" not in words
    assert words.get("why", "reports what no worker does") == "reports what no worker does"


def test_no_report_stands_in_for_what_the_host_knows(shop: Shop) -> None:
    told = {
        "sandbox": "strict",
        "sandbox seccomp": "on",
        "runs in": "the host",
        "redundant": "another bundle on onnxruntime",
        "more": "words",
    }
    ready = {"ready": {"level": 3, "layers": {}}, "facts": told}
    program = f"{LIES}\ntell({json.dumps(ready).encode()!r})\ntime.sleep(60)\n"
    worker = shop.start(("redundant",), program=program, sandbox="off")
    words = worker.describe()
    assert words["sandbox"] == "off"
    assert words["sandbox seccomp"] != "on"
    assert words["runs in"] == f"process {worker.pid}"
    assert words["redundant"].startswith("tiny-redundant ")
    assert "more" not in words


def test_where_its_models_run_is_told_by_the_worker(shop: Shop) -> None:
    assert " on onnxruntime (" in shop.start(("redundant",)).describe()["redundant"]


def test_a_worker_that_stayed_root_is_not_taken_to_have_left_it(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = {
        "NoNewPrivs": "1",
        "Seccomp": "2",
        "Seccomp_filters": "3",
        "CapEff": "0" * 16,
        "CapPrm": "0" * 16,
    }
    on = dict.fromkeys(LAYERS, "on")
    for users, level in (("7\t7\t7\t7", Level.STRICT), ("7\t7\t0\t7", Level.FILTERED)):
        worker = closed | {"Uid": users}
        monkeypatch.setattr(witness, "_status", lambda p, w=worker: {} if p == Path("/proc/self") else w)
        assert witness.judged(on, on, os.getpid()).level is level
