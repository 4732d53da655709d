"""Who may offer what: the roles of a repository, the paths each may name, and where a target goes on a device.

Names only: no key, no file, no clock.
"""

from __future__ import annotations

import re

from edgeguard.errors import UsageError

TOP = ("root", "targets", "snapshot", "timestamp")
OFFERING = ("models", "policies")
"""The roles whose targets every device is offered."""
_DEVICE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_PREFIX = "device-"
_DEEPEST = 9
"""Folders in folders below `models/NAME`, and the file: as deep as admission follows a bundle."""


def device_role(device: str) -> str:
    """The role that offers to one device only.

    Raises:
        UsageError: no device can have this name.
    """
    if not _DEVICE.fullmatch(device):
        raise UsageError(
            f"`{device}` cannot name a device: use up to 63 lower-case letters, digits and `-`, such as `cell-7`"
        )
    return f"{_PREFIX}{device}"


def device_of(role: str) -> str:
    """The device that a role is for; empty: every one."""
    return role.removeprefix(_PREFIX) if role.startswith(_PREFIX) else ""


def check_role(role: str) -> None:
    """Raises: UsageError, there is no such role."""
    if role in TOP or role in OFFERING:
        return
    if not device_of(role):
        raise UsageError(
            f"there is no role `{role}`: name one of {', '.join((*TOP, *OFFERING))}, or `device-ID`"
        )
    device_role(device_of(role))


def prefix_of(role: str) -> str:
    """What every path of an offering role begins with."""
    device = device_of(role)
    return f"devices/{device}/" if device else ""


def patterns_of(role: str) -> list[str]:
    """The path patterns that are delegated to an offering role; `*` stands for one component or a part of it."""
    models = ["models/*" + "/*" * depth for depth in range(1, _DEEPEST + 1)]
    singles = ["policies/*", "keys/*"]
    kinds = {"models": models, "policies": singles}.get(role, models + singles)
    return [f"{prefix_of(role)}{pattern}" for pattern in kinds]


def role_of(name: str, device: str = "") -> str:
    """The role that offers `name` (`models/...`, `policies/...`, `keys/...`) to a device, or to all."""
    if device:
        return device_role(device)
    return "models" if name.startswith("models/") else "policies"


def unit_of(name: str) -> str:
    """What is replaced and removed as one: a bundle, or a single file together with its signatures."""
    if name.startswith("models/"):
        return "/".join(name.split("/")[:2])
    return re.sub(r"\.sig(\.ml-dsa-65)?$", "", name)
