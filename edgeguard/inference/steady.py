"""How long the answer has named the same class: temporal consistency. A gap in the answers begins anew."""

from __future__ import annotations


class Steady:
    """Steps over the answers of one camera."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: tuple[int, float] | None = None
        """The class of the last answer, and the time of the first that named it without a gap."""

    def step(self, label: int | None, at: float) -> float | None:
        """Seconds that `label` has stood at time `at`; None: there is no answer, or time ran backwards."""
        if label is None:
            self._since = None
            return None
        if self._since is None or self._since[0] != label:
            self._since = (label, at)
        stood = at - self._since[1]
        return stood if stood >= 0.0 else None
