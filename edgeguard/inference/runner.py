"""Runs the looks of one member: canonical pictures in, raw outputs by model out. The same code in host and worker.

A model that fails has no raw output; nothing here is checked for sanity, that is the host's business (`scoring`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.errors import ContractError
from edgeguard.filter.squeeze import Squeezer
from edgeguard.inference.backends import open_backend
from edgeguard.inference.looks import OF_PRIMARY, PRIMARY, SQUEEZED, Canonical, Part
from edgeguard.inference.preprocess import Normaliser, geometry
from edgeguard.inference.scoring import Raw, stacked
from edgeguard.inference.session import InferenceError

if TYPE_CHECKING:
    from edgeguard.inference.session import Outputs, Session, Tensor

FILTER = "filter"

Load = Callable[[Part], "Session"]
"""Makes the session of one part."""


class Runner:
    """Owns the sessions of one member. Not for use by two threads at once."""

    def __init__(
        self, looks: Sequence[str], parts: Mapping[str, Part], sessions: Mapping[str, Session]
    ) -> None:
        """`looks`: what it can be asked; `parts`, `sessions`: of every role that these looks and the filter need.

        Raises:
            ContractError: a look without its model, or a filter that does not fit the primary.
        """
        self.looks = tuple(looks)
        self._sessions = sessions
        self._nets: dict[str, _Net | _Views] = {}
        self._at: dict[str, int] = {}
        self._plans: dict[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]] = {}
        kinds: list[Canonical] = []
        for role in dict.fromkeys(map(role_of, looks)):
            if role not in parts:
                raise ContractError(
                    f"there is no model for the look `{role}`: the policy's `models` must name it"
                )
            kind = canonical(parts[role])
            if kind not in kinds:
                kinds.append(kind)
            self._at[role] = kinds.index(kind)
            own = tuple(look for look in looks if role_of(look) == role)
            net = _Net(parts[role], sessions[role], len(own))
            self._nets[role] = net
            if view_of(own[0]) in OF_PRIMARY:
                self._nets[role] = _Views(net, own, _filter(parts, sessions, kind))
        self.kinds = tuple(kinds)

    @classmethod
    def load(cls, looks: Sequence[str], parts: Mapping[str, Part], load: Load) -> Runner:
        """Open the session of every part with `load`, then as the constructor. Closes them when one cannot be had."""
        with ExitStack() as opened:
            sessions = {}
            for role, part in parts.items():
                sessions[role] = load(part)
                opened.callback(sessions[role].close)
            runner = cls(looks, parts, sessions)
            opened.pop_all()
        return runner

    def run(self, pictures: Sequence[Tensor], looks: Sequence[str]) -> dict[str, Raw]:
        """Raw outputs by role for `looks` at canonical `pictures`, one of each of `kinds`. Never raises."""
        looks = tuple(looks)
        plan = self._plans.get(looks)
        if plan is None:
            plan = self._plans[looks] = self._plan(looks)
        found: dict[str, Raw] = {}
        for role, own in plan:
            raw = self._nets[role].answer(pictures[self._at[role]], own)
            if raw is not None:
                found[role] = raw
        return found

    def _plan(self, looks: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The roles to run for some looks, each with its own."""
        own = {role: tuple(look for look in looks if role_of(look) == role) for role in self._nets}
        return tuple((role, asked) for role, asked in own.items() if asked)

    def where(self, role: str) -> Mapping[str, str]:
        """What of a role's model runs where."""
        return self._sessions[role].describe()

    def close(self) -> None:
        """Free the sessions. May be called twice."""
        for session in self._sessions.values():
            session.close()


def look_of(view: str, variant: int) -> str:
    """The look at `view` by the primary's alternate of that number; 0 is the primary itself."""
    return f"{view}.{variant}" if variant else view


@cache
def view_of(look: str) -> str:
    """`plain.2` is the view `plain`."""
    return look.partition(".")[0]


@cache
def role_of(look: str) -> str:
    """The role of the model that answers a look: `plain.2` is answered by `primary.2`."""
    view, dot, variant = look.partition(".")
    return f"{PRIMARY}{dot}{variant}" if view in OF_PRIMARY else look


def canonical(part: Part) -> Canonical:
    """The canonical picture that a part looks at.

    Raises:
        ContractError: its geometry is not one this version knows.
    """
    height, width = geometry(part.input, part.contract.bundle)
    return Canonical(height, width, part.input.resize)


def load_part(models: Mapping[str, bytes]) -> Load:
    """Makes sessions from the models' bytes, by role."""

    def load(part: Part) -> Session:
        engine = part.contract.engine
        backend = open_backend(part.backend, cpu_fallback=part.cpu_fallback, engine=engine)
        return backend.load_bytes(part.contract, models[part.role])

    return load


def _filter(parts: Mapping[str, Part], sessions: Mapping[str, Session], kind: Canonical) -> _Filter | None:
    if FILTER not in parts:
        return None
    part = parts[FILTER]
    if canonical(part)[:2] != kind[:2]:
        size = canonical(part)
        raise ContractError(
            f"bundle `{part.contract.bundle}` makes pictures of {size.width} x {size.height} pixels, but the primary "
            f"takes {kind.width} x {kind.height}: train the filter at the primary's size"
        )
    return _Filter(part, sessions[FILTER])


class _Net:
    """A session with the memory of its input: `rows` pictures in the model's layout."""

    def __init__(self, part: Part, session: Session, rows: int) -> None:
        self.kind = canonical(part)
        self._session = session
        self._normalise = Normaliser(part.input, part.contract.bundle)
        self._batched = part.contract.batched
        self._batch = np.zeros(part.contract.input_of(rows), np.float32)

    def put(self, row: int, picture: Tensor) -> None:
        """Take a canonical picture as row `row` of the batch."""
        self._normalise(picture, self._batch[row])

    def run(self, first: int, last: int) -> Outputs | None:
        """Answers for some rows of the batch; None: the model failed."""
        try:
            if self._batched or last - first == 1:
                return self._session.run(self._batch[first:last])
            return stacked([self._session.run(self._batch[i : i + 1]) for i in range(first, last)])
        except InferenceError:
            return None

    def answer(self, picture: Tensor, looks: tuple[str, ...]) -> Raw | None:
        """The one look of a redundant model, or a fused graph."""
        self.put(0, picture)
        outputs = self.run(0, 1)
        return None if outputs is None else Raw(looks, outputs)


class _Filter:
    """A model that reconstructs a picture."""

    def __init__(self, part: Part, session: Session) -> None:
        """Take a session of a filter.

        Raises:
            ContractError: it does not give a picture of its input's shape.
        """
        shapes = {o.meaning: o.shape for o in part.contract.outputs}
        if shapes.get("image", ())[1:] != part.contract.input_shape[1:]:
            raise ContractError(
                f"bundle `{part.contract.bundle}`: a filter needs an output of meaning `image` with its input's shape "
                f"{list(part.contract.input_shape)}"
            )
        self._net = _Net(part, session, 1)
        self._normalise = Normaliser(part.input, part.contract.bundle)

    def __call__(self, picture: Tensor) -> Tensor | None:
        """The reconstruction of a canonical picture, clipped to [0, 1]; None: there is none."""
        self._net.put(0, picture)
        outputs = self._net.run(0, 1)
        if outputs is None:
            return None
        image = self._normalise.canonical(outputs["image"][0])
        low, high = image.min(), image.max()  # NaN spreads to both
        if low >= 0.0 and high <= 1.0:
            return image
        return np.clip(image, 0.0, 1.0) if low == low and high == high else None  # noqa: PLR0124 - false for NaN only


class _Views:
    """The primary's looks: its batch is [filtered, plain, squeezed], as far as it is asked for them."""

    def __init__(self, net: _Net, looks: tuple[str, ...], filter_: _Filter | None) -> None:
        self._net = net
        self._filter = filter_
        self._order = tuple(sorted(looks, key=lambda look: OF_PRIMARY.index(view_of(look))))
        kind = net.kind
        self._squeeze = Squeezer((3, kind.height, kind.width))
        self._squeezed = kind.blank()

    def answer(self, picture: Tensor, looks: tuple[str, ...]) -> Raw | None:
        """Rows for `looks`, without that of the answer when the filter failed: the others are worth having."""
        ready: list[str] = []
        for look in self._order:
            if look in looks:
                view = self._view(view_of(look), picture)
                if view is not None:
                    self._net.put(len(ready), view)
                    ready.append(look)
        outputs = self._net.run(0, len(ready)) if ready else None
        return None if outputs is None else Raw(tuple(ready), outputs)

    def _view(self, view: str, picture: Tensor) -> Tensor | None:
        if view == SQUEEZED:
            self._squeeze(picture, self._squeezed)
            return self._squeezed
        return self._filter(picture) if view == PRIMARY and self._filter is not None else picture
