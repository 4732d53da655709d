"""`edgeguard build`: 8-bit models, fused graphs and plans, each measured against the bundle that it was made from."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.building import Bounds, Job, finish, unmeasured
from edgeguard.cli.measuring import admit
from edgeguard.cli.output import Format, FormatOption
from edgeguard.cli.trusting import Named, TrustOption, trust_of
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel

app = typer.Typer(
    help="Make faster models out of signed ones, and measure what that costs.", no_args_is_help=True
)


def register(root: typer.Typer) -> None:
    """Add the verbs."""
    app.command(
        epilog="Example: edgeguard build int8 models/primary --images pictures --out models/primary-int8"
    )(int8)
    app.command(epilog="Example: edgeguard build fuse policy.yaml --images pictures --out models/fused")(fuse)
    app.command(epilog="Example: edgeguard build plan models/primary --images pictures --out models/plan")(
        plan
    )
    root.add_typer(app, name="build")


class Target(str, Enum):
    """What an 8-bit model is made for."""

    CPU = "cpu"
    TENSORRT = "tensorrt"


class Engine(str, Enum):
    """What a plan is made for."""

    TENSORRT = "tensorrt"
    RTX = "tensorrt-rtx"


class Part(str, Enum):
    """What may be left out of a fused graph."""

    FILTER = "filter"
    REDUNDANT = "redundant"


BundleArgument = Annotated[Path, typer.Argument(help="The signed bundle to start from.", metavar="BUNDLE")]
ImagesOption = Annotated[
    Path, typer.Option("--images", metavar="DIR|FILE", help="Pictures: a folder, or an .npz with `images`.")
]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the new bundle.")]
SignOption = Annotated[
    str | None,
    typer.Option("--sign", metavar="KEY", help="Signs the new bundle: a PEM file, pkcs11:... or tpm:PATH."),
]
AgreementOption = Annotated[
    str,
    typer.Option("--agreement", metavar="SHARE", help="Least share of the pictures with the same answer."),
]
DeviationOption = Annotated[
    float,
    typer.Option("--deviation", metavar="N", min=0.0, help="Most that a probability or signal may differ."),
]
LossOption = Annotated[
    str,
    typer.Option("--loss", metavar="SHARE", help="Most accuracy that may be lost, where labels are known."),
]


def int8(
    bundle: BundleArgument,
    images: ImagesOption,
    out: OutOption,
    target: Annotated[Target, typer.Option("--for", help="What it will run on.")] = Target.CPU,
    trust: TrustOption = None,
    sign: SignOption = None,
    agreement: AgreementOption = "99%",
    loss: LossOption = "0.5%",
    output: FormatOption = Format.TEXT,
) -> None:
    """Quantise a signed model to 8 bits. Two pictures of three fit it, the third judges it."""
    from edgeguard.build import int8_of, quantise
    from edgeguard.build.pictures import fitted, held_out, least_for, need
    from edgeguard.calibrate import open_images

    bounds = Bounds(_share(agreement, "--agreement"), _share(loss, "--loss"))
    parent = _parent(bundle, trust)
    pictures = open_images(images, parent.manifest.classes)
    need(pictures, least_for(bounds.agreement or 0.0))
    made = int8_of(parent, quantise(parent, fitted(pictures), target.value), target.value)
    kept = list(held_out(pictures))
    finish(Job({"primary": parent}, made, kept, _novelty(parent), bounds), out, sign, output)


def fuse(
    file: Annotated[Path, typer.Argument(help="The policy whose models to fuse.", metavar="POLICY")],
    images: ImagesOption,
    out: OutOption,
    without: Annotated[
        list[Part] | None,
        typer.Option("--without", metavar="filter|redundant", help="Leave a model out; may be repeated."),
    ] = None,
    sign: SignOption = None,
    deviation: DeviationOption = 1e-3,
    output: FormatOption = Format.TEXT,
) -> None:
    """Compose filter, primary, redundant model and their signals into one graph, equal to the separate ones."""
    from edgeguard.build import fuse as compose
    from edgeguard.build import fused_of, signals_of
    from edgeguard.build.fusion import PARTS
    from edgeguard.build.pictures import everything
    from edgeguard.calibrate import open_images
    from edgeguard.policy import check_policy

    left_out = {part.value for part in without or ()}
    models = admit(check_policy(file), file.parent, [role for role in PARTS if role not in left_out])
    pictures = open_images(images, models["primary"].manifest.classes)
    made = fused_of(models, compose(models))
    kept = list(everything(pictures))
    finish(Job(models, made, kept, signals_of(models), Bounds(deviation=deviation)), out, sign, output)


def plan(
    bundle: BundleArgument,
    images: ImagesOption,
    out: OutOption,
    backend: Annotated[Engine, typer.Option("--backend", help="What will run it.")] = Engine.TENSORRT,
    trust: TrustOption = None,
    sign: SignOption = None,
    agreement: AgreementOption = "99%",
    deviation: DeviationOption = 0.05,
    output: FormatOption = Format.TEXT,
) -> None:
    """Build a TensorRT plan of a signed ONNX bundle, and run it beside its ONNX. Without a device it stays unsigned."""
    from edgeguard.build import plan as build
    from edgeguard.build import plan_of, why_not_measured
    from edgeguard.build.pictures import everything
    from edgeguard.calibrate import open_images

    bounds = Bounds(_share(agreement, "--agreement"), deviation=deviation)
    parent = _parent(bundle, trust)
    pictures = open_images(images, parent.manifest.classes)
    built = build(parent, backend.value)
    made = plan_of(parent, built.data, built.engine)
    reason = why_not_measured(backend.value)
    if reason:
        unmeasured(made, out, reason, output)
        return
    kept = list(everything(pictures))
    job = Job(_as_guard(parent), made, kept, _signals(parent), bounds)
    finish(job, out, sign, output)


def _share(text: str, option: str) -> float:
    """A share of 1: `0.5%` or `0.005`."""
    number = text.strip()
    try:
        value = float(number.removesuffix("%")) / (100.0 if number.endswith("%") else 1.0)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"`{option} {text}` is not a share: write `0.5%` or `0.005`")
    return value


def _parent(bundle: Path, trust: list[Path] | None) -> AdmittedModel:
    trusted = trust_of(Named(trust or ()))
    from edgeguard.admission import admit_bundle
    from edgeguard.here import Device

    return admit_bundle(bundle, trusted, now=Device.here().now())


def _as_guard(model: AdmittedModel) -> dict[str, AdmittedModel]:
    """One model as a guard's only one; a fused graph stands for its primary too."""
    return {"primary": model} | ({"fused": model} if model.manifest.role == "fused" else {})


def _novelty(model: AdmittedModel) -> tuple[str, ...]:
    return tuple(o.meaning for o in model.manifest.outputs if o.meaning == "novelty")


def _signals(model: AdmittedModel) -> tuple[str, ...]:
    """The signals that a model gives by itself."""
    if model.manifest.role != "fused":
        return _novelty(model)
    return tuple(o.meaning for o in model.manifest.outputs if o.meaning not in ("probabilities", ""))
