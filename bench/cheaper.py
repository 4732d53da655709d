"""The cheaper models that are measured beside the demo's own: made by `edgeguard build`'s functions, and kept.

They stand in memory as if admitted: what is measured is their speed and their answers, not their signatures.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.build import fusion, int8
from edgeguard.build.bundle import fused_of, int8_of
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from bench.profiles import Profile
    from edgeguard.admission import AdmittedModel
    from edgeguard.build.bundle import Made
    from edgeguard.types import Image

QUANTISED = ("primary", "redundant")
FITTED = 256
"""Pictures that ranges are taken from."""


def with_cheaper(profile: Profile, folder: Path) -> Profile:
    """The profile with 8-bit models and fused graphs; what is in `folder` from an earlier run is not made again.

    Without the tools to make them, which the `build` extra brings, they are left out.
    """
    try:
        return _cheaper(profile, folder)
    except UsageError as error:
        reason = f"8-bit models and fused graphs are left out: {error}"
        return dataclasses.replace(profile, missing=(*profile.missing, reason))


def _cheaper(profile: Profile, folder: Path) -> Profile:
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
    return _standing(int8_of(parent, data, "cpu"))


def _fused(models: Mapping[str, AdmittedModel], folder: Path) -> AdmittedModel:
    name = hashlib.sha256("".join(model.digest for model in models.values()).encode()).hexdigest()
    data = _kept(folder, f"fused-{name}", lambda: fusion.fuse(models))
    return _standing(fused_of(models, data))


def _standing(made: Made) -> AdmittedModel:
    return dataclasses.replace(made.candidate, digest=hashlib.sha256(made.model).hexdigest())


def _kept(folder: Path, name: str, make: Callable[[], bytes]) -> bytes:
    """The bytes of a file, made when it is not there, or was made by another version of the tools."""
    tools = b"".join(file.read_bytes() for file in sorted(Path(int8.__file__).parent.glob("*.py")))
    file = folder / f"{name[:24]}-{hashlib.sha256(tools).hexdigest()[:12]}.onnx"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(make())
    return file.read_bytes()
