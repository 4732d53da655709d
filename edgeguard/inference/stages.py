"""The stages of perception: a model with its preprocessing, its scores turned into checked probabilities or a picture.

A stage catches its model's failures: it answers None. Building checks that the models fit one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgeguard.errors import ContractError
from edgeguard.inference.backends import open_backend
from edgeguard.inference.preprocess import Normaliser, Resizer, geometry
from edgeguard.inference.session import InferenceError, ModelContract
from edgeguard.inference.worker import WorkerSession
from edgeguard.program import ModelRef
from edgeguard.signals.doubt import probabilities

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.inference.preprocess import Picture
    from edgeguard.inference.session import Outputs, Session, Tensor

COLDEST = 0.01
"""Smallest temperature that a manifest may ask for: below it, float32 overflows."""


class Stage:
    """A session with its preprocessing."""

    def __init__(self, model: AdmittedModel, session: Session, described: Mapping[str, str]) -> None:
        spec, bundle = model.manifest.input, model.manifest.name
        self.contract: ModelContract = session.contract
        self.size: tuple[int, int] = geometry(spec, bundle)
        self.worker: WorkerSession | None = session if isinstance(session, WorkerSession) else None
        self.session = session
        self._described = described
        self._method = spec.resize
        self._resizer = Resizer(*self.size, spec.resize)
        self._normalise = Normaliser(spec, bundle)

    def close(self) -> None:
        """Close the session."""
        self.session.close()

    def describe(self) -> dict[str, str]:
        """Bundle, digest, backend and where it runs."""
        where = "host" if self.worker is None else f"process {self.worker.pid}"
        return {
            "bundle": self.contract.bundle,
            "digest": self.contract.digest,
            "runs in": where,
            **self._described,
        }

    def resize(self, image: Picture, out: Tensor) -> None:
        """Write the canonical picture of a frame to `out` ((3, height, width))."""
        self._resizer(image, out)

    def blank(self) -> Tensor:
        """Room for one canonical picture of this model."""
        return np.zeros((3, *self.size), np.float32)

    def same_picture(self, other: Stage) -> bool:
        """Whether both models look at the same canonical picture."""
        return self.size == other.size and self._method == other._method

    def _run(self, pictures: Tensor) -> Outputs | None:
        try:
            return self.session.run(self._normalise(pictures))
        except InferenceError:
            return None


class Classifier(Stage):
    """A model that gives logits or probabilities, and perhaps a novelty, for pictures."""

    def __init__(self, model: AdmittedModel, session: Session, described: Mapping[str, str]) -> None:
        """Take a session of a primary or redundant model.

        Raises:
            ContractError: it has no score for each class, or a temperature that cannot be used.
        """
        super().__init__(model, session, described)
        manifest = model.manifest
        self.classes: tuple[str, ...] = tuple(manifest.classes)
        meanings = {o.meaning: o for o in self.contract.outputs}
        self._meaning = "logits" if "logits" in meanings else "probabilities"
        score = meanings.get(self._meaning)
        if score is None or score.shape[1:] != (len(self.classes),) or not self.classes:
            raise ContractError(
                f"bundle `{manifest.name}`: a {manifest.role} model needs an output of meaning `logits` or "
                f"`probabilities` with one score for each of its {len(self.classes)} classes"
            )
        if not manifest.temperature >= COLDEST:
            raise ContractError(f"bundle `{manifest.name}`: `temperature` must be at least {COLDEST}")
        self.novelty = "novelty" in meanings
        if self.novelty and meanings["novelty"].shape[1:] not in ((), (1,)):
            raise ContractError(f"bundle `{manifest.name}`: `novelty` must be one number a picture")
        self._temperature = manifest.temperature
        self._pending: Tensor | None = None

    def classify(self, pictures: Tensor) -> tuple[Tensor, Tensor | None] | None:
        """(probabilities (rows, classes), novelty (rows,) or None) of canonical pictures; None: no usable answer."""
        if self.contract.batched or len(pictures) == 1:
            return self._usable(self._run(pictures), len(pictures))
        answers = [self.classify(pictures[i : i + 1]) for i in range(len(pictures))]
        whole = [answer for answer in answers if answer is not None]
        if len(whole) < len(answers):
            return None
        rows = np.concatenate([row for row, _ in whole])
        novelty = [n for _, n in whole if n is not None]
        return rows, (np.concatenate(novelty) if novelty else None)

    def submit(self, picture: Tensor) -> None:
        """Ask about one canonical picture; a model in a process of its own starts on it at once."""
        self._pending = picture
        if self.worker is not None:
            self.worker.submit(self._normalise(picture))

    def collect(self) -> tuple[Tensor, Tensor | None] | None:
        """The answer to what was submitted; None: no usable answer, or not in time."""
        picture, self._pending = self._pending, None
        if picture is None:
            return None
        if self.worker is None:
            return self.classify(picture)
        try:
            return self._usable(self.worker.collect(), len(picture))
        except InferenceError:
            return None

    def _usable(self, outputs: Outputs | None, rows: int) -> tuple[Tensor, Tensor | None] | None:
        """Scores as probabilities, once everything the model said is a sane number."""
        if outputs is None:
            return None
        logits = self._meaning == "logits"
        scores = probabilities(outputs[self._meaning], self._temperature, logits=logits)
        if scores is None:
            return None
        if not self.novelty:
            return scores, None
        novelty = outputs["novelty"].reshape(rows)
        if not np.isfinite(novelty).all():
            return None
        return scores, novelty


class Filter(Stage):
    """A model that reconstructs a picture."""

    def __init__(self, model: AdmittedModel, session: Session, described: Mapping[str, str]) -> None:
        """Take a session of a filter.

        Raises:
            ContractError: it does not give a picture of its input's shape.
        """
        super().__init__(model, session, described)
        shapes = {o.meaning: o.shape for o in self.contract.outputs}
        if shapes.get("image", ())[1:] != self.contract.input_shape[1:]:
            raise ContractError(
                f"bundle `{model.manifest.name}`: a filter needs an output of meaning `image` with its input's shape "
                f"{list(self.contract.input_shape)}"
            )

    def apply(self, picture: Tensor, out: Tensor) -> bool:
        """Write the reconstruction of a canonical picture to `out`, clipped to [0, 1]; False: there is none."""
        outputs = self._run(picture[np.newaxis])
        if outputs is None:
            return False
        image = self._normalise.canonical(outputs["image"])[0]
        low, high = image.min(), image.max()  # NaN spreads to both
        if low >= 0.0 and high <= 1.0:
            np.copyto(out, image)
        else:
            np.clip(image, 0.0, 1.0, out=out)
        return bool(low == low and high == high)  # noqa: PLR0124 - false for NaN only, and cheaper than a call


class Stages(NamedTuple):
    """Built stages that fit one another."""

    primary: Classifier
    filter: Filter | None
    redundant: Classifier | None


def build_stages(models: Mapping[str, AdmittedModel], refs: Sequence[ModelRef], deadline: float) -> Stages:
    """Load every model where its reference says.

    Raises:
        ContractError: no primary, an unknown role, or models that do not fit one another.
        UsageError: an unknown backend.
    """
    if "primary" not in models:
        raise ContractError("there is no primary model: the policy's `models` must name one")
    places = {ref.role: ref for ref in refs}
    built: dict[str, Stage] = {}
    try:
        for role, model in models.items():
            built[role] = _build(role, model, places.get(role), deadline)
        return _fitting(built)
    except BaseException:
        for stage in built.values():
            stage.close()  # processes that were already started
        raise


def _build(role: str, model: AdmittedModel, ref: ModelRef | None, deadline: float) -> Stage:
    kind = {"primary": Classifier, "redundant": Classifier, "filter": Filter}.get(role)
    if kind is None:
        raise ContractError(f"unknown model role `{role}`; use primary, redundant or filter")
    backend = open_backend("auto" if ref is None else ref.backend)
    session: Session
    if ref is not None and ref.worker:
        session = WorkerSession.start(
            ModelContract.of(model), model.model, backend.name, name=ref.worker, deadline=deadline
        )
    else:
        session = backend.load(model)
    try:
        return kind(model, session, backend.describe())
    except BaseException:
        session.close()
        raise


def _fitting(built: Mapping[str, Stage]) -> Stages:
    """Hold the stages against one another.

    Raises:
        ContractError: another size or other classes than the primary's.
    """
    primary, filter_, redundant = built["primary"], built.get("filter"), built.get("redundant")
    assert isinstance(primary, Classifier)  # noqa: S101  # by the table in `_build`
    if filter_ is not None and filter_.size != primary.size:
        raise ContractError(
            f"bundle `{filter_.contract.bundle}` makes pictures of {_by(filter_.size)}, but the primary "
            f"`{primary.contract.bundle}` takes {_by(primary.size)}: train the filter at the primary's size"
        )
    if isinstance(redundant, Classifier) and redundant.classes != primary.classes:
        raise ContractError(
            f"bundle `{redundant.contract.bundle}` has other classes, or another order, than the primary "
            f"`{primary.contract.bundle}`: both must list the same `classes`"
        )
    return Stages(
        primary,
        filter_ if isinstance(filter_, Filter) else None,
        redundant if isinstance(redundant, Classifier) else None,
    )


def _by(size: tuple[int, int]) -> str:
    """A size as people write it: width x height."""
    return f"{size[1]} x {size[0]} pixels"
