"""From a loaded policy to running parts: admits every model it names, holds them to its calibration, builds sessions.

Runs once, before the first frame. Everything that does not fit is refused here, so that the frame path need not ask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.admission import AdmittedModel, admit_bundle, load_pinned_keys
from edgeguard.errors import ContractError, UsageError
from edgeguard.inference.perception import Perception
from edgeguard.signals.labels import unknown

if TYPE_CHECKING:
    from edgeguard.policy.load import LoadedPolicy
    from edgeguard.program import Program


def admit_models(program: Program) -> dict[str, AdmittedModel]:
    """Admit the bundle of every role the policy names.

    Raises:
        AdmissionError: a bundle is unsigned, altered, too old or from an unknown signer.

    """
    signers = load_pinned_keys(program.signers)
    return {
        ref.role: admit_bundle(ref.path, signers, security_version=program.security_version)
        for ref in program.models
    }


def check_calibration(policy: LoadedPolicy, models: Mapping[str, AdmittedModel]) -> None:
    """Refuse thresholds that were measured on other models than the admitted ones.

    Raises:
        ContractError: a model's digest is not the calibration's.

    """
    if policy.calibration is None:
        return
    name = Path(policy.program.calibration).name
    for role, model in models.items():
        measured = policy.calibration.models.get(role)
        if measured != model.digest:
            was = "no such model" if measured is None else f"`{measured[:12]}…`"
            raise ContractError(
                f"{name}: thresholds were measured with {was} as {role}, the admitted one is `{model.digest[:12]}…`: "
                "run `edgeguard calibrate` again and sign the result"
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


def build_perception(
    policy: LoadedPolicy, clock: Callable[[], float]
) -> tuple[Perception, Mapping[str, str]]:
    """Admit, check, build and warm up all models of a policy; return them with the digests a verdict carries.

    Raises:
        UsageError: the policy is a draft, whose signatures nobody looked at.
        AdmissionError, ContractError: as `Guard.open`.

    """
    # by what it is, not by its type: importing that weighs pydantic
    if not getattr(policy, "policy_signer", ""):
        raise UsageError(
            "a guard runs only a policy from `load_policy`: a draft's signatures were not verified"
        )
    models = admit_models(policy.program)
    check_calibration(policy, models)
    check_labels(policy.program, models)
    perception = Perception.build(models, policy.program.models, clock)
    try:
        perception.warm_up()
    except BaseException:
        perception.close()  # processes that were already started
        raise
    digests = {role: model.digest for role, model in models.items()}
    digests["policy"] = policy.program.digest
    if policy.calibration_digest:
        digests["calibration"] = policy.calibration_digest
    return perception, digests
