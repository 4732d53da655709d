"""Which policy a device starts with: the offered one, or, where that is refused, the last one that was good.

Every candidate goes through the same admission. A refusal is never silent: it is handed on, for the log and the screen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from edgeguard.admission import Trust
from edgeguard.admission.reasons import refusal, shown
from edgeguard.device.generations import Generation, Generations, Source, mark_of
from edgeguard.errors import (
    AdmissionError,
    ContractError,
    EdgeguardError,
    PolicyError,
    UsageError,
    first_line,
)
from edgeguard.here import Device
from edgeguard.policy.home import Home
from edgeguard.policy.load import LoadedPolicy, load_policy
from edgeguard.wiring import Admitted, admit

_LONGEST = 1000
"""Characters of a refusal in the log and on the screen: a path in it may be foreign, and of any length."""

T = TypeVar("T")
Open = Callable[[Admitted, Sequence[str]], T]
"""Makes something that runs of what was admitted; is told what was refused before, in words."""


@dataclass(frozen=True, slots=True)
class Started(Generic[T]):
    """What runs. `generation`: of the known-good copy that runs instead of the offered policy, else None."""

    running: T
    admitted: Admitted
    generation: Generation | None
    refused: tuple[str, ...]


def start(
    offered: Path, trust: Trust, device: Device, good: Generations | None, open_: Open[T]
) -> Started[T]:
    """Admit and open the offered policy, or else the newest known-good generation that can be.

    Raises:
        EdgeguardError: nothing could be started; the refusal of the offered policy.
    """
    refused: list[str] = []
    first: Exception | None = None
    for generation in _candidates(good):
        try:
            admitted = _admit(offered, trust, device, good, generation)
        except Exception as error:  # noqa: BLE001 - whatever an offer breaks, what was good still runs
            first = first or error
            refused.append(_words(error, generation))
            continue
        try:
            return Started(open_(admitted, tuple(refused)), admitted, generation, tuple(refused))
        except (AdmissionError, ContractError, PolicyError) as error:
            first = first or error
            refused.append(_words(error, generation))
    assert first is not None  # noqa: S101 - the offered policy is always a candidate
    raise first


def remember(
    started: Started[T], offered: Path, trust: Trust, device: Device, good: Generations | None
) -> str:
    """After everything runs: keep the offered whole, and raise the floor. Returns what could not be kept, in words.

    The copy comes first: a floor above the last copy would leave nothing to fall back on.
    """
    trouble = ""
    if started.generation is None and good is not None:
        trouble = _keep(started.admitted, offered, trust, device, good)
    if device.floor is not None:
        models = started.admitted.models
        versions = {role: model.manifest.security_version for role, model in models.items()}
        policy = started.admitted.policy
        own = policy.program.security_version
        versions |= {"policy": own, f"policy.{policy.program.name}": own}
        if policy.calibration is not None:
            versions["calibration"] = policy.calibration.security_version
        times = [model.manifest.earliest or 0.0 for model in models.values()]
        device.floor.raise_to(versions, max(times, default=0.0))
    return trouble


def admit_generation(generation: Generation, good: Generations, trust: Trust, device: Device) -> Admitted:
    """Admit a known-good copy like any offered policy.

    Raises:
        AdmissionError, ContractError, PolicyError, UsageError: as `load_policy` and `admit`.
    """
    base = Path(generation.policy).parent
    kept = {path: str(good.objects / where) for path, where in generation.kept.items()}
    home = Home(base, kept)
    loaded = load_policy(home.at(generation.policy), trust=trust, device=device, home=home)
    _check_own(loaded, device)
    return admit(loaded, device)


def sources(policy: LoadedPolicy, path: Path) -> tuple[Source, ...]:
    """Everything that a policy is made of, its bundles' digests still empty."""
    program = policy.program
    files = [_absolute(path), program.calibration, *(ref.manifest for ref in program.models)]
    for term in program.admission.signers:
        pins = (term.key, term.authority, term.keyless, term.post_quantum)
        files += [pin.path for pin in pins if pin is not None]
    return tuple(Source(file) for file in dict.fromkeys(files) if file)


def _candidates(good: Generations | None) -> Iterator[Generation | None]:
    yield None
    if good is not None:
        yield from good.usable()


def _admit(
    offered: Path, trust: Trust, device: Device, good: Generations | None, generation: Generation | None
) -> Admitted:
    if generation is not None and good is not None:
        return admit_generation(generation, good, trust, device)
    loaded = load_policy(offered, trust=trust, device=device)
    _check_own(loaded, device)
    admitted = admit(loaded, device)
    if good is not None and mark_of(admitted.digests) in good.withdrawn():
        raise UsageError(
            f"`{offered}` was rolled back from on this device: install a newer one, or take the rollback back with "
            "`edgeguard rollback --undo`"
        )
    return admitted


def _check_own(loaded: LoadedPolicy, device: Device) -> None:
    """Refuse the policy of another machine: one that never ran here, where another one did.

    Raises:
        AdmissionError: `wrong-device`.
    """
    name = loaded.program.name
    if device.at("policy") and not device.at(f"policy.{name}"):
        raise refusal(
            "wrong-device",
            loaded.document.file,
            f"this device runs another policy and never ran `{name}`: install the right one, or let it run here with "
            f"`edgeguard floor raise --version policy.{name}=1`",
        )


def _keep(admitted: Admitted, offered: Path, trust: Trust, device: Device, good: Generations) -> str:
    program = admitted.policy.program
    mark = mark_of(admitted.digests)
    try:
        newest = next(iter(good.usable()), None)
        if newest is not None and newest.mark == mark:
            return ""
        bundles = [Source(ref.path, admitted.models[ref.role].digest) for ref in program.models]
        generation = good.add(
            [*sources(admitted.policy, offered), *bundles],
            policy=_absolute(offered),
            name=program.name,
            version=program.version,
            digests=admitted.digests,
        )
        try:
            copied = mark_of(admit_generation(generation, good, trust, device).digests)
        except EdgeguardError:
            good.drop(generation)
            raise
        if copied != mark:
            good.drop(generation)
            return "it changed on the disk while it was copied"
        good.prune()
    except EdgeguardError as error:
        return str(error)
    return ""


def _absolute(path: Path) -> str:
    return os.path.normpath(path.absolute())


def _words(error: Exception, generation: Generation | None) -> str:
    which = "the offered policy" if generation is None else f"generation {generation.number}"
    kind = "" if isinstance(error, EdgeguardError) else "internal: "
    return f"{which}: {kind}{shown(first_line(error), longest=_LONGEST)}"
