"""The line to the safety microcontroller: framing, authentication, sessions, transports.

Only this room opens ports. It carries requests and reports; what a request may do is the microcontroller's to decide.
"""

from __future__ import annotations

from edgeguard.link.keys import Provisioned, load_device_key, new_device_key, provision
from edgeguard.link.link import Link, TransportLink, link_over, open_link
from edgeguard.link.operator import OperatorSession, OperatorStatus
from edgeguard.link.ping import PingReport, Sample, monitor, ping
from edgeguard.link.status import LinkState, LinkStatus
from edgeguard.link.transport import Transport

__all__ = [
    "Link",
    "LinkState",
    "LinkStatus",
    "OperatorSession",
    "OperatorStatus",
    "PingReport",
    "Provisioned",
    "Sample",
    "Transport",
    "TransportLink",
    "link_over",
    "load_device_key",
    "monitor",
    "new_device_key",
    "open_link",
    "ping",
    "provision",
]
