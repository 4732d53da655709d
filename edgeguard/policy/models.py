"""Do the models of a policy fit together: the primary, its alternates, redundant ones, a filter, a fused graph?"""

from __future__ import annotations

from edgeguard.policy.diagnostics import quote
from edgeguard.policy.findings import Findings
from edgeguard.policy.looks import PRIMARY, bundles, place
from edgeguard.policy.running import Bundle, Model
from edgeguard.policy.source import Path
from edgeguard.policy.sources import TAKEN_LOOKS

GPU_BACKENDS = frozenset({"onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt", "tensorrt-rtx"})
"""Backends that run on a GPU and nowhere else."""

LEAVING = frozenset({"auto", "onnxruntime-cuda", "onnxruntime-tensorrt"})
"""Backends that can leave parts of a graph to the CPU."""


def check_models(findings: Findings) -> None:
    """Report models that have no primary beside them, a name of something else, or alternates that cannot be."""
    policy = findings.policy
    if policy.models and PRIMARY not in policy.models:
        hint = "the classifier that answers is called `primary`"
        findings.at_key("EG1102", "`models` needs `primary`", ("models",), hint)
    if policy.fused and not policy.models:
        hint = "a fused graph is admitted with the models that it was made of"
        findings.at_key("EG1102", "`fused` needs `models`", ("fused",), hint)
    for name, model in (policy.models or {}).items():
        path: Path = ("models", name)
        if name in TAKEN_LOOKS:
            findings.at_key("EG1313", f"{quote(name)} has a meaning of its own", path, "choose another name")
        _alternates(findings, name, model, path)
    for name, bundle in bundles(policy).items():
        _bundle(findings, bundle, place(name))
    for name, wanted in policy.qualification.items():
        if name not in bundles(policy):
            hint = findings.suggest(name, bundles(policy))
            findings.at_key("EG1302", f"the policy has no {name} model", ("qualification", name), hint)
        if not wanted.model_fields_set:
            hint = "write `accuracy_loss: 0.5%`"
            findings.at_key("EG1102", "a qualification must ask for something", ("qualification", name), hint)


def _bundle(findings: Findings, bundle: Bundle, path: Path) -> None:
    """What only some bundles have a use for."""
    if bundle.cpu_fallback and bundle.backend not in LEAVING:
        message = f"the backend {quote(bundle.backend)} leaves nothing to the CPU"
        hint = "remove it; it is for `onnxruntime-cuda` and `onnxruntime-tensorrt`"
        findings.at_key("EG1330", message, (*path, "cpu_fallback"), hint)
    if bundle.manifest is not None and bundle.pin is None:
        message = "`manifest` is for a bundle with a `pin`"
        hint = "remove it: a signed bundle has its own; or add `pin`"
        findings.at_key("EG1330", message, (*path, "manifest"), hint)


def _alternates(findings: Findings, name: str, model: Model, path: Path) -> None:
    """A moving target: several primaries, and when to change between them."""
    if name != PRIMARY:
        for key in ("alternates", "switch"):
            if getattr(model, key) is not None:
                findings.at_key("EG1330", f"`{key}` is only for the primary", (*path, key), "remove it")
        return
    if (model.alternates is None) != (model.switch is None):
        one, other = ("alternates", "switch") if model.switch is None else ("switch", "alternates")
        hint = "write `alternates: [FOLDER, …]` and `switch: {every: 20 frames}`, or neither"
        findings.at_key("EG1330", f"`{one}` without `{other}` changes nothing", (*path, one), hint)
    folders = (model.bundle, *(model.alternates or ()))
    for i, folder in enumerate(model.alternates or ()):
        if folder in folders[: i + 1]:
            message = f"{quote(folder)} stands here a second time"
            findings.at_value("EG1330", message, (*path, "alternates", i), "name each bundle once")
    if findings.policy.fused and model.alternates is not None:
        message = "a fused graph stands for one primary, and has no alternates"
        findings.at_key("EG1330", message, (*path, "alternates"), "remove `fused`, or `alternates`")
