"""Which statements of a bundle still hold of a model that was made from it.

What was measured on the parent was not measured on the child, and is dropped. What bounds the parent bounds the child.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edgeguard.admission.claims import DifferentialPrivacy, Training
from edgeguard.admission.manifest import Manifest
from edgeguard.errors import UsageError


def inherited(parent: Manifest, platform: str = "") -> Manifest:
    """The parent's manifest with what holds of a model made from it alone; `platform`: the one that it is made for.

    Dates, target, training and watermark stay: it holds the same weights. Its assessment, its calibration and its
    encryption were of other bytes.

    Raises:
        UsageError: the parent is not for that platform.
    """
    if platform and parent.target and platform not in parent.target:
        raise UsageError(
            f"`{parent.name}` is for {', '.join(parent.target)}, not for `{platform}`: build it there, or add the "
            "platform to its `target`"
        )
    return dataclasses.replace(
        parent,
        assessment=None,
        calibration=None,
        encryption=None,
        target=(platform,) if platform and parent.target else parent.target,
    )


def common(parts: Sequence[Manifest]) -> Manifest:
    """The first one's manifest with what holds of all parts, for one graph of them.

    Raises:
        UsageError: there is no time at which, or no platform on which, all of them may run.
    """
    starts = [part.not_before for part in parts if part.not_before is not None]
    ends = [part.not_after for part in parts if part.not_after is not None]
    targets = [part.target for part in parts if part.target]
    target = tuple(name for name in targets[0] if all(name in other for other in targets)) if targets else ()
    # The one form of a time sorts as the times do.
    start, end = max(starts, default=None), min(ends, default=None)
    names = ", ".join(f"`{part.name}`" for part in parts)
    if targets and not target:
        raise UsageError(f"{names} have no platform in common: compare their `target`")
    if start is not None and end is not None and start >= end:
        raise UsageError(f"{names} are never valid at the same time: compare `not_before` and `not_after`")
    return dataclasses.replace(
        inherited(parts[0]),
        not_before=start,
        not_after=end,
        target=target,
        training=_weakest([part.training for part in parts]),
    )


def _weakest(claims: Sequence[Training | None]) -> Training | None:
    """What is claimed of the training of every part."""
    trainings = [claim for claim in claims if claim is not None]
    if len(trainings) != len(claims):
        return None
    budgets = [claim.differential_privacy for claim in trainings]
    private = [budget for budget in budgets if budget is not None]
    return Training(
        adversarial=all(claim.adversarial for claim in trainings),
        data_filtering=all(claim.data_filtering for claim in trainings),
        ensemble=all(claim.ensemble for claim in trainings),
        differential_privacy=DifferentialPrivacy(
            max(budget.epsilon for budget in private), max(budget.delta for budget in private)
        )
        if len(private) == len(claims)
        else None,
    )
