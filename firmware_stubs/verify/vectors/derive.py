"""The vectors of derive.json: every number of the protocol that is computed, with the steps in between."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Any

import line
from frames import ARM, COMMAND, HOST_NONCE, NONCE

TYPES = {"8s": "uint64_t", "I": "uint32_t", "i": "int32_t", "H": "uint16_t", "B": "uint8_t", "16s": "uint8_t"}
TEXTS = (b"", b"\0", b"123456789", b"\xfd", bytes(range(63)))


def _extra(name: str) -> dict[str, Any]:
    message = line.MESSAGES[name]
    text = f"EG_{name} ".encode()
    for field, code in message.fields:
        text += f"{TYPES[code]} {field} ".encode()
        text += b"\x10" if code == "16s" else b""
    value = line.crc(text)
    extra = (value & 0xFF) ^ (value >> 8)
    return {
        "name": name,
        "number": message.number,
        "payload_size": message.size,
        "text": text.hex(),
        "crc": value,
        "crc_extra": extra,
        "fields": _fields(message),
    }


def _fields(message: line.Message) -> list[dict[str, Any]]:
    offset, found = 0, []
    for name, code in message.fields:
        kind = {"8s": "8 bytes", "16s": "16 bytes"}.get(code, TYPES[code].removesuffix("_t"))
        found.append({"name": name, "offset": offset, "type": kind})
        offset += struct.calcsize(f"<{code}")
    return found


def _signed(name: str, raw: bytes, key: bytes) -> dict[str, Any]:
    digest = sha256(key + raw[:-6]).hexdigest()
    return {
        "name": name,
        "key": key.hex(),
        "counted": raw[1:-15].hex(),
        "crc_extra": line.MESSAGES["COMMAND"].extra,
        "crc": int.from_bytes(raw[-15:-13], "little"),
        "signed": raw[:-6].hex(),
        "sha256": digest,
        "signature": digest[:12],
        "frame": raw.hex(),
    }


def _session(mcu_nonce: bytes, host_nonce: bytes, key: bytes) -> dict[str, str]:
    digest = sha256(key + mcu_nonce + host_nonce).hexdigest()
    return {
        "host_key": key.hex(),
        "mcu_nonce": mcu_nonce.hex(),
        "host_nonce": host_nonce.hex(),
        "sha256": digest,
        "session": digest[:16],
    }


def _nonce(seed: bytes, opened: int) -> dict[str, str | int]:
    text = line.HOST_KEY + seed + opened.to_bytes(8, "little")
    return {
        "seed": seed.hex(),
        "opened": opened,
        "hashed": text.hex(),
        "mcu_nonce": line.nonce_of(seed, opened).hex(),
    }


def document() -> dict[str, Any]:
    """Everything in derive.json."""
    policies = (b"a policy file\n", b"")
    return {
        "format": "edgeguard-link-derive-1",
        "protocol": line.PROTOCOL,
        "crc": [{"bytes": text.hex(), "crc": line.crc(text)} for text in TEXTS],
        "messages": [_extra(name) for name in line.MESSAGES],
        "signatures": [
            _signed("the host's key signs on link 0", COMMAND.raw, line.HOST_KEY),
            _signed("the operator's key signs on link 2", ARM.raw, line.OPERATOR_KEY),
        ],
        "sessions": [
            _session(NONCE, HOST_NONCE, line.HOST_KEY),
            _session(HOST_NONCE, NONCE, line.HOST_KEY),
            _session(bytes(8), bytes(8), line.HOST_KEY),
            _session(b"\xff" * 8, b"\xff" * 8, bytes(range(32))),
        ],
        "nonces": [_nonce(seed, n) for seed in (bytes(16), bytes(range(16))) for n in (0, 1, 2**32)],
        "policies": [
            {
                "file": text.hex(),
                "sha256": sha256(text).hexdigest(),
                "policy": sha256(text).hexdigest()[:32],
                "policy_hash": int.from_bytes(sha256(text).digest()[:4], "little"),
            }
            for text in policies
        ],
    }
