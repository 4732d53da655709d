"""Draws where a frame's time goes, as bars from left to right, and how its times are spread. No display is needed.

Everything drawn was measured before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import Patch

from bench.spans import DECISION, DOUBT, WORK

NETWORKS = ("filter", "primary", "redundant", "fused", "worker")
GROUPS = {"networks": "#6fae4f", "pictures": "#5a9bc2", "doubt": "#c9a13b", "decision and log": "#a06cb0"}
COLOURS = {
    **dict.fromkeys(WORK, GROUPS["pictures"]),
    **dict.fromkeys(NETWORKS, GROUPS["networks"]),
    **dict.fromkeys(DOUBT, GROUPS["doubt"]),
    **dict.fromkeys(DECISION, GROUPS["decision and log"]),
    (REST := "neither picture nor network"): "#b9b9b9",
}
ORCHESTRATION = "#d9822b"
NARROW = 0.035
"""Share of the bar below which a part has no label of its own inside it."""

Bar = tuple[str, Mapping[str, float]]


def flame(bars: Sequence[Bar], file: Path) -> None:
    """Two bars a guard: the whole frame, part by part, and below it whatever is neither picture nor network."""
    figure, axes = plt.subplots(2 * len(bars), 1, figsize=(11, 3.1 * len(bars)), layout="constrained")
    for i, (name, parts) in enumerate(bars):
        work = {part: us for part, us in parts.items() if part in WORK}
        rest = {part: us for part, us in parts.items() if part not in WORK}
        above, below = axes[2 * i], axes[2 * i + 1]
        _bar(above, {**work, REST: sum(rest.values())})
        above.set_title(
            f"{name}: {_time(sum(parts.values()))}, by the medians of its parts", loc="left", fontsize=10
        )
        _bar(below, rest)
        below.set_title(f"{REST}: {_time(sum(rest.values()))}", loc="left", fontsize=9)
    shown = [Patch(color=colour, label=name) for name, colour in GROUPS.items()]
    shown.append(Patch(color=ORCHESTRATION, label="orchestration"))
    figure.legend(handles=shown, loc="outside lower center", ncols=len(shown), fontsize=8, frameon=False)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _bar(axis: Any, parts: Mapping[str, float]) -> None:  # noqa: ANN401 - untyped there
    left, total = 0.0, sum(parts.values())
    for name, us in parts.items():
        axis.barh(0, us, left=left, color=COLOURS.get(name, ORCHESTRATION), edgecolor="white")
        if us > NARROW * total:
            axis.text(
                left + us / 2,
                0,
                f"{name.replace(' ', chr(10))}\n{us:.0f}",
                ha="center",
                va="center",
                fontsize=7,
            )
        left += us
    axis.set_xlim(0, total)
    axis.set_yticks([])
    axis.set_xlabel("µs", fontsize=7, loc="right")
    axis.tick_params(labelsize=7)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def spread(times: Mapping[str, Any], file: Path, title: str) -> None:
    """For each setting, the share of frames that took longer than so many microseconds."""
    figure, axis = plt.subplots(figsize=(9, 5), layout="constrained")
    for name, taken in times.items():
        ordered = sorted(taken, reverse=True)
        axis.step(ordered, [(i + 1) / len(ordered) for i in range(len(ordered))], label=name)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="whole frame, µs",
        ylabel="share of frames that took longer",
        title=title,
    )
    axis.grid(visible=True, which="both", alpha=0.25)
    axis.legend(fontsize=8)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _time(microseconds: float) -> str:
    return f"{microseconds:.0f} µs" if microseconds < 10_000 else f"{microseconds / 1000:.1f} ms"
