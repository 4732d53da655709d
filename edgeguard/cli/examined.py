"""What `edgeguard inspect` found, as lines of at most 100 columns and as values for programs. Judges nothing."""

from __future__ import annotations

import dataclasses
import textwrap
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edgeguard.admission.reasons import shown
from edgeguard.cli import stated

if TYPE_CHECKING:
    from edgeguard.admission.claimed import ClaimedCertificate, ClaimedSigner
    from edgeguard.admission.examine import Examined
    from edgeguard.admission.graph.facts import Edge, GraphFacts
    from edgeguard.admission.manifest import Manifest
    from edgeguard.errors import AdmissionError

WIDTH = 100
_TITLE = 20
_MOST = 40
"""Names in one list, for people."""
Row = tuple[str, str]


def values(found: Examined) -> dict[str, object]:
    """Everything, by stable keys; null where it is not there or could not be read."""
    manifest = None if found.manifest is None else stated.values(found.manifest) | _contract(found.manifest)
    return {
        "path": found.path,
        "kind": found.kind,
        "verified": False,
        "digest": found.digest,
        "pin": found.pin,
        "files": [dataclasses.asdict(file) for file in found.files],
        "signature": None if found.signer is None else _signer_values(found.signer, found.second),
        "manifest": manifest,
        "model": None if found.model is None else dataclasses.asdict(found.model),
        "refused": [
            {"reason": error.reason, "path": error.path, "message": _message(error)}
            for error in found.refused
        ],
    }


def lines(found: Examined) -> Iterator[str]:
    """The same for people."""
    yield f"{found.path}: {found.kind}"
    yield "nothing below was verified: whoever made it can write anything"
    rows = [("digest", found.digest or "none: it cannot be signed like this"), ("pin", found.pin)]
    yield from _section("", [row for row in rows if row[1]])
    width = max((len(shown(file.name, longest=40)) for file in found.files), default=0)
    yield "files"
    for file in found.files:
        name = shown(file.name, longest=40)
        yield f"  {name:<{width}} {file.size:>14,} bytes  {file.digest[:16] or '-':<16}  {file.state}"
    yield from _section("signature, as it claims", list(_signer_rows(found.signer, found.second)))
    if found.manifest is not None:
        yield from _section("manifest", list(_manifest_rows(found.manifest)))
    if found.model is not None:
        yield from _section("model", list(_model_rows(found.model)))


def _section(title: str, rows: list[Row]) -> Iterator[str]:
    if title:
        yield title
    for key, text in rows:
        yield from _wrapped(f"  {key:<{_TITLE - 2}} {text}", " " * (_TITLE + 1))


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, drop_whitespace=True, break_on_hyphens=False
    ) or [""]


def _message(error: AdmissionError) -> str:
    return str(error).removeprefix(f"{error.path}: {error.reason}: ")


def _contract(manifest: Manifest) -> dict[str, object]:
    found = dataclasses.asdict(manifest)
    return {key: found[key] for key in ("file", "input", "outputs", "classes", "temperature")}


def _signer_values(signer: ClaimedSigner, second: bool) -> dict[str, object]:
    certificates = [
        dataclasses.asdict(item) | {"not_before": _time(item.not_before), "not_after": _time(item.not_after)}
        for item in signer.certificates
    ]
    return {"kind": signer.kind, "key": signer.key, "certificates": certificates, "second": second}


def _signer_rows(signer: ClaimedSigner | None, second: bool) -> Iterator[Row]:
    if signer is None:
        yield "signer", "none that can be read"
        return
    yield "key", signer.key
    for i, certificate in enumerate(signer.certificates):
        yield ("certificate" if i == 0 else "issued by"), _certificate(certificate)
    if signer.kind == "keyless":
        yield "keyless", "a certificate of minutes, from Sigstore"
    yield "second signature", "yes" if second else "no"


def _certificate(certificate: ClaimedCertificate) -> str:
    who = f" for {', '.join(certificate.identities)}" if certificate.identities else ""
    valid = f"{_time(certificate.not_before)} to {_time(certificate.not_after)}"
    return f"{certificate.subject}{who}, valid {valid}, sha256 {certificate.digest[:16]}"


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _manifest_rows(manifest: Manifest) -> Iterator[Row]:
    yield "name", f"{manifest.name} {manifest.version} ({manifest.role})"
    yield from stated.rows(manifest)
    spec = manifest.input
    yield "input", f"{shown(spec.name)} {spec.dtype} {_shape(spec.shape)} {spec.layout} {spec.color}"
    scaling = f"scale {spec.scale:.6g}, mean {_numbers(spec.mean)}, std {_numbers(spec.std)}"
    yield "made from a frame", f"resize {spec.resize}, {scaling}"
    for output in manifest.outputs:
        meaning = f" ({output.meaning})" if output.meaning else ""
        yield "output", f"{shown(output.name)} {output.dtype} {_shape(output.shape)}{meaning}"
    if manifest.classes:
        yield "classes", f"{len(manifest.classes)}: {_few(manifest.classes)}"
        yield "temperature", f"{manifest.temperature:.6g}"


def _model_rows(model: GraphFacts) -> Iterator[Row]:
    yield "written by", f"{shown(model.producer) or 'it does not say'}, ir_version {model.ir_version}"
    yield "opset", _few([f"{name or 'ai.onnx'} {version}" for name, version in model.opsets.items()])
    yield "operators", _few([f"{name} {count}" for name, count in model.operators.items()])
    yield "custom operators", _few(model.custom_domains) or "none"
    if model.functions:
        yield "functions", _few(model.functions)
    yield "size", f"{model.nodes:,} nodes, {model.tensors:,} tensors, {model.weight_bytes:,} bytes of weights"
    memory = (
        f"not known: {shown(model.why_open)}" if model.memory is None else f"{model.memory:,} bytes a picture"
    )
    yield "memory", memory
    for title, edges in (("input", model.inputs), ("output", model.outputs)):
        for edge in edges[:_MOST]:
            yield title, _edge(edge)
        if len(edges) > _MOST:
            yield title, f"and {len(edges) - _MOST} more"


def _edge(edge: Edge) -> str:
    shape = "of any shape" if edge.shape is None else _shape(edge.shape)
    return f"{shown(edge.name)} {edge.dtype or 'of any type'} {shape}"


def _shape(shape: tuple[int | str | None, ...]) -> str:
    return f"[{', '.join('?' if size is None else shown(str(size)) for size in shape)}]"


def _numbers(numbers: tuple[float, ...]) -> str:
    return f"[{', '.join(f'{number:.6g}' for number in numbers)}]"


def _few(names: Sequence[str]) -> str:
    """The first ones, safe to print: a hostile file could name any number."""
    more = [f"and {len(names) - _MOST} more"] if len(names) > _MOST else []
    return ", ".join([*(shown(name) for name in names[:_MOST]), *more])
