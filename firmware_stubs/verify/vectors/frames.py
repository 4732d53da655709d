"""The vectors of frames.json: bytes, and what a parser must make of them.

Every expectation is written here by hand, from docs/reference/link-protocol.md; nothing is taken from a parser.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import line
from line import Broken

NONCE = bytes(range(8))
HOST_NONCE = bytes(range(16, 24))
SESSION = line.session_of(NONCE, HOST_NONCE)
BAD_CHECKSUM, BAD_SIGNATURE = {"event": "bad-checksum"}, {"event": "bad-signature"}
NO_START = bytes(i * 7 % 253 for i in range(200))
"""Rubbish without a start byte."""

Vector = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """One right frame, and the event it must give."""

    raw: bytes
    event: Vector


def right(
    name: str, *, link: int | None = None, sequence: int = 0, stamp: int = 0, **fields: line.Value
) -> Sent:
    """Return a right frame of a message, with its usual fields but for those given."""
    body = line.payload(name, **{**_usual(name), **fields})
    raw = line.frame(name, body, link=link, sequence=sequence, stamp=stamp)
    event: Vector = {
        "event": "frame",
        "message": name,
        "number": line.MESSAGES[name].number,
        "system": raw[5],
    }
    event |= {"component": raw[6], "link": raw[-13], "fields": line.decode(name, body), "payload": body.hex()}
    return Sent(raw, event)


def _usual(name: str) -> dict[str, line.Value]:
    policy = line.POLICY[:16]
    common: dict[str, line.Value] = {"session": SESSION, "policy_hash": line.POLICY_HASH}
    if name == "HELLO":
        return {
            "mcu_nonce": NONCE,
            "firmware": 0x200,
            "lost_ms": 120,
            "valid_max_ms": 150,
            "policy": policy,
            "protocol": line.PROTOCOL,
            "actuators": 2,
            "mode": 0,
        }
    if name == "OPEN":
        return {"mcu_nonce": NONCE, "host_nonce": HOST_NONCE, "policy": policy, "protocol": line.PROTOCOL}
    if name == "COMMAND":
        command = {"counter": 1, "mcu_ms_echo": 4242, "value": 250_000, "valid_ms": 100, "data_id": 0xE600}
        return {**common, **command, "source": 0, "actuator": 0, "action": 1}
    if name == "OFFER":
        return {**common, "mcu_ms": 4260, "mode": 0, "reason": 0, "latches": 0}
    status = {"counter": 1, "mcu_ms": 4260, "counter_echo": 1, "value": 250_000, "age": 180, "rejected": 0}
    status |= {
        "crc_errors": 0,
        "dropped": 0,
        "mode": 0,
        "source": 3,
        "reason": 0,
        "refusal": 0,
        "actuator": 0,
    }
    return {"session": SESSION, **status, "latches": 0}


COMMAND = right("COMMAND", sequence=1, stamp=202_000)
ARM = right("COMMAND", link=2, sequence=9, counter=7, value=0, source=2, action=2)
NEXT = right("COMMAND", sequence=2, stamp=204_000, counter=2)


def vector(name: str, data: bytes, events: list[Vector], held: int = 0) -> Vector:
    """Return a vector as it is published."""
    return {"name": name, "bytes": data.hex(), "events": events, "held": held}


def wrong(
    name: str, broken: Broken, events: list[Vector], *, key: bytes | None = None, link: int = 0
) -> Vector:
    """Return a COMMAND with one thing wrong, and then a right one, which must be found."""
    body = bytes.fromhex(COMMAND.event["payload"])
    raw = line.frame("COMMAND", body, link=link, sequence=1, key=key, broken=broken)
    return vector(name, raw + NEXT.raw, [*events, NEXT.event])


def flipped(raw: bytes, at: int, bit: int = 0) -> bytes:
    """Return the bytes with one bit changed."""
    return raw[:at] + bytes((raw[at] ^ 1 << bit,)) + raw[at + 1 :]


def _right_frames() -> Iterator[Vector]:
    everything = {
        "a HELLO of the microcontroller": right("HELLO", stamp=100_000),
        "an OPEN of the host": right("OPEN", stamp=200_000),
        "a COMMAND of the host": COMMAND,
        "a COMMAND of the operator, who arms": ARM,
        "a COMMAND of the operator, who releases": right(
            "COMMAND", link=2, counter=8, value=0, source=2, action=4
        ),
        "a STATUS of the microcontroller": right("STATUS", sequence=1, stamp=426_000),
        "an OFFER of the microcontroller": right("OFFER", sequence=2, stamp=426_000),
        "the largest of every field": right(
            "COMMAND",
            sequence=255,
            stamp=2**48 - 1,
            session=b"\xff" * 8,
            counter=2**32 - 1,
            mcu_ms_echo=2**32 - 1,
            policy_hash=2**32 - 1,
            value=2**31 - 1,
            valid_ms=2**16 - 1,
            data_id=2**16 - 1,
            source=255,
            actuator=255,
            action=255,
            flags=255,
        ),
        "the smallest value": right("COMMAND", value=-(2**31)),
        "minus one step": right("COMMAND", value=-1),
        "zeros up to the last byte, which keeps the payload whole": right(
            "OFFER", session=bytes(8), mcu_ms=0, policy_hash=0
        ),
        "a start byte in every byte of the session": right("COMMAND", session=b"\xfd" * 8),
        "every latch and every flag": right("STATUS", latches=15, flags=0x87),
    }
    for name, sent in everything.items():
        yield vector(name, sent.raw, [sent.event])
    yield vector("two frames glued together", COMMAND.raw + ARM.raw, [COMMAND.event, ARM.event])
    yield vector(
        "the host's messages and the operator's in turn",
        b"".join(s.raw for s in (COMMAND, ARM, NEXT, ARM)),
        [COMMAND.event, ARM.event, NEXT.event, ARM.event],
    )
    hello, status = right("HELLO"), right("STATUS")
    yield vector("a HELLO of an older protocol is still a frame", *_one(right("HELLO", protocol=1)))
    yield vector(
        "the parser takes what was reflected: direction is judged after it",
        hello.raw + status.raw,
        [hello.event, status.event],
    )
    yield vector("a foreign system is judged after the parser", *_one(_foreign(system=7)))
    yield vector("a foreign component is judged after the parser", *_one(_foreign(component=2)))


def _one(sent: Sent) -> tuple[bytes, list[Vector]]:
    return sent.raw, [sent.event]


def _foreign(**changes: int) -> Sent:
    raw = line.frame("COMMAND", bytes.fromhex(COMMAND.event["payload"]), broken=Broken(**changes))
    return Sent(raw, {**COMMAND.event, **changes})


def _wrong_frames() -> Iterator[Vector]:
    yield wrong("a bad checksum", Broken(crc_xor=0x0100), [BAD_CHECKSUM])
    yield wrong("a checksum without its CRC_EXTRA's message", Broken(extra=120), [BAD_CHECKSUM])
    yield wrong("unsigned: the incompatibility flag is missing", Broken(incompatible=0), [])
    yield wrong("an incompatibility flag that nobody knows", Broken(incompatible=3), [])
    yield wrong("an incompatibility flag instead of the signature's", Broken(incompatible=2), [])
    yield wrong("a compatibility flag", Broken(compatible=1), [])
    yield wrong("a message that is not of the dialect", Broken(number=52005), [])
    yield wrong("MAVLink's own heartbeat number", Broken(number=0), [])
    yield wrong("a message number with a bit set far up", Broken(number=52002 + 0x800000), [])
    yield wrong("the length of another message", Broken(length=34), [])
    yield wrong("a length one too short", Broken(length=31), [])
    yield wrong("a length of zero", Broken(length=0), [])
    yield wrong("a length beyond every message", Broken(length=40), [])
    yield wrong("the largest length", Broken(length=255), [])
    yield wrong("another message's number in the same length", Broken(number=52001), [])
    yield wrong(
        "the operator's key on the host's link", line.Broken(), [BAD_SIGNATURE], key=line.OPERATOR_KEY
    )
    yield wrong(
        "the host's key on the operator's link", line.Broken(), [BAD_SIGNATURE], key=line.HOST_KEY, link=2
    )
    yield wrong("a key of zeros", line.Broken(), [BAD_SIGNATURE], key=bytes(32))
    short = line.payload("COMMAND", **_usual("COMMAND"))[:-1].rstrip(b"\0")
    raw = line.frame("COMMAND", short)
    yield vector("a payload cut as MAVLink 2 would cut zeros", raw + NEXT.raw, [NEXT.event])
    for place, at in (("first", -6), ("last", -1)):
        for bit in (0, 7):
            yield vector(
                f"bit {bit} of the signature's {place} byte flipped",
                flipped(COMMAND.raw, at % 57, bit) + NEXT.raw,
                [BAD_SIGNATURE, NEXT.event],
            )
    places = {"sequence": 4, "system": 5, "component": 6, "payload": 30, "checksum": 42}
    for what, at in places.items():
        yield vector(
            f"a bit of the {what} flipped", flipped(COMMAND.raw, at) + NEXT.raw, [BAD_CHECKSUM, NEXT.event]
        )
    yield vector(
        "a bit of the time flipped", flipped(COMMAND.raw, 45) + NEXT.raw, [BAD_SIGNATURE, NEXT.event]
    )
    yield vector(
        "the link changed to the other direction",
        flipped(COMMAND.raw, 44) + NEXT.raw,
        [BAD_SIGNATURE, NEXT.event],
    )
    yield vector(
        "the link changed to the operator's",
        flipped(COMMAND.raw, 44, 1) + NEXT.raw,
        [BAD_SIGNATURE, NEXT.event],
    )
    body = bytes.fromhex(COMMAND.event["payload"])
    for link in (4, 128, 255):
        for whose, key in (("host's", line.HOST_KEY), ("operator's", line.OPERATOR_KEY), ("zero", bytes(32))):
            raw = line.frame("COMMAND", body, link=link, key=key)
            name = f"link {link} has no key: signed with the {whose} one"
            yield vector(name, raw + NEXT.raw, [BAD_SIGNATURE, NEXT.event])


def _resynchronisation() -> Iterator[Vector]:
    yield vector("garbage without a start byte", NO_START, [])
    yield vector("garbage before a frame", NO_START + COMMAND.raw, [COMMAND.event])
    yield vector("garbage between two frames", COMMAND.raw + NO_START + NEXT.raw, [COMMAND.event, NEXT.event])
    yield vector("start bytes before a frame", b"\xfd" * 5 + COMMAND.raw, [COMMAND.event])
    yield vector("one start byte and nothing else", b"\xfd", [], held=1)
    yield vector("a length beyond every message is dropped at once", b"\xfd\x28", [])
    yield vector("an unknown incompatibility flag is dropped at once", b"\xfd\x20\x03", [])
    yield vector("a compatibility flag is dropped at once", b"\xfd\x20\x01\x01", [])
    yield vector("a message that there is not is dropped with its header", b"\xfd\x20\x01" + bytes(7), [])
    yield vector("what is dropped ends at the next start byte", b"\xfd\xff\xfd\x20", [], held=2)
    yield vector(
        "a MAVLink 1 frame before ours",
        bytes.fromhex("fe09004d0100") + bytes(11) + COMMAND.raw,
        [COMMAND.event],
    )
    yield vector("a frame cut short, and silence", COMMAND.raw[:30], [], held=30)
    yield vector("a frame that lacks its last byte", COMMAND.raw[:-1], [], held=56)
    yield vector("a header alone", COMMAND.raw[:10], [], held=10)
    # The next frame fills the cut one up; its checksum is bad; the search begins inside and finds the next one.
    yield vector(
        "a frame cut short, and a right one behind it: found inside what was held",
        COMMAND.raw[:30] + NEXT.raw,
        [BAD_CHECKSUM, NEXT.event],
    )
    yield vector("a frame cut in its header", COMMAND.raw[:6] + NEXT.raw, [NEXT.event])
    # 56 bytes and the first of the next: the checksum is right, so the loss shows in the signature, and costs both.
    yield vector(
        "a frame that lacks its last byte takes the next one's start: bad signature, and the search goes on behind",
        COMMAND.raw[:-1] + NEXT.raw + ARM.raw,
        [BAD_SIGNATURE, ARM.event],
    )
    yield vector("the start byte lost", COMMAND.raw[1:] + NEXT.raw, [NEXT.event])
    yield vector(
        "one byte lost in the middle",
        COMMAND.raw[:20] + COMMAND.raw[21:] + NEXT.raw,
        [BAD_CHECKSUM, NEXT.event],
    )
    yield vector(
        "one byte too many",
        COMMAND.raw[:20] + b"\0" + COMMAND.raw[20:] + NEXT.raw,
        [BAD_CHECKSUM, NEXT.event],
    )
    yield vector("a frame twice", COMMAND.raw * 2, [COMMAND.event] * 2)
    yield from _headers_inside()


def _headers_inside() -> Iterator[Vector]:
    header = COMMAND.raw[:10]
    decoy = right("OPEN", mcu_nonce=header[:8], host_nonce=header[8:] + bytes(6))
    bad = decoy.raw[:-1] + bytes((decoy.raw[-1] ^ 1,))
    # Behind the bad signature: whoever searched inside would hold the decoy and swallow the frame behind it.
    yield vector(
        "a header inside a frame with a bad signature is not looked at",
        bad + COMMAND.raw,
        [BAD_SIGNATURE, COMMAND.event],
    )
    yield vector(
        "a header inside a right frame is not looked at",
        decoy.raw + COMMAND.raw,
        [decoy.event, COMMAND.event],
    )
    # Inside the bad checksum: the decoy at offset 10 is taken for a frame, is bad in its turn, and the search goes on.
    broken = flipped(decoy.raw, 40)
    yield vector(
        "a header inside a frame with a bad checksum is looked at, and costs nothing behind it",
        broken + COMMAND.raw + NEXT.raw,
        [BAD_CHECKSUM, BAD_CHECKSUM, COMMAND.event, NEXT.event],
    )
    offer = right("OFFER")
    inside = line.frame("STATUS", offer.raw[:39])
    yield vector(
        "a right frame's beginning as payload stays payload",
        inside + offer.raw,
        [_event("STATUS", inside), offer.event],
    )


def _event(name: str, raw: bytes) -> Vector:
    body = raw[10:-15]
    event = {"event": "frame", "message": name, "number": line.MESSAGES[name].number, "system": raw[5]}
    return {
        **event,
        "component": raw[6],
        "link": raw[-13],
        "fields": line.decode(name, body),
        "payload": body.hex(),
    }


def document() -> Vector:
    """Everything in frames.json."""
    vectors = [*_right_frames(), *_wrong_frames(), *_resynchronisation()]
    return {
        "format": "edgeguard-link-frames-1",
        "protocol": line.PROTOCOL,
        "keys": {"host": line.HOST_KEY.hex(), "operator": line.OPERATOR_KEY.hex()},
        "vectors": vectors,
    }
