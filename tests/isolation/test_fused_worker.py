"""A fused graph in a worker answers as it does in the host, and a further model beside it is held against it."""

from __future__ import annotations

import dataclasses
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgeguard import wiring
from edgeguard.build import fuse, fused_of
from edgeguard.program import SignalSpec, WorkerSpec
from edgeguard.types import Frame
from tests.build.small import classifier, denoiser

pytestmark = pytest.mark.process

SPECS = tuple(
    SignalSpec(name, "primary", -99.0, 99.0, 9.0, of=of, measure=measure)
    for name, measure, of in (
        ("certainty", "", ("primary",)),
        ("reconstruction", "", ("primary", "filter")),
        ("disagreement", "", ("primary", "redundant")),
        ("doubt", "disagreement", ("primary", "third")),
    )
)


def test_a_fused_graph_in_a_worker_answers_as_in_the_host() -> None:
    models: dict[str, Any] = {
        "primary": classifier(seed=1),
        "filter": denoiser(seed=2),
        "redundant": classifier("redundant", seed=3),
    }
    made = fused_of(models, fuse(models))
    models |= {
        "fused": dataclasses.replace(made.candidate, digest="cc" * 32),
        "third": classifier("redundant", seed=4),
    }
    wiring.check_fused(models)
    seen = []
    for workers in (
        (),
        (WorkerSpec("eyes", ("fused",), deadline=9.0), WorkerSpec("more", ("third",), deadline=9.0)),
    ):
        program: Any = SimpleNamespace(models=(), workers=workers, schedule=(), signals=SPECS, switch=None)
        members = wiring.build_members(models, program)
        assert [member.name for member in members] == ([w.name for w in workers] or ["host"])
        perception = wiring.perceive(members, models, program, time.monotonic)
        try:
            perception.warm_up()
            image = np.random.default_rng(1).integers(0, 255, (6, 8, 3)).astype(np.uint8)
            observed = perception.observe(Frame(image, 1, 1.0), 1.0)
        finally:
            perception.close()
        assert observed.answer is not None
        values = {s.name: s.value for s in observed.signals if s.name in {spec.name for spec in SPECS}}
        assert None not in values.values()
        assert len(set(values.values())) == len(SPECS)
        seen.append((observed.answer.probabilities, values))
    assert seen[0][0] == pytest.approx(seen[1][0], abs=1e-6)
    assert seen[0][1] == pytest.approx(seen[1][1], abs=1e-6)
