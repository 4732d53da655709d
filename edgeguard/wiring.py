"""From a loaded policy to running parts: admits every model it names, holds them to its calibration, builds sessions.

Runs once, before the first frame. Everything that does not fit is refused here, so that the frame path need not ask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.admission import AdmittedModel, admit_models
from edgeguard.admission.bundle import digests_of
from edgeguard.errors import ContractError, UsageError
from edgeguard.here import Device
from edgeguard.inference.looks import FUSED
from edgeguard.inference.member import HostMember, all_looks, parts_for, scoring_for
from edgeguard.inference.perception import Perception
from edgeguard.inference.runner import view_of
from edgeguard.signals.labels import unknown

if TYPE_CHECKING:
    from edgeguard.inference.looks import Member
    from edgeguard.policy.load import LoadedPolicy
    from edgeguard.program import ModelRef, Program, WorkerSpec


@dataclass(frozen=True, slots=True)
class Admitted:
    """A policy with its models, all of them admitted. `digests`: hex, what every verdict carries."""

    policy: LoadedPolicy
    models: Mapping[str, AdmittedModel]
    digests: Mapping[str, str]


def check_calibration(policy: LoadedPolicy, models: Mapping[str, AdmittedModel]) -> None:
    """Refuse thresholds that were measured on other models than the admitted ones.

    Raises:
        ContractError: a model's digest is not the calibration's.

    """
    if policy.calibration is None:
        return
    name = Path(policy.program.calibration).name
    for role, digest in digests_of(models).items():
        measured = policy.calibration.models.get(role)
        if measured != digest:
            was = "no such model" if measured is None else f"`{measured[:12]}…`"
            raise ContractError(
                f"{name}: thresholds were measured with {was} as {role}, the admitted one is `{digest[:12]}…`: "
                "run `edgeguard calibrate` again and sign the result"
            )


def check_twins(models: Mapping[str, AdmittedModel]) -> None:
    """Refuse a bundle that is there twice: a model that is compared with itself always agrees.

    Raises:
        ContractError: names both places.

    """
    first: dict[str, str] = {}
    for role, model in models.items():
        other = first.setdefault(model.digest, role)
        if other != role:
            raise ContractError(
                f"`{other}` and `{role}` are the same bundle `{model.manifest.name}`: put the right ones there"
            )


def check_labels(program: Program, models: Mapping[str, AdmittedModel]) -> None:
    """Refuse labels that the admitted primary model does not know.

    Raises:
        ContractError: a label is no class of it, or of several.

    """
    if "primary" not in models:
        return
    wrong = unknown(program.signals, models["primary"].manifest.classes)
    if wrong:
        raise ContractError(
            f"`{models['primary'].manifest.name}` has no single class for the label `{wrong[0]}` of the policy: "
            "`edgeguard verify` shows the classes of a bundle"
        )


def check_fused(models: Mapping[str, AdmittedModel]) -> None:
    """Refuse a fused graph that was not made from the admitted models, and of all of them.

    Raises:
        ContractError: names the role that differs.

    """
    if FUSED not in models:
        return
    parts = models[FUSED].manifest.parts
    for role, digest in parts.items():
        if role not in models or models[role].digest != digest:
            raise ContractError(
                f"`{models[FUSED].manifest.name}` was fused from another `{role}` than the policy's: "
                "run `edgeguard build fuse` again"
            )
    if "primary" not in parts or ("filter" in models and "filter" not in parts):
        raise ContractError(
            f"`{models[FUSED].manifest.name}` lacks the policy's primary or filter: run `edgeguard build fuse` again"
        )


def build_members(models: Mapping[str, AdmittedModel], program: Program) -> tuple[Member, ...]:
    """Who answers which looks: a process for each worker of the policy, and the host for what is left.

    Raises:
        ContractError: a model that cannot be run, or a worker that does not start at the level the policy requires.
        UsageError: an unknown backend.

    """
    refs = {ref.role: ref for ref in program.models}
    left = list(all_looks(models))
    with ExitStack() as started:
        members: list[Member] = []
        for spec in program.workers:
            looks = tuple(look for look in left if view_of(look) in spec.looks)
            _check_runs(spec, looks)
            left = [look for look in left if look not in looks]
            members.append(_start(spec, looks, models, refs))
            started.callback(members[-1].close)
        if left:
            members.insert(0, HostMember.load(left, models, refs))
        started.pop_all()
    return tuple(members)


def _check_runs(spec: WorkerSpec, looks: tuple[str, ...]) -> None:
    """Refuse a worker that would not run all that the policy gives it: the host, or a fused graph, would instead.

    Raises:
        ContractError: names the worker and the look.

    """
    found = {view_of(look) for look in looks}
    lacking = [look for look in spec.looks if look not in found]
    if lacking or not looks:
        what = (
            f"is to run `{lacking[0]}`, which no model of its own answers"
            if lacking
            else "has nothing to run"
        )
        raise ContractError(
            f"the worker `{spec.name}` {what}: name in its `runs` models that are in no fused graph, or `fused`"
        )


def _start(
    spec: WorkerSpec,
    looks: tuple[str, ...],
    models: Mapping[str, AdmittedModel],
    refs: Mapping[str, ModelRef],
) -> Member:
    from edgeguard.isolation import start_worker  # noqa: PLC0415 - a guard without workers needs no process

    parts = parts_for(looks, models, refs)
    return start_worker(replace(spec, looks=looks), parts, models, scoring_for(parts, models))


def perceive(
    members: tuple[Member, ...],
    models: Mapping[str, AdmittedModel],
    program: Program,
    clock: Callable[[], float],
) -> Perception:
    """The perception of a program over members that were started; it owns them from then on.

    Raises:
        ContractError: models that do not fit one another, or a signal that nobody answers.

    """
    background = [entry.name for entry in program.schedule if entry.background]
    return Perception(
        members, models, clock, specs=program.signals, background=background, switch=program.switch
    )


def admit(policy: LoadedPolicy, device: Device | None = None) -> Admitted:
    """Admit every model of a policy, and hold them to one another, to the policy and to its calibration.

    `device` None: this machine, which remembers nothing.

    Raises:
        UsageError: the policy is a draft, whose signatures nobody looked at; or a key cannot be read.
        AdmissionError: a bundle is unsigned, altered, too old, or not what the policy asks for.
        ContractError: the models do not fit one another, the policy or its calibration.

    """
    # by what it is, not by its type: importing that weighs pydantic
    if not getattr(policy, "policy_signer", ""):
        raise UsageError(
            "a guard runs only a policy from `load_policy`: a draft's signatures were not verified"
        )
    here = Device.here() if device is None else device
    terms = policy.program.admission
    here.check_memory(terms, policy.document.file)  # the policy may have been loaded with another device
    models = admit_models(
        policy.program.models,
        terms,
        now=here.now(terms),
        floor=here.floor,
        secrets=here.secrets(terms),
        platform=here.platform,
    )
    check_calibration(policy, models)
    check_twins(models)
    check_labels(policy.program, models)
    check_fused(models)
    digests = digests_of(models)
    digests["policy"] = policy.program.digest
    if policy.calibration_digest:
        digests["calibration"] = policy.calibration_digest
    return Admitted(policy, models, digests)


def build_perception(admitted: Admitted, clock: Callable[[], float]) -> Perception:
    """Build and warm up all models of an admitted policy.

    Raises:
        ContractError, UsageError: as `Guard.open`.

    """
    program = admitted.policy.program
    members = build_members(admitted.models, program)
    try:
        perception = perceive(members, admitted.models, program, clock)
        perception.warm_up()
    except BaseException:
        for member in members:  # processes that were already started
            member.close()
        raise
    return perception
