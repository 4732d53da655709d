"""Writes what was made as a bundle: the model, a manifest that names its parent, and a card. Signs nothing.

No date and no machine go into it: the same inputs give the same bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.admission import AdmittedModel
from edgeguard.admission.manifest import (
    FORMAT,
    MANIFEST_FILE,
    Engine,
    InputSpec,
    Manifest,
    Parent,
    TensorSpec,
)
from edgeguard.build.fusion import PICTURE, signals_of
from edgeguard.build.inheritance import common, inherited
from edgeguard.errors import UsageError
from edgeguard.inference.preprocess import geometry

if TYPE_CHECKING:
    from edgeguard.build.comparison import Measured

CARD = "CARD.md"
_OWN = {"model.onnx", "model.plan", MANIFEST_FILE, CARD, "model.sig"}
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Made:
    """A model that was built and not admitted: its manifest, without a word of how well it does, and its bytes."""

    manifest: Manifest
    model: bytes
    parent: str
    """Digest (hex) of the bundle it was made from."""
    how: str
    story: str
    """How it was made, a sentence for the card."""

    @property
    def candidate(self) -> AdmittedModel:
        """In the shape of an admitted model, to be measured. Nobody vouched for it: it has no digest and no signer."""
        return AdmittedModel(self.manifest, self.model, digest="", signer="")


def int8_of(parent: AdmittedModel, model: bytes, target: str) -> Made:
    """The 8-bit `model` of a parent."""
    manifest = dataclasses.replace(inherited(parent.manifest), name=_named(parent, "int8"), file="model.onnx")
    story = f"8-bit copy of {_known(parent)}, quantised for `{target}`."
    return Made(manifest, model, parent.digest, "int8", story)


def plan_of(parent: AdmittedModel, model: bytes, engine: Engine) -> Made:
    """The plan `model` of a parent. Raises: UsageError when the parent is not for the engine's platform."""
    manifest = dataclasses.replace(
        inherited(parent.manifest, engine.platform),
        name=_named(parent, engine.kind),
        file="model.plan",
        engine=engine,
    )
    story = (
        f"Plan of {_known(parent)} for {engine.kind} {engine.version}, compute capability "
        f"{engine.compute_capability}, {engine.platform}. It runs nowhere else."
    )
    return Made(manifest, model, parent.digest, "plan", story)


def fused_of(models: Mapping[str, AdmittedModel], model: bytes) -> Made:
    """The graph `model` that was fused from admitted models by role.

    Raises:
        UsageError: no platform, or no time, is common to all of them.
    """
    primary = models["primary"]
    spec = primary.manifest.input
    height, width = geometry(spec, primary.manifest.name)
    outputs = [
        TensorSpec("probabilities", "float32", (1, len(primary.manifest.classes)), "probabilities"),
        *(TensorSpec(name, "float32", (1, 1), name) for name in signals_of(models)),
    ]
    parts = [primary.manifest, *(part.manifest for role, part in models.items() if role != "primary")]
    manifest = dataclasses.replace(
        common(parts),
        name=_named(primary, "fused"),
        role="fused",
        file="model.onnx",
        # The oldest part decides which policies still take the whole.
        security_version=min(part.security_version for part in parts),
        temperature=1.0,
        input=InputSpec(
            name=PICTURE,
            dtype="float32",
            shape=(1, 3, height, width),
            layout="NCHW",
            color="RGB",
            resize=spec.resize,
            scale=1.0 / 255.0,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        ),
        outputs=tuple(outputs),
        parts={role: part.digest for role, part in models.items()},
    )
    story = f"One graph of {'; '.join(f'{role}: {_known(part)}' for role, part in models.items())}."
    return Made(manifest, model, primary.digest, "fused", story)


def write_bundle(made: Made, measured: Measured | None, folder: Path) -> str:
    """Write the bundle's files, unsigned, over an earlier build only. Returns the SHA-256 (hex) of the model's bytes.

    `measured` None: it could not be measured, which the manifest says, and then admission and signing refuse it.

    Raises:
        UsageError: the folder cannot be written, or holds other files or a bundle that no such build wrote.
    """
    manifest = dataclasses.replace(made.manifest, parent=_parent(made, measured))
    files = {
        manifest.file: made.model,
        MANIFEST_FILE: manifest_json(manifest),
        CARD: _card(made, measured).encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strange = sorted(path.name for path in folder.iterdir() if path.name not in _OWN)
        if strange:
            raise UsageError(
                f"`{folder}` holds `{strange[0]}`, which no build wrote: name a new folder with `--out`"
            )
        if (folder / MANIFEST_FILE).exists() and _how((folder / MANIFEST_FILE).read_bytes()) != made.how:
            raise UsageError(
                f"`{folder}` holds a bundle that is no earlier build of this kind: name a new folder with `--out`"
            )
        for name in _OWN - set(files):
            (folder / name).unlink(missing_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise UsageError(
            f"cannot write `{folder}`: {(error.strerror or 'unknown reason').lower()}"
        ) from error
    return hashlib.sha256(made.model).hexdigest()


def manifest_json(manifest: Manifest) -> bytes:
    """An `edgeguard.json`: what has its default value is left out."""
    values: dict[str, object] = {"edgeguard": FORMAT}
    for field in dataclasses.fields(Manifest):
        value = getattr(manifest, field.name)
        if value not in (None, (), {}) and (field.name, value) != ("temperature", 1.0):
            values[field.name] = _plain(value)
    return json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _how(manifest: bytes) -> object:
    """How the bundle with this manifest was made; None: by no build."""
    try:
        return json.loads(manifest)["parent"]["how"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _plain(value: object) -> object:
    """A field's value as JSON has it."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {key: _plain(item) for key, item in parts.items() if item is not None}
    return value


def _parent(made: Made, measured: Measured | None) -> Parent:
    if measured is None:
        return Parent(made.parent, made.how, samples=0, agreement=0.0, deviation=0.0)
    loss = measured.accuracy_loss
    return Parent(
        digest=made.parent,
        how=made.how,
        samples=measured.samples,
        agreement=_short(measured.agreement),
        deviation=_short(measured.largest if made.manifest.role == "fused" else measured.deviation),
        accuracy_loss=None if loss is None else _short(loss),
    )


def _card(made: Made, measured: Measured | None) -> str:
    if measured is None:
        figures = ["Never measured against it: there was no device to run it on."]
    else:
        figures = [f"Measured against it on {measured.samples} pictures:", "", *measured.rows()]
    return "\n".join(
        [
            f"# {made.manifest.name}",
            "",
            made.story,
            "",
            *figures,
            "",
            "Made by `edgeguard build`. What the original is, and what it cannot do, stands in its own card.",
            "",
        ]
    )


def _named(model: AdmittedModel, ending: str) -> str:
    return f"{model.manifest.name[: _LONGEST_NAME - len(ending) - 1]}-{ending}"


def _known(model: AdmittedModel) -> str:
    return f"`{model.manifest.name}` {model.manifest.version} (`{model.digest[:12]}`)"


def _short(value: float) -> float:
    return float(f"{value:.6g}")
