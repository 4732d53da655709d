"""What a bundle says about where its model comes from: its parent, the engine of a plan, the parts of a fused graph.

Pure, like the manifest it belongs to. What contradicts itself, or the kind of model, is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from edgeguard.admission.reasons import shown

if TYPE_CHECKING:
    from edgeguard.admission.manifest import Engine, InputSpec, Manifest, Parent

HOW = ("int8", "plan", "fused")
ENGINES = ("tensorrt", "tensorrt-rtx")
PARTS = ("primary", "filter", "redundant")
SIGNAL_NEEDS: Mapping[str, str] = MappingProxyType(
    {
        "certainty": "primary",
        "energy": "primary",
        "margin": "primary",
        "reconstruction": "filter",
        "squeezing": "primary",
        "disagreement": "redundant",
    }
)
"""What only a fused graph gives, one number a picture, and the part without which it cannot."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9]+\.[0-9][A-Za-z0-9.+_-]{0,32}")
_CAPABILITY = re.compile(r"any|[0-9]{1,3}\.[0-9]")
PLATFORM = re.compile(r"[a-z0-9]{1,16}-[a-z0-9_]{1,16}")
_CANONICAL_SCALE = 1.0 / 255.0


def origin_problems(manifest: Manifest) -> Iterator[str]:
    """Yield what does not fit together in `parent`, `engine` and `parts`, the most telling first."""
    if manifest.parent is not None:
        yield from _parent_problems(manifest.parent)
    if manifest.engine is not None:
        yield from _engine_problems(manifest.engine)
    if (manifest.engine is None) == (manifest.parent is not None and manifest.parent.how == "plan"):
        yield "`engine` and a `parent.how` of `plan` go together: a plan names both, nothing else names either"
    if manifest.role == "fused":
        yield from _fused_problems(manifest)
    else:
        yield from _single_problems(manifest)


def _parent_problems(parent: Parent) -> Iterator[str]:
    if not _DIGEST.fullmatch(parent.digest):
        yield "`parent.digest` must be 64 hexadecimal digits, the digest of the bundle this one was made from"
    if parent.how not in HOW:
        yield f"`parent.how` is `{shown(parent.how)}` but must be one of {', '.join(HOW)}"
    if not 1 <= parent.samples < 2**31:
        yield "`parent.samples` must be at least 1: what was never measured against its parent is not run"
    if not 0.0 <= parent.agreement <= 1.0:
        yield "`parent.agreement` must be 0 to 1"
    if not 0.0 <= parent.deviation < math.inf:
        yield "`parent.deviation` must be 0 or more"
    if parent.accuracy_loss is not None and not -1.0 <= parent.accuracy_loss <= 1.0:
        yield "`parent.accuracy_loss` must be -1 to 1"


def _engine_problems(engine: Engine) -> Iterator[str]:
    if engine.kind not in ENGINES:
        yield f"`engine.kind` is `{shown(engine.kind)}` but must be one of {', '.join(ENGINES)}"
    if not _VERSION.fullmatch(engine.version):
        yield "`engine.version` must be the runtime's version, such as `10.3.0`"
    if not _CAPABILITY.fullmatch(engine.compute_capability):
        yield "`engine.compute_capability` must be `any` or such as `8.7`"
    if not PLATFORM.fullmatch(engine.platform):
        yield "`engine.platform` must be such as `linux-aarch64`"


def _single_problems(manifest: Manifest) -> Iterator[str]:
    if manifest.parts:
        yield f"only a `fused` model has `parts`, not a `{shown(manifest.role)}` one"
    if manifest.parent is not None and manifest.parent.how == "fused":
        yield "only a `fused` model has a `parent.how` of `fused`"
    for output in manifest.outputs:
        if output.meaning in SIGNAL_NEEDS:
            yield f"only a `fused` model has an output with the meaning `{output.meaning}`"


def _fused_problems(manifest: Manifest) -> Iterator[str]:
    yield from _part_problems(manifest.parts)
    parent = manifest.parent
    if parent is None or (parent.how == "fused" and parent.digest != manifest.parts.get("primary")):
        yield "a fused model needs a `parent`: the bundle of its primary, or the fused one that a plan was made from"
    elif parent.how == "int8":
        yield "a fused model is not quantised as a whole: quantise its parts, then fuse them"
    if not _is_canonical(manifest.input) or manifest.temperature != 1.0:
        yield (
            "a fused model takes the canonical picture (float32, RGB, NCHW, scale 1/255, mean 0, std 1) and has its "
            "parts' normalisation and temperatures inside"
        )
    yield from _signal_problems(manifest)


def _part_problems(parts: Mapping[str, str]) -> Iterator[str]:
    if "primary" not in parts or not set(parts) <= set(PARTS):
        yield f"a fused model needs `parts`, by role: `primary`, and perhaps {' and '.join(PARTS[1:])}"
    for role, digest in parts.items():
        if not _DIGEST.fullmatch(digest):
            yield f"`parts.{shown(role)}` must be 64 hexadecimal digits, the digest of that model's bundle"


def _signal_problems(manifest: Manifest) -> Iterator[str]:
    for output in manifest.outputs:
        need = SIGNAL_NEEDS.get(output.meaning)
        if output.meaning == "logits":
            yield "a fused model gives `probabilities`, not `logits`"
        if need is not None and need not in manifest.parts:
            yield f"a fused model without the part `{need}` cannot give `{output.meaning}`"
        if need is not None and output.shape[1:] not in ((), (1,)):
            yield f"`{output.meaning}` must be one number a picture"


def _is_canonical(spec: InputSpec) -> bool:
    return (
        (spec.dtype, spec.layout, spec.color) == ("float32", "NCHW", "RGB")
        and math.isclose(spec.scale, _CANONICAL_SCALE, rel_tol=1e-9)
        and spec.mean == (0.0, 0.0, 0.0)
        and spec.std == (1.0, 1.0, 1.0)
    )
