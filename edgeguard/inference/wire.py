"""The bytes between a host and a model worker: fixed headers, exact sizes. Nothing here is pickled or evaluated.

    load      magic "EGL1" | u32 bytes of JSON | u64 bytes of model | JSON (backend, contract) | model
    loaded    magic "EGR1" | u64 0  | 32 bytes digest | u32 status | u64 bytes | text of an error, or nothing
    request   magic "EGQ1" | u64 number | u32 rows | u64 bytes | float32 input
    reply     magic "EGR1" | u64 number | 32 bytes digest | u32 status | u64 bytes | float32 outputs, in contract order

Little-endian. The host knows every length beforehand from the contract; one that differs ends the worker.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

from edgeguard.errors import ContractError
from edgeguard.inference.session import ModelContract, OutputContract

LOAD = struct.Struct("<4sIQ")
REQUEST = struct.Struct("<4sQIQ")
REPLY = struct.Struct("<4sQ32sIQ")

LOAD_MAGIC = b"EGL1"
REQUEST_MAGIC = b"EGQ1"
REPLY_MAGIC = b"EGR1"

OK = 0
FAILED = 1

LONGEST_ERROR = 4_000
"""Most bytes of an error text that the host reads."""


def encode_load(contract: ModelContract, backend: str) -> bytes:
    """The JSON part of a load message."""
    document = {
        "backend": backend,
        "bundle": contract.bundle,
        "digest": contract.digest,
        "input": [contract.input_name, list(contract.input_shape)],
        "outputs": [[o.name, o.meaning, list(o.shape)] for o in contract.outputs],
    }
    return json.dumps(document).encode()


def decode_load(data: bytes) -> tuple[ModelContract, str]:
    """(contract, backend) from a load message: the worker trusts its host.

    Raises:
        ContractError: it is not a load message of this version.
    """
    try:
        document = json.loads(data)
        name, shape = document["input"]
        outputs = tuple(OutputContract(o[0], o[1], tuple(o[2])) for o in document["outputs"])
        contract = ModelContract(document["bundle"], document["digest"], name, tuple(shape), outputs)
        return contract, document["backend"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ContractError(f"not a load message: {error}") from error


def floats(shape: Sequence[int]) -> int:
    """How many float32 a tensor of `shape` holds."""
    count = 1
    for size in shape:
        count *= size
    return count
