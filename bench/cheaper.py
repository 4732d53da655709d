"""The cheaper models that are measured beside the demo's own: made by `edgeguard build`'s functions, and kept.

They stand in memory as if admitted: what is measured is their speed and their answers, not their signatures.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.admission import AdmittedModel, InputSpec, Manifest, TensorSpec
from edgeguard.build import fusion, int8

if TYPE_CHECKING:
    from bench.profiles import Profile
    from edgeguard.types import Image

QUANTISED = ("primary", "redundant")
FITTED = 256
"""Pictures that ranges are taken from."""


def with_cheaper(profile: Profile, folder: Path) -> Profile:
    """The profile with 8-bit models and fused graphs; what is in `folder` from an earlier run is not made again."""
    made = {
        role: _int8(profile.models[role], lambda: _pictures(profile.name), folder)
        for role in QUANTISED
        if role in profile.models
    }
    quantised = dataclasses.replace(profile, int8=made)
    return dataclasses.replace(
        quantised,
        fused={
            "fp32": _fused(profile.models, folder),
            "int8": _fused(quantised.with_int8(*QUANTISED), folder),
        },
    )


def _pictures(name: str) -> Iterable[Image]:
    if name == "signs":
        from models.signs.calibration import render

        return render(FITTED)[0]
    from models.photos.calibration import render as cuts

    return cuts(FITTED)


def _int8(parent: AdmittedModel, pictures: Callable[[], Iterable[Image]], folder: Path) -> AdmittedModel:
    data = _kept(folder, f"int8-{parent.digest}", lambda: int8.quantise(parent, pictures(), "cpu"))
    return dataclasses.replace(parent, model=data, digest=hashlib.sha256(data).hexdigest())


def _fused(models: Mapping[str, AdmittedModel], folder: Path) -> AdmittedModel:
    digests = {role: model.digest for role, model in models.items()}
    name = hashlib.sha256("".join(digests.values()).encode()).hexdigest()
    data = _kept(folder, f"fused-{name}", lambda: fusion.fuse(models))
    primary = models["primary"].manifest
    _, _, height, width = primary.input.shape
    size = (1, 3, height, width)
    manifest = Manifest(
        name=f"{primary.name.rpartition('-')[0]}-fused",
        version="1.0.0",
        security_version=primary.security_version,
        role="fused",
        file="model.onnx",
        input=InputSpec(
            fusion.PICTURE,
            "float32",
            size,
            "NCHW",
            "RGB",
            primary.input.resize,
            1 / 255,
            (0.0, 0.0, 0.0),
            (1.0, 1.0, 1.0),
        ),
        outputs=(
            TensorSpec("probabilities", "float32", (1, len(primary.classes)), "probabilities"),
            *(TensorSpec(signal, "float32", (1,), signal) for signal in fusion.signals_of(models)),
        ),
        classes=primary.classes,
        parts=digests,
    )
    return AdmittedModel(manifest, data, hashlib.sha256(data).hexdigest(), "0" * 64)


def _kept(folder: Path, name: str, make: Callable[[], bytes]) -> bytes:
    """The bytes of a file, made when it is not there."""
    file = folder / f"{name}.onnx"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(make())
    return file.read_bytes()
