"""A host process for rigs that break hosts: it commands a microcontroller at 50 Hz, until told to misbehave.

`python -m hil.talker PORT DIGEST ENVELOPE`; prints `enabled` when it has authority, and then reads one word of how to
misbehave: `flood` with rubbish, `repeat` old frames, or `mismatch` (another policy's hash). Uses the public test keys.
"""

from __future__ import annotations

import json
import os
import random
import select
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from edgeguard.link import link_over
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.transport import Port, open_port
from edgeguard.program import ActuatorLimit
from edgeguard.types import Authority

if TYPE_CHECKING:
    from edgeguard.link.link import TransportLink

PERIOD = 0.02
CHUNK = 512
"""Bytes a write while it floods: as many writes as the line takes."""


class Recorded:
    """A port that remembers what was written to it."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self.written: list[bytes] = []

    @property
    def connected(self) -> bool:
        """Whether the line is there."""
        return self._port.connected

    def read(self, now: float) -> bytes:
        """Read the line."""
        return self._port.read(now)

    def write(self, data: bytes, now: float) -> bool:
        """Write to the line, and remember."""
        self.written.append(data)
        return self._port.write(data, now)

    def close(self) -> None:
        """Let go of the line."""
        self._port.close()


def flood(port: Recorded, repeat: bytes = b"") -> NoReturn:
    """Write as much as the line takes, for ever: rubbish full of start bytes, or what was recorded."""
    rng = random.Random(1)
    while True:
        data = repeat or bytes(rng.choice((0xFD, rng.randrange(256))) for _ in range(CHUNK))
        for at in range(0, len(data), CHUNK):
            now = time.monotonic()
            port.read(now)
            port.write(data[at : at + CHUNK], now)


def misbehave(word: str, port: Recorded, link: TransportLink) -> None:
    """Begin to. Only `mismatch` comes back: its frames are well made and in time."""
    if word == "flood":
        flood(port)
    if word == "repeat":
        flood(port, b"".join(port.written[-100:]))
    link._session.policy = bytes(32)  # noqa: SLF001 - no interface of the package lets a host do this


def main(where: str, digest: str, envelope: str) -> None:
    """Connect, be armed, and obey."""
    actuators = tuple(ActuatorLimit(**fields) for fields in json.loads(envelope))
    port = Recorded(open_port(where, 921_600))
    link = link_over(
        port,
        key=TEST_KEY,
        operator_key=TEST_OPERATOR_KEY,
        policy_hash=bytes.fromhex(digest),
        actuators=actuators,
    )
    values = {limit.name: (limit.low + limit.high) / 2 for limit in actuators}
    told = False
    while True:
        now = time.monotonic()
        link.poll(now)
        if not told and link.status.mcu_mode != "enabled":
            link.arm(now)  # an operator who insists: a busy machine may make this host late
        link.send(values, Authority.MODEL, now)
        if not told and link.status.mcu_mode == "enabled":
            told = True
            print("enabled", flush=True)
        if select.select([sys.stdin], [], [], PERIOD)[0]:
            misbehave(os.read(0, 64).decode().strip(), port, link)


if __name__ == "__main__":
    main(*sys.argv[1:])
