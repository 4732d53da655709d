"""What the fuzz targets start from: a table that uses all there is, and seeds made from the published vectors.

Writes into the folder it is given, the same bytes every time. Decides nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from edgeguard.policy.emit_c import emit
from edgeguard.program import (
    ActuatorLimit,
    Feedback,
    LocalRule,
    Microcontroller,
    Program,
    Relation,
    SensorSpec,
    Term,
)
from edgeguard.types import Authority, Command
from hil.firmware import bare_program

ROOT = Path(__file__).resolve().parents[3]
VECTORS = ROOT / "tests" / "vectors" / "link" / "frames.json"
RAW_MOST = 0x7F
HEADER, TRAILER, MESSAGES = 10, 15, 52000
SIGNED, BROKEN, IN_A_ROW = 0x80, 0xC0, 0x60


def write_table(folder: Path) -> None:
    """Write `policy_table.h`: feedback, authority, sensors, rules with terms, an emergency stop."""
    (folder / "policy_table.h").write_text(emit(_program()), encoding="ascii")


def write_seeds(target: str, folder: Path) -> None:
    """Write the seeds of `framing`, `session` or `against_mavlink`, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = {"framing": _framing, "session": _session, "against_mavlink": _against_mavlink}[target]()
    for name, seed in seeds.items():
        (folder / name).write_bytes(seed)


def _program() -> Program:
    near, calm = SensorSpec("near", 0.0, 40.0, 0.1), SensorSpec("calm", -5.0, 5.0, 0.02)
    rules = (
        LocalRule(
            1,
            "",
            (Term(0, Relation.BELOW, 3.0), Term(1, Relation.ABOVE, 1.0)),
            Command({"arm": 5, "brake": 0.5}),
        ),
        LocalRule(2, "", (Term(1, Relation.AT_MOST, -1.0),), Command({"arm": -5, "brake": 0})),
        LocalRule(3, "", (Term(0, Relation.AT_LEAST, 39.0),), Command({"arm": 1, "brake": 0.1})),
    )
    return bare_program(
        "fuzz",
        envelope=(
            ActuatorLimit("arm", -30.0, 30.0, 40.0, 20.0, 0.0, Feedback(lead=8.0, max_age=0.05)),
            ActuatorLimit("brake", 0.0, 1.0, 4.0, float("inf"), 1.0, authority=Authority.RULES),
        ),
        microcontroller=Microcontroller(stop=True, sensors=(near, calm), rules=rules),
    )


# ---- frames of the vectors -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Frame:
    """The fields of one whole frame of the vectors."""

    kind: int
    system: int
    component: int
    link: int
    payload: bytes


def _frames() -> list[_Frame]:
    found = {}
    for vector in json.loads(VECTORS.read_text())["vectors"]:
        for event in vector["events"]:
            if event["event"] == "frame":
                payload = bytes.fromhex(event["payload"])
                number = event["number"] - MESSAGES
                found[payload] = _Frame(number, event["system"], event["component"], event["link"], payload)
    return list(found.values())


def _raw(data: bytes) -> bytes:
    pieces = [data[i : i + RAW_MOST] for i in range(0, len(data), RAW_MOST)]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)


def _framing() -> dict[str, bytes]:
    streams = [bytes.fromhex(v["bytes"]) for v in json.loads(VECTORS.read_text())["vectors"]]
    seeds = {f"bytes-{i}": _raw(stream) for i, stream in enumerate(streams) if len(stream) < 300}
    for i, frame in enumerate(_frames()):
        body = bytes([frame.kind | frame.link << 4, frame.system, frame.component]) + frame.payload + bytes(6)
        seeds[f"signed-{i}"] = bytes([SIGNED]) + body + _raw(b"\xfd\x20\x01") + bytes([SIGNED]) + body
        for how in range(3):
            seeds[f"broken-{i}-{how}"] = bytes([BROKEN, how]) + body + bytes([20, 1, SIGNED]) + body
    return seeds


def _against_mavlink() -> dict[str, bytes]:
    seeds = {}
    for i, frame in enumerate(_frames()):
        for how in range(8):
            flags = 1 << how >> 1
            body = bytes([IN_A_ROW, flags, frame.kind | frame.link << 4])
            body += bytes(2) if flags == 2 else b""
            body += bytes([0, frame.system, frame.component]) + frame.payload + bytes(6)
            seeds[f"frame-{i}-{how}"] = body + bytes([5, 0xFD]) + bytes(4) + body
    return seeds


# ---- programs for the whole device -----------------------------------------------------------------------------------

TIME, OPEN, SET, ASK, OPERATOR, SENSE, REPLAY, RESET, ENABLE, REST = 1, 4, 5, 8, 9, 10, 12, 13, 14, 15
ENABLED = bytes([ENABLE, 3, 7, 7, *([4, 128] * 10)])
STEP_20_MS = bytes([TIME, 5])
FRAMES_OF_GOING = 23
"""The place in the ring of the next frame after `going`: 13 of enabling, and two in each of five steps."""
COMMANDS = bytes([SET, 0x10, 4, 200, SET | 0x10, 0x10, 4, 60])


def _session() -> dict[str, bytes]:
    going = ENABLED + (COMMANDS + STEP_20_MS) * 5
    spans = range(12)
    return {
        "going": going,
        "lost": going + bytes([TIME, 10]) * 3 + ENABLED,
        "late": going + bytes([TIME, 0x80 | 10]) + COMMANDS,
        "stopped": going
        + bytes([SENSE, 0x40, 0])
        + STEP_20_MS * 3
        + bytes([SENSE, 0x41])
        + STEP_20_MS
        + ENABLED,
        "blind": going + bytes([SENSE, 0x80, 4, 100, 0, 0]) + STEP_20_MS * 4,
        "replayed": going + bytes([part for i in range(30) for part in (REPLAY, 0, i)]),
        "bent": going + bytes([part for i in range(30) for part in (REPLAY, 1, i, i + 8, 1)]),
        "reset": going + bytes([RESET, 4]) + STEP_20_MS + ENABLED + STEP_20_MS,
        "power-lost": going + bytes([RESET, 1]) + STEP_20_MS + ENABLED,
        "damaged": going + bytes([RESET, 6, 9, 1]) + STEP_20_MS + ENABLED,
        "disarmed": going + bytes([ASK, 0, 3, 2]) + STEP_20_MS + bytes([OPERATOR | 0x10, 0]) + COMMANDS,
        "not-theirs": going + bytes([part for n in range(8) for part in (ASK | (n % 2) << 4, 0, n, n % 5)]),
        "replaced": going + bytes([OPEN, 0, 7, 7]) + COMMANDS + STEP_20_MS,
        "reflected": going + bytes([REST, 0]) + bytes([part for i in range(64) for part in (REPLAY, 0, i)]),
        "backwards": going + bytes([REST, 0xFF, 99]) + STEP_20_MS + COMMANDS,
        "times": going + b"".join(bytes([TIME, span]) + COMMANDS for span in spans),
        "stale": going + bytes([ASK, 0x40, 1, 1, 0]) + STEP_20_MS * 6 + bytes([REPLAY, 0, FRAMES_OF_GOING]),
        "other-policy": going + bytes([SET, 0x11, 4, 200, 16, 1]) + STEP_20_MS,
        "latched": going + bytes([SENSE, 0x40, 0, TIME, 3, SENSE, 0x41, RESET, 4]) + STEP_20_MS + ENABLED,
        "led": going + bytes([SENSE, 0, 1, 0, SET, 0x10, 0, TIME, 3, TIME, 3]),
        "rules": going
        + bytes([SENSE, 1, 4, 5, 0, SENSE, 3, 4, 200, 0])
        + bytes([TIME, 0x80 | 11])
        + bytes([SENSE, 1, 4, 5, 0, SENSE, 3, 4, 200, 0, TIME, 3]) * 4,
    }
