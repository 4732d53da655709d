"""One `Perception` for each primary that may act: the first, and every alternate in its place. Opens no file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from edgeguard.inference.perception import Perception

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.program import ModelRef, SignalSpec

FIRST, FUSED = "primary", "fused"


@contextmanager
def primaries(
    models: Mapping[str, AdmittedModel],
    refs: Sequence[ModelRef],
    clock: Callable[[], float],
    *,
    specs: Sequence[SignalSpec] | None = None,
    fused: bool = True,
) -> Iterator[dict[str, Perception]]:
    """Perceptions by the role of their primary, in the host's own process, each on the backend of its reference.

    No schedule and no switch: each answers every signal of `specs` on every frame. `fused`: whether the first primary
    is asked through the policy's fused graph, where it has one; the separate models answer more looks.

    Raises:
        ContractError: no primary, a graph that breaks its manifest, or models that do not fit one another.
        UsageError: an unknown backend.
    """
    others = {role: model for role, model in models.items() if not is_primary(role) and role != FUSED}
    with ExitStack() as open_:
        built = {}
        for role in (FIRST, *(r for r in models if is_primary(r) and r != FIRST)):
            parts = {FIRST: models[role], **others} if role in models else others
            if fused and role == FIRST and FUSED in models:
                parts |= {FUSED: models[FUSED]}
            where = [
                replace(ref, role=FIRST) if ref.role == role else ref
                for ref in refs
                if ref.role == role or not is_primary(ref.role)
            ]
            built[role] = Perception.build(parts, where, clock, specs=specs)
            open_.callback(built[role].close)
        yield built


def is_primary(role: str) -> bool:
    """Whether it is the role of the primary or of one of its alternates, `primary.1` and so on."""
    return role.partition(".")[0] == FIRST
