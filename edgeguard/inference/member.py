"""The member that answers looks in the host's own process, and what every member is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgeguard.errors import ContractError
from edgeguard.inference.backends import open_backend
from edgeguard.inference.looks import FUSED, PRIMARY, Canonical, Part, Reply
from edgeguard.inference.runner import FILTER, Runner, load_part, role_of
from edgeguard.inference.scoring import Scoring
from edgeguard.inference.session import ModelContract

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.inference.session import Tensor
    from edgeguard.program import ModelRef

HOST = "host"


def parts_for(
    looks: Sequence[str], models: Mapping[str, AdmittedModel], refs: Mapping[str, ModelRef]
) -> dict[str, Part]:
    """The parts that some looks need, by role: their models, and the filter beside a primary.

    Raises:
        ContractError: a look without an admitted model, or a manifest that cannot be run.
    """
    roles = list(dict.fromkeys(map(role_of, looks)))
    if FILTER in models and PRIMARY in roles:
        roles.append(FILTER)
    parts = {}
    for role in roles:
        if role not in models:
            raise ContractError(f"there is no {role} model: the policy's `models` must name one")
        ref = refs.get(role)
        parts[role] = Part(
            role,
            ModelContract.of(models[role]),
            models[role].manifest.input,
            "auto" if ref is None else ref.backend,
            cpu_fallback=ref is not None and ref.cpu_fallback,
        )
    return parts


def scoring_for(parts: Mapping[str, Part], models: Mapping[str, AdmittedModel]) -> Scoring:
    """What checks the answers of a member with these parts.

    Raises:
        ContractError: a classifier whose declarations cannot be scored.
    """
    return Scoring({role: models[role] for role in parts if role != FILTER})


class HostMember:
    """Answers looks inline, in `collect`: in the host's address space, so without isolation."""

    name = HOST
    answering = True

    def __init__(self, parts: Mapping[str, Part], runner: Runner, scoring: Scoring) -> None:
        """Wire what is ready; `load` makes it."""
        self.scoring = scoring
        self._parts = parts
        self._runner = runner
        self._rooms = tuple(kind.blank() for kind in runner.kinds)
        self._number = 0
        self._asked: Sequence[str] = ()

    @classmethod
    def load(
        cls, looks: Sequence[str], models: Mapping[str, AdmittedModel], refs: Mapping[str, ModelRef]
    ) -> HostMember:
        """Open and warm up the sessions that some looks need.

        Raises:
            ContractError: no model for a look, or one that breaks its manifest or does not fit.
            UsageError: an unknown backend.
        """
        parts = parts_for(looks, models, refs)
        scoring = scoring_for(parts, models)
        runner = Runner.load(looks, parts, load_part({role: models[role].model for role in parts}))
        return cls(parts, runner, scoring)

    @property
    def looks(self) -> tuple[str, ...]:
        """What it can be asked for."""
        return self._runner.looks

    @property
    def kinds(self) -> tuple[Canonical, ...]:
        """The canonical pictures it wants."""
        return self._runner.kinds

    def begin(self, number: int) -> Sequence[Tensor]:
        """Rooms for the pictures of frame `number`."""
        self._number = number
        return self._rooms

    def submit(self, looks: Sequence[str]) -> None:
        """Remember what is asked."""
        self._asked = looks

    def collect(self) -> Reply:
        """Run the models and score what they say."""
        asked, self._asked = self._asked, ()
        return self.scoring.reply(self._number, self._runner.run(self._rooms, asked))

    def poll(self) -> Reply | None:
        """As `collect`: what runs here is there when it was asked for."""
        return self.collect() if self._asked else None

    def tend(self, now: float) -> bool:  # noqa: ARG002 - the protocol's
        """Nothing to tend: it lives as long as the host."""
        return True

    def describe(self) -> Mapping[str, str]:
        """By role, the backend that runs its model."""
        return {"runs in": "host", **described(self._parts, self._runner)}

    def close(self) -> None:
        """Free the sessions."""
        self._runner.close()


def described(parts: Mapping[str, Part], runner: Runner) -> dict[str, str]:
    """By role, the bundle and what runs it where, for the log."""
    words = {}
    for role, part in parts.items():
        engine = part.contract.engine
        backend = open_backend(part.backend, cpu_fallback=part.cpu_fallback, engine=engine)
        facts = {**backend.describe(), **runner.where(role)}
        run_by = ", ".join(f"{key} {value}" for key, value in facts.items() if key != "backend")
        words[role] = f"{part.contract.bundle} {part.contract.digest[:12]} on {facts['backend']} ({run_by})"
    return words


def all_looks(models: Mapping[str, AdmittedModel]) -> tuple[str, ...]:
    """Every look that some admitted models allow, the primary's alternates included."""
    if FUSED in models:
        inside = models[FUSED].manifest.parts
        return (FUSED, *(role for role in models if _redundant(role) and role not in inside))
    views = ("primary", "plain", "squeezed") if FILTER in models else ("primary", "squeezed")
    variants = [
        role.removeprefix(PRIMARY) for role in models if role_of(role) == role and role.startswith(PRIMARY)
    ]
    primaries = tuple(f"{view}{variant}" for variant in variants for view in views)
    return (*primaries, *(role for role in models if _redundant(role)))


def _redundant(role: str) -> bool:
    return role not in (FILTER, FUSED) and role.partition(".")[0] != PRIMARY
