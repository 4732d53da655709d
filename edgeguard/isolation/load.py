"""What a worker is told before it starts: its looks, its jail and its models, in one sealed memory. JSON and bytes.

    u32 bytes of JSON | JSON | models, one after another

Standard library only: a worker reads this before its sandbox closes, and imports nothing heavy until then.
"""

from __future__ import annotations

import dataclasses
import json
import mmap
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeguard.inference.looks import Part
    from edgeguard.program import WorkerSpec

_SIZE = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Order:
    """A load, as the worker reads it. It trusts its host."""

    looks: tuple[str, ...]
    jail: Mapping[str, Any]
    """Arguments of `Jail` but for its level and the descriptors to keep."""
    level: int
    parts: tuple[Mapping[str, Any], ...]
    models: Mapping[str, bytes]


def pack(
    spec: WorkerSpec, level: int, parts: Mapping[str, Part], models: Mapping[str, bytes]
) -> tuple[bytes, ...]:
    """The pieces of a load, in order. `level`: of the sandbox to try for. `models`: bytes by role."""
    # Said outright: a host that pins itself afterwards would hand its own cores on to the next run.
    cpus = spec.cpus or tuple(sorted(os.sched_getaffinity(0)))
    document = {
        "looks": spec.looks,
        "level": level,
        "jail": {"memory": spec.memory, "cpus": cpus, "fifo": spec.fifo, "gpu": spec.gpu},
        "parts": [dataclasses.asdict(part) for part in parts.values()],
        "models": [[role, len(models[role])] for role in parts],
    }
    text = json.dumps(document).encode()
    return (_SIZE.pack(len(text)), text, *(models[role] for role in parts))


def read(descriptor: int) -> Order:
    """The load behind a descriptor, which is closed."""
    length = os.fstat(descriptor).st_size
    with mmap.mmap(descriptor, length, mmap.MAP_SHARED, mmap.PROT_READ) as data:
        os.close(descriptor)
        start = _SIZE.size
        (size,) = _SIZE.unpack_from(data)
        document = json.loads(data[start : start + size])
        start += size
        models = {}
        for role, length in document["models"]:
            models[role] = data[start : start + length]
            start += length
    jail = document["jail"] | {"cpus": tuple(document["jail"]["cpus"])}
    return Order(tuple(document["looks"]), jail, document["level"], tuple(document["parts"]), models)


def part(document: Mapping[str, Any]) -> Part:
    """One part of an order. Its input and engine have the manifest's attributes, without the room that reads those."""
    from edgeguard.inference.looks import Part  # noqa: PLC0415 - weighs numpy
    from edgeguard.inference.session import ModelContract, OutputContract  # noqa: PLC0415

    told = document["contract"]
    contract = ModelContract(
        bundle=told["bundle"],
        digest=told["digest"],
        input_name=told["input_name"],
        input_shape=tuple(told["input_shape"]),
        outputs=tuple(OutputContract(o["name"], o["meaning"], tuple(o["shape"])) for o in told["outputs"]),
        engine=None if told["engine"] is None else _plain(told["engine"]),
    )
    picture = document["input"]
    spec = _plain(picture | {name: tuple(picture[name]) for name in ("shape", "mean", "std")})
    return Part(document["role"], contract, spec, document["backend"], cpu_fallback=document["cpu_fallback"])


def _plain(values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - stands for one of admission's dataclasses
    return SimpleNamespace(**values)
