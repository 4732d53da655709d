"""What the cheaper settings cost in clean accuracy: whole guards, a picture at a time, on pictures kept for it.

Also agreement with the fp32 guard, which needs no labels. Judges nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.guards import guarded
from bench.variants import GATED, INLINE, INT8_PRIMARY, settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.profiles import Profile

SURE = 0.5
"""Certainty of the fp32 guard from which on a policy may let it act: below it, its label means little."""


def fidelity(profile: Profile, folder: Path) -> dict[str, Any]:
    """By setting: share of right labels and of labels as fp32 gives them; of all pictures, and where fp32 is sure."""
    known = settings(profile)
    chosen = [name for name in (INLINE, INT8_PRIMARY, GATED) if name in known]
    labels, sure, truth = {}, np.zeros(0, bool), np.asarray(profile.labels)
    for i, name in enumerate(chosen):
        with guarded(known[name], profile.frames, folder / f"fidelity-{i}.log") as guard:
            wholes = [guard.show(image).answer for image in profile.wholes]
            answers = [guard.show(image).answer for image in profile.held_out]
        labels[name] = np.array([-1 if answer is None else answer.label for answer in answers])
        if name == INLINE:
            sure = np.array([answer is not None and answer.certainty >= SURE for answer in answers])
            if wholes:
                truth = np.array([-1 if answer is None else answer.label for answer in wholes])[truth]
    return {
        "pictures": len(truth),
        "sure": int(sure.sum()),
        "labelled": not profile.wholes,
        "settings": {
            name: {
                "right": float((said == truth).mean()),
                "right where sure": _share((said == truth)[sure]),
                "as fp32": float((said == labels[INLINE]).mean()),
                "as fp32 where sure": _share((said == labels[INLINE])[sure]),
            }
            for name, said in labels.items()
        },
    }


def _share(hits: NDArray[np.bool_]) -> float | None:
    """None: there was nothing to hit."""
    return float(hits.mean()) if hits.size else None
