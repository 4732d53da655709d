"""Where the demo's policy, keys and bundles lie, and how a rig opens them.

Paths and opening only; the policy decides what is run and the guard admits it.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.link import Link
    from edgeguard.policy.load import LoadedPolicy
    from edgeguard.program import Program

ROOT: Final = Path(__file__).resolve().parent.parent
_COMPARED: Final = re.compile(r"([a-z_]+) [<>]=? ([0-9.]+)\b")
OUT: Final = ROOT / "out" / "demo"


@dataclass(frozen=True, slots=True)
class Profile:
    """One set of models with its policy and the public key that is trusted for the policy."""

    name: str
    policy: Path
    trust: Path


PROFILE: Final = Profile("signs", ROOT / "policies" / "sign_gate.yaml", ROOT / "keys" / "demo.pub")


def open_policy(policy: Path, trust: Path) -> LoadedPolicy:
    """Load a signed policy as a device would. Raises: PolicyError, AdmissionError, UsageError."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    from edgeguard.admission import trust_keys
    from edgeguard.policy.load import load_policy

    return load_policy(policy, trust=trust_keys([trust]))


def open_device(program: Program, port: str) -> Link:
    """Open the line to a microcontroller on `port`. Raises: LinkError."""
    from edgeguard.link import open_link

    return open_link(
        port,
        key=device_key(program),
        operator_key=operator_key(program),
        policy_hash=bytes.fromhex(program.digest),
        actuators=program.envelope,
    )


def device_key(program: Program) -> bytes:
    """Return the key that the policy's link names. Raises: LinkError, UsageError when it names none."""
    from edgeguard.link.keys import load_device_key

    if program.link is None or not program.link.key:
        raise UsageError("the policy's `link` names no device key: the rig needs one")
    return load_device_key(program.link.key)


def operator_key(program: Program) -> bytes:
    """Return the operator's key: the rig is its operator. Raises: LinkError, UsageError when the policy names none."""
    from edgeguard.link.keys import load_device_key

    if program.link is None or not program.link.operator_key:
        raise UsageError(
            "the policy's `link` names no `operator_key`: the rig speaks for the operator and needs it"
        )
    return load_device_key(program.link.operator_key)


def bundle_of(program: Program, role: str) -> Path:
    """Return the folder of a role's bundle. Raises: UsageError when the policy has no such role."""
    for model in program.models:
        if model.role == role:
            return Path(model.path)
    raise UsageError(f"the policy names no `{role}` model")


def shown(path: Path) -> Path:
    """Return a path as a person in the current folder would write it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def thresholds_of(program: Program) -> dict[str, float]:
    """Return the value at which each signal takes authority away: the calibrated one, else the first in a rule."""
    found = dict(program.thresholds)
    for rule in program.table.rules:
        for name, value in _COMPARED.findall(rule.text):
            found.setdefault(name, float(value))
    return found


def facts() -> dict[str, str]:
    """Return what the figures were measured on."""
    import numpy as np
    import onnxruntime

    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
            if line.startswith(("model name", "Model"))
        ),
        platform.machine(),
    )
    return {
        "processor": f"{cpu}, {len(os.sched_getaffinity(0))} usable cores",
        "system": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
        "real hardware": "none: the microcontroller is its own firmware in virtual time and as a process",
    }
