"""From a policy file on disk to a program that may run: admitted, parsed, compiled with its admitted calibration.

The only file of the room that opens files. A program for the guard comes from `load_policy` alone, which accepts
nothing unsigned; `check_policy` and `compile_draft` are for the desk.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.admission.loading import load_trust
from edgeguard.admission.reasons import refusal
from edgeguard.admission.store import admit_file
from edgeguard.admission.trust import Trust
from edgeguard.errors import UsageError
from edgeguard.policy.calibration import Calibration, parse_calibration
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.deployment import admission_terms, security_version
from edgeguard.policy.document import PolicyDocument, parse
from edgeguard.policy.home import Home
from edgeguard.policy.reader import MOST_BYTES
from edgeguard.program import Program

if TYPE_CHECKING:
    from edgeguard.here import Device


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """An admitted program and what it was made of. Digests are hex. Only `load_policy` makes one."""

    program: Program
    document: PolicyDocument
    calibration: Calibration | None
    policy_digest: str
    calibration_digest: str
    """Empty when the policy names no calibration."""
    policy_signer: str
    """Hex SHA-256 of the signer's key."""


@dataclass(frozen=True, slots=True)
class DraftPolicy:
    """A compiled policy that nobody vouches for: a type of its own, so that a guard cannot be opened with it."""

    program: Program
    document: PolicyDocument
    calibration: Calibration | None


def load_policy(
    path: str | Path, *, trust: Trust = Trust(), device: Device | None = None, home: Home = Home()
) -> LoadedPolicy:
    """Admit, parse and compile the policy at `path` and its calibration.

    `trust`: whose signatures count for this device's policy. It comes from outside the policy. The calibration is
    admitted with the signers that the admitted policy names. `device`: what this device remembers and how late it is;
    None: this machine, which remembers nothing. `home`: where the named files lie, if not beside the policy.

    Raises:
        AdmissionError: no trusted key is given, a key is not the pinned one, a file is unsigned, altered or signed by
            somebody else, or the policy is older than one that this device ran.
        PolicyError: with every finding.
        ContractError: the calibration is signed, but is not one.
        UsageError: a file or key cannot be read.
    """
    if not trust:
        message = "no key is trusted to sign a policy; name one with `--trust KEY.pub` or `EDGEGUARD_TRUST`"
        raise refusal("unknown-signer", str(path), message)
    if device is None:
        device = _here()
    admitted = admit_file(path, trust, kind="policy", now=device.now())
    document = parse(admitted.data, file=str(path))
    base = home.base or Path(path).parent
    terms = home.terms(admission_terms(document, base=base))
    device.check_memory(terms, str(path))
    _check_newest(security_version(document.policy), device.at("policy"), "policy", str(path))
    calibration, digest = None, ""
    wanted = calibration_path(document, base=base)
    if wanted is not None:
        file = admit_file(home.at(str(wanted)), load_trust(terms), kind="calibration", now=device.now(terms))
        calibration, digest = parse_calibration(file.data, file=str(wanted)), file.digest
        _check_newest(calibration.security_version, device.at("calibration"), "calibration", str(wanted))
    program = compile_policy(document, base=base, calibration=calibration)
    program = replace(program, admission=terms, models=tuple(map(home.model, program.models)))
    return LoadedPolicy(program, document, calibration, admitted.digest, digest, admitted.signer)


def _here() -> Device:
    from edgeguard.here import Device  # noqa: PLC0415 - a desk has none

    return Device.here()


def _check_newest(version: int, newest: int, what: str, path: str) -> None:
    """Refuse what is older than the newest that this device ran. Raises: AdmissionError, `rollback`."""
    if version < newest:
        raise refusal(
            "rollback",
            path,
            f"its security version is {version}, this device ran {newest} already: install a newer {what}",
        )


def check_policy(path: str | Path) -> PolicyDocument:
    """Parse and check the policy at `path`. Needs no signature and no calibration, and gives nothing that can run.

    Raises:
        PolicyError: with every finding.
        UsageError: the file cannot be read.
    """
    return parse(_read(path, "policy"), file=str(path))


def compile_draft(path: str | Path) -> DraftPolicy:
    """Compile a policy whose signatures were not looked at: for tests, tables and documents, never for a guard.

    Raises:
        PolicyError, ContractError, UsageError: as `load_policy`.
    """
    document = check_policy(path)
    base = Path(path).parent
    wanted = calibration_path(document, base=base)
    calibration = parse_calibration(_read(wanted, "calibration"), file=str(wanted)) if wanted else None
    program = compile_policy(document, base=base, calibration=calibration)
    return DraftPolicy(program, document, calibration)


def calibration_path(document: PolicyDocument, *, base: Path) -> Path | None:
    """Where the policy's calibration lies; None when it names none."""
    name = document.policy.calibration
    return Path(os.path.normpath(base / name)) if name else None


def _read(path: str | Path, what: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise UsageError(f"cannot read the {what} `{path}`: {reason}") from None
