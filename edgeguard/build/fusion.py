"""Composes filter, primary, redundant model and their signals of doubt into one ONNX graph.

In goes the canonical picture, out come probabilities and a number a signal. The graph has no opinion: no threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgeguard.build import operators
from edgeguard.build.graph import Weaver
from edgeguard.errors import ContractError
from edgeguard.inference.preprocess import geometry
from edgeguard.inference.scoring import COLDEST
from edgeguard.inference.session import ModelContract

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel

PICTURE = "picture"
"""The fused graph's input, (1, 3, height, width)."""
PARTS = ("primary", "filter", "redundant")
_SCORES = ("logits", "probabilities")


def signals_of(models: Mapping[str, AdmittedModel]) -> tuple[str, ...]:
    """The signals that a fused graph of some models gives, by role, in the order of its outputs."""
    primary = {output.meaning for output in models["primary"].manifest.outputs}
    table = (
        ("certainty", True),
        ("energy", "logits" in primary),
        ("margin", True),
        ("novelty", "novelty" in primary),
        ("reconstruction", "filter" in models),
        ("squeezing", True),
        ("disagreement", "redundant" in models),
    )
    return tuple(name for name, given in table if given)


def fuse(models: Mapping[str, AdmittedModel]) -> bytes:
    """The fused ONNX of admitted ONNX models by role: `primary`, and as far as they are there `filter`, `redundant`.

    Raises:
        UsageError: the `onnx` package is missing.
        ContractError: the models do not fit one another, or cannot be woven into one graph; names the bundle.
    """
    check(models)
    weaver = Weaver([model.model for model in models.values()])
    primary = models["primary"]
    height, width = geometry(primary.manifest.input, primary.manifest.name)
    views = [PICTURE, operators.squeeze(weaver, PICTURE, (height, width))]
    if "filter" in models:
        views.insert(0, _filtered(weaver, models["filter"]))
    scores, novelty = _primary(weaver, primary, views)
    temperatures = [primary.manifest.temperature] * len(views)
    if "redundant" in models:
        scores = weaver.op("Concat", scores, _redundant(weaver, models["redundant"]), axis=0)
        temperatures.append(models["redundant"].manifest.temperature)
    scaled, rows = operators.softmax(weaver, scores, temperatures)
    answer = operators.row(weaver, rows, 0)
    found = dict(zip(("certainty", "margin"), operators.certainty_and_margin(weaver, answer)))
    if _meaning(primary) == "logits":
        found["energy"] = operators.energy(weaver, operators.row(weaver, scaled, 0), temperatures[0])
    if novelty:
        found["novelty"] = novelty
    pairs = _pairs(models, len(views))
    apart = operators.total_variations(weaver, rows, len(temperatures), list(pairs.values()))
    found |= dict(zip(pairs, apart))
    outputs: dict[str, tuple[str, tuple[int, ...]]] = {
        "probabilities": (answer, (1, len(primary.manifest.classes)))
    }
    outputs |= {name: (found[name], (1, 1)) for name in signals_of(models)}
    return weaver.model("fused", (PICTURE, (1, 3, height, width)), outputs)


def check(models: Mapping[str, AdmittedModel]) -> None:
    """Refuse models that cannot be fused.

    Raises:
        ContractError: names the bundle and what does not fit.
    """
    if "primary" not in models or not set(models) <= set(PARTS):
        raise ContractError(f"only {', '.join(PARTS)} can be fused, and a primary there must be")
    primary = models["primary"].manifest
    for role, model in models.items():
        manifest = model.manifest
        ModelContract.of(model)
        if manifest.engine is not None or manifest.role == "fused":
            raise ContractError(
                f"bundle `{manifest.name}` is a plan or fused already: fuse the ONNX models it was made from"
            )
        if manifest.temperature < COLDEST:
            raise ContractError(f"bundle `{manifest.name}`: `temperature` must be at least {COLDEST}")
        size, wanted = geometry(manifest.input, manifest.name), geometry(primary.input, primary.name)
        if size != wanted or manifest.input.resize != primary.input.resize:
            raise ContractError(
                f"bundle `{manifest.name}` ({role}) looks at {size[1]} x {size[0]} pixels by `{manifest.input.resize}`,"
                f" the primary `{primary.name}` at {wanted[1]} x {wanted[0]} by `{primary.input.resize}`: a fused "
                "graph has one picture; leave this model out (`--without`), or train it at the primary's size"
            )
        if role == "redundant" and manifest.classes != primary.classes:
            raise ContractError(
                f"bundle `{manifest.name}` has other classes, or another order, than the primary `{primary.name}`"
            )


def _filtered(weaver: Weaver, model: AdmittedModel) -> str:
    spec = model.manifest.input
    feed = operators.normalise(weaver, PICTURE, spec)
    (image,) = weaver.embed(model.model, "filter", "filter", feed, [_output(model, "image")])
    return operators.canonical(weaver, image, spec)


def _primary(weaver: Weaver, model: AdmittedModel, views: list[str]) -> tuple[str, str]:
    """(scores (views, classes), novelty (1, 1) of the first view or empty)."""
    meanings = {output.meaning for output in model.manifest.outputs}
    wanted = [_output(model, _meaning(model))] + (
        [_output(model, "novelty")] if "novelty" in meanings else []
    )
    spec = model.manifest.input
    if ModelContract.of(model).batched:
        feed = operators.normalise(weaver, weaver.op("Concat", *views, axis=0), spec)
        given = weaver.embed(model.model, "primary", "primary", feed, wanted)
        scores = given[0]
    else:
        each = [
            weaver.embed(
                model.model, "primary", f"primary{i}", operators.normalise(weaver, view, spec), wanted
            )
            for i, view in enumerate(views)
        ]
        given = each[0]
        scores = weaver.op("Concat", *(outputs[0] for outputs in each), axis=0)
    scores = operators.log_scores(weaver, scores, logits=_meaning(model) == "logits")
    if len(given) == 1:
        return scores, ""
    column = weaver.op("Reshape", given[1], weaver.constant([-1, 1], "int64"))
    return scores, operators.row(weaver, column, 0)


def _redundant(weaver: Weaver, model: AdmittedModel) -> str:
    """Scores (1, classes)."""
    feed = operators.normalise(weaver, PICTURE, model.manifest.input)
    wanted = [_output(model, _meaning(model))]
    (scores,) = weaver.embed(model.model, "redundant", "redundant", feed, wanted)
    return operators.log_scores(weaver, scores, logits=_meaning(model) == "logits")


def _pairs(models: Mapping[str, AdmittedModel], views: int) -> dict[str, tuple[int, int]]:
    """By signal, the two rows whose distance it is. The views are [filtered,] plain, squeezed; then the redundant."""
    plain = views - 2
    pairs = {"squeezing": (plain, views - 1)}
    if "filter" in models:
        pairs["reconstruction"] = (plain, 0)
    if "redundant" in models:
        pairs["disagreement"] = (0, views)
    return pairs


def _meaning(model: AdmittedModel) -> str:
    return next(o.meaning for o in model.manifest.outputs if o.meaning in _SCORES)


def _output(model: AdmittedModel, meaning: str) -> str:
    return next(o.name for o in model.manifest.outputs if o.meaning == meaning)
