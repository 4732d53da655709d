"""A model runtime in a worker starts no thread, opens no file and leaves none: telemetry is off there too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from edgeguard.inference.member import parts_for, scoring_for
from edgeguard.inference.onnx_backend import NO_KERNEL_CACHE, OnnxBackend
from edgeguard.isolation.member import start_worker
from edgeguard.program import WorkerSpec

HOME = Path(os.path.expanduser("~"))  # noqa: PTH111 - as the wheel finds it, without our environment


def telemetry() -> set[str]:
    """What the wheel's telemetry leaves in the home folder."""
    return {str(path) for path in (HOME / ".cache" / "Microsoft").rglob("*")}


@pytest.mark.process
@pytest.mark.parametrize("sandbox", ["off", "preferred"])
def test_a_worker_has_no_telemetry(tiny: Any, monkeypatch: pytest.MonkeyPatch, sandbox: str) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")  # the host's environment decides nothing in a worker
    models = {"primary": tiny.classifier()}
    before = telemetry()
    looks = ("primary", "squeezed")
    parts = parts_for(looks, models, {})
    worker = start_worker(WorkerSpec("eyes", looks, sandbox), parts, models, scoring_for(parts, models))
    try:
        process = Path(f"/proc/{worker.pid}")
        threads = list((process / "task").iterdir())
        opened = [str(descriptor.readlink()) for descriptor in (process / "fd").iterdir()]
    finally:
        worker.close()
    assert len(threads) == 1
    assert [path for path in opened if path.startswith(str(HOME))] == []
    assert telemetry() == before


def test_no_device_provider_keeps_kernels_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NO_KERNEL_CACHE, raising=False)
    OnnxBackend()
    assert NO_KERNEL_CACHE not in os.environ
    monkeypatch.setattr("edgeguard.inference.onnx_backend.PROVIDERS", {"idle": ("AzureExecutionProvider",)})
    monkeypatch.setenv(NO_KERNEL_CACHE, "0")
    OnnxBackend("idle", cpu_fallback=True)
    assert os.environ[NO_KERNEL_CACHE] == "1"
