"""How long the answer has named the same class: temporal consistency. A gap in the answers begins anew."""

from __future__ import annotations


class Steady:
    """Steps over the answers of one camera."""

    __slots__ = ("_label", "_since")

    def __init__(self) -> None:
        self._label: int | None = None
        self._since = 0.0

    def step(self, label: int | None, at: float) -> float | None:
        """Seconds that `label` has stood at time `at`; None: there is no answer, or time ran backwards."""
        if label is None or label != self._label:
            self._label, self._since = label, at
        stood = at - self._since
        return stood if label is not None and stood >= 0.0 else None
