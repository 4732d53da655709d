"""`edgeguard init`: from a `model.onnx` to a project that only needs signing and calibrating. Overwrites nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from edgeguard.errors import UsageError

RELEASE = "keys/release"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: edgeguard init model.onnx --labels labels.txt --output guard")(init)


def init(
    model: Annotated[Path, typer.Argument(help="An image classifier, ONNX, float32.", metavar="MODEL.onnx")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to make.")] = Path(
        "guard"
    ),
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="Text file, one class name a line.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Name of the policy; default: the file's.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="SIZE", help="HEIGHTxWIDTH, where the model leaves it open."),
    ] = None,
    mean: Annotated[
        str, typer.Option("--mean", metavar="NUMBERS", help="Per channel, like 0.485,0.456,0.406.")
    ] = "0",
    std: Annotated[
        str, typer.Option("--std", metavar="NUMBERS", help="Per channel, as 0.229,0.224,0.225.")
    ] = "1",
    bgr: Annotated[bool, typer.Option("--bgr", help="The model takes blue-green-red.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The model takes 0..255 instead of 0..1.")] = False,
    signer: Annotated[
        Path | None,
        typer.Option("--signer", metavar="KEY.pub", help="Whose signature counts; default: a new key pair."),
    ] = None,
) -> None:
    """Write a starter project: a bundle whose manifest is read off the model, and a commented policy."""
    from edgeguard.cli import starter
    from edgeguard.cli.classifier import probe

    if output.exists() and any(output.iterdir() if output.is_dir() else [output]):
        message = f"`{output}` exists and is not empty: name a new folder with `--output`"
        raise UsageError(message)
    means, stds = three(mean, "--mean"), three(std, "--std")
    found = probe(model, None if size is None else sides(size))
    classes = _classes(labels, found.classes)
    chosen = starter.slug(name or model.stem)
    color, scale = "BGR" if bgr else "RGB", 1.0 if raw else 1.0 / 255.0
    manifest = starter.manifest(
        found, name=chosen, classes=classes, color=color, scale=scale, mean=means, std=stds
    )
    files: dict[str, bytes] = {
        "models/primary/model.onnx": found.data,
        "models/primary/edgeguard.json": manifest.encode(),
        "models/primary/CARD.md": starter.card(chosen, model.name, classes).encode(),
    }
    pinned = _release_key(output, signer)
    files["policy.yaml"] = starter.policy(chosen, f"{RELEASE}.pub", pinned).encode()
    _write(output, files)
    written = [*files, f"{RELEASE}.pub", *([] if signer else [f"{RELEASE}.key"])]
    typer.echo(_report(output, written, scale=scale, color=color, means=means, stds=stds))
    typer.echo(
        f"{found.input}: {found.layout} {found.size[0]} x {found.size[1]}, {found.output}: {found.meaning}, "
        f"{found.classes} classes ({', '.join(classes[:3])}{', ...' if found.classes > 3 else ''})"
    )
    typer.echo("\nnext:")
    for command in _next(output, "PRIVATE.key" if signer else str(output / f"{RELEASE}.key")):
        typer.echo(f"  {command}")


def three(text: str, option: str) -> tuple[float, float, float]:
    """Three numbers, or one for all. Raises: UsageError."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    numbers = numbers * 3 if len(numbers) == 1 else numbers
    if len(numbers) != 3:
        message = f"`{option} {text}`: give one number, or three with commas between them"
        raise UsageError(message)
    return numbers[0], numbers[1], numbers[2]


def sides(text: str) -> tuple[int, int]:
    """`224x224` as (height, width). Raises: UsageError."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
        message = f"`--size {text}`: give HEIGHTxWIDTH in pixels, like 224x224"
        raise UsageError(message)
    return int(parts[0]), int(parts[1])


def _classes(labels: Path | None, count: int) -> list[str]:
    if labels is None:
        return [f"class_{i}" for i in range(count)]
    try:
        lines = labels.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read the labels `{labels}`: give a text file with one class name a line"
        raise UsageError(message) from error
    names = [line.strip() for line in lines if line.strip()]
    if len(names) != count:
        message = f"`{labels}` names {len(names)} classes, the model has {count}"
        raise UsageError(message)
    return names


def _release_key(root: Path, signer: Path | None) -> str:
    """Put the public key where the policy looks for it; returns its fingerprint. Raises: UsageError."""
    from edgeguard.admission import load_public_keys, new_key

    private, public = root / f"{RELEASE}.key", root / f"{RELEASE}.pub"
    given = None if signer is None else load_public_keys([signer])[0].hint
    _write(root, {} if signer is None else {f"{RELEASE}.pub": signer.read_bytes()})
    if given is not None:
        return given
    new_key(private, public)
    return load_public_keys([public])[0].hint


def _write(root: Path, files: dict[str, bytes]) -> None:
    try:
        (root / RELEASE).parent.mkdir(parents=True, exist_ok=True)
        (root / ".gitignore").write_text("# private keys never enter a repository\n*.key\n", encoding="utf-8")
        for name, data in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
    except OSError as error:
        message = f"cannot write into `{root}`: {(error.strerror or 'unknown reason').lower()}"
        raise UsageError(message) from error


def _report(
    root: Path,
    written: Sequence[str],
    *,
    scale: float,
    color: str,
    means: Sequence[float],
    stds: Sequence[float],
) -> str:
    lines = [f"{root / name}" for name in written]
    lines.append(
        f"\nassumed, because no model says it: {color}, pixels times {scale:.6g}, mean {list(means)}, std {list(stds)}"
        f"\ncheck that against your training code; it stands in {root / 'models/primary/edgeguard.json'}"
    )
    return "\n".join(lines)


def _next(root: Path, key: str) -> list[str]:
    return [
        f"edgeguard sign {root / 'models/primary'} --key {key}",
        f"edgeguard calibrate {root / 'policy.yaml'} --data PICTURES --key {key}",
        f"edgeguard policy check {root / 'policy.yaml'}",
        f"edgeguard sign {root / 'policy.yaml'} --key {key}",
        f"edgeguard run --policy {root / 'policy.yaml'} --trust {root / RELEASE}.pub --source PICTURES --log run.log",
    ]
