"""A host that commands the microcontroller at 50 Hz until it is killed or stopped: arguments PORT and policy digest.

Prints `enabled` when it first has authority. Not a test: `test_process.py` starts it as a process of its own.
"""

from __future__ import annotations

import math
import sys
import time

from edgeguard.link import open_link
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.program import ActuatorLimit
from edgeguard.types import Authority

ENVELOPE = (
    ActuatorLimit("brake", 0.0, 1.0, 4.0, 4.0, 1.0),
    ActuatorLimit("throttle", 0.0, 0.6, 1.0, math.inf, 0.0),
)


def main(port: str, digest: str) -> None:
    link = open_link(
        port,
        key=TEST_KEY,
        operator_key=TEST_OPERATOR_KEY,
        policy_hash=bytes.fromhex(digest),
        actuators=ENVELOPE,
    )
    told = False
    while True:
        now = time.monotonic()
        link.poll(now)
        if link.status.mcu_mode != "enabled":
            link.arm(now)  # an operator who insists: a busy machine may make this host late
        link.send({"brake": 0.2, "throttle": 0.3}, Authority.MODEL, now)
        if not told and link.status.mcu_mode == "enabled":
            told = True
            print("enabled", flush=True)
        time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
