"""A guard with a fused graph: what is inside comes from the graph, and what was left out from its own model."""

from __future__ import annotations

import time

import pytest

from edgeguard.admission import AdmittedModel
from edgeguard.build import fuse, fused_of
from edgeguard.inference.perception import Perception
from edgeguard.program import SignalSpec
from edgeguard.types import Frame
from tests.build.small import classifier, denoiser, pictures

INSIDE = {"primary": classifier(seed=1), "filter": denoiser(seed=2)}
SECOND, THIRD = classifier("redundant", seed=3), classifier("redundant", seed=4)


def seen(models: dict[str, AdmittedModel]) -> dict[str, float | None]:
    """Every signal of one picture, the disagreement with both redundant models among them."""
    specs = [
        SignalSpec(name, "primary", -1e9, 1e9, 1.0, of=of, measure=measure)
        for name, measure, of in (
            ("certainty", "certainty", ("primary",)),
            ("reconstruction", "reconstruction", ("primary", "filter")),
            ("second", "disagreement", ("primary", "redundant")),
            ("third", "disagreement", ("primary", "other")),
            ("votes", "votes", ("primary", "other")),
        )
    ]
    perception = Perception.build(models, (), time.monotonic, specs=specs)
    image = next(pictures(1, seed=8).images())
    found = perception.observe(Frame(image, 0, 0.0), 0.0)
    perception.close()
    return {signal.name: signal.value for signal in found.signals if signal.source == "primary"}


@pytest.mark.parametrize("inside", [("primary", "filter"), ("primary", "filter", "redundant")])
def test_each_disagreement_is_with_its_own_model(inside: tuple[str, ...]) -> None:
    models = {**INSIDE, "redundant": SECOND, "other": THIRD}
    parts = {role: models[role] for role in inside}
    made = fused_of(parts, fuse(parts))
    apart, together = seen(models), seen({**models, "fused": made.candidate})
    assert apart["second"] != apart["third"]
    assert together == {name: pytest.approx(value, abs=1e-5) for name, value in apart.items()}
