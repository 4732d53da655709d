"""The vectors of session.json: a microcontroller, a host and an operator, each in time."""

from __future__ import annotations

from typing import Any

import host_end
import line
import mcu
import mcu_authority  # noqa: F401 - registers its sequences
import mcu_frames  # noqa: F401 - registers its sequences
import mcu_grants  # noqa: F401 - registers its sequences
import mcu_reports  # noqa: F401 - registers its sequences
import operator_end
from ends import HOST_NONCES


def document() -> dict[str, Any]:
    """Everything in session.json."""
    return {
        "format": "edgeguard-link-session-1",
        "protocol": line.PROTOCOL,
        "keys": {"host": line.HOST_KEY.hex(), "operator": line.OPERATOR_KEY.hex()},
        "table": mcu.TABLE,
        "host_nonces": [nonce.hex() for nonce in HOST_NONCES],
        "microcontroller": [make() for make in mcu.SEQUENCES],
        "host": host_end.vectors(),
        "operator": operator_end.vectors(),
    }
