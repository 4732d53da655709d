"""Drives as pictures: distance, speed, authority and signals against time, for the report and for the README.

matplotlib only, no display. Everything drawn here was measured before; nothing is computed but positions on paper.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "edgeguard"
mpl.rcParams["svg.fonttype"] = "path"

from matplotlib import pyplot as plt  # noqa: E402 - the backend is chosen first
from matplotlib.patches import Patch  # noqa: E402
from PIL import Image as Pictures  # noqa: E402

from edgeguard.types import Authority  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from edgeguard.types import Image
    from hil.trace import Drive, Trace

INK: Final = "#1f2733"
FAINT: Final = "#d5dae1"
BARE: Final = "#d1495b"
GUARDED: Final = "#1b7f79"
BANDS: Final[Mapping[int, tuple[str, str]]] = {
    Authority.MODEL: ("model", "#cfe8d5"),
    Authority.RULES: ("rules", "#fbe3a1"),
    Authority.HUMAN: ("human", "#f6b98a"),
    Authority.SAFE_STATE: ("safe state", "#e58f8f"),
}
SHOWN: Final = (
    "certainty",
    "disagreement",
    "reconstruction",
    "squeezing",
    "novelty",
    "frozen_for",
    "contrast",
)
"""Signals worth a curve, in this order, when the drive has them."""
COLOURS: Final = ("#30638e", "#d1495b", "#edae49", "#66a182", "#8d6a9f", "#2e4057", "#a0785a")
MOST_SIGNALS: Final = 6
SPEAKS: Final = 0.3  # of its threshold: a signal that never comes so far is not drawn
LEAST_DOUBT: Final = 0.01
MOST_DOUBT: Final = 100.0

_STYLE: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#eceff3",
    "xtick.color": "#5b6675",
    "ytick.color": "#5b6675",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def drive_figure(
    guarded: Drive,
    bare: Drive | None,
    thresholds: Mapping[str, float],
    *,
    title: str = "",
    width: float = 8.6,
) -> Figure:
    """Return the figure of one seed: both arms' way and speed, the authority band, the signals of the guarded arm."""
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type] # its stub lists every key
        figure, (way, speed, band, signals) = plt.subplots(
            4, 1, sharex=True, figsize=(width, 6.4), height_ratios=(2.3, 1.7, 0.34, 1.9), layout="constrained"
        )
        _draw_way(way, guarded, bare)
        _draw_speed(speed, guarded, bare)
        _draw_band(band, guarded.trace)
        _draw_signals(signals, guarded, thresholds)
        _mark_times(guarded, (way, speed, signals))
        end = max([*guarded.trace.time, *(bare.trace.time if bare else [])], default=1.0)
        signals.set_xlim(0.0, end)
        signals.set_xlabel("time since the drive began (s)")
        if title:
            figure.suptitle(title, x=0.012, ha="left", fontsize=12.5, fontweight="bold")
        return figure


def bare_figure(bare: Drive, *, width: float = 8.6) -> Figure:
    """Return the figure of an unguarded drive whose guarded twin never began: way and speed."""
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type] # its stub lists every key
        figure, (way, speed) = plt.subplots(2, 1, sharex=True, figsize=(width, 3.4), layout="constrained")
        _draw_way(way, None, bare)
        speed.plot(bare.trace.time, [3.6 * v for v in bare.trace.speed], color=BARE, lw=1.8)
        speed.set_ylim(bottom=0.0)
        speed.set_ylabel("speed (km/h)")
        speed.set_xlim(0.0, max(bare.trace.time, default=1.0))
        speed.set_xlabel("time since the drive began (s)")
        return figure


def _draw_way(axes: Axes, guarded: Drive | None, bare: Drive | None) -> None:
    if bare is not None:
        axes.plot(bare.trace.time, bare.trace.to_line, color=BARE, lw=2.0, label="unguarded")
        if bare.violation:
            _cross(axes, bare)
    if guarded is not None:
        axes.plot(guarded.trace.time, guarded.trace.to_line, color=GUARDED, lw=2.2, label="guarded")
    axes.axhline(0.0, color=INK, lw=1.2)
    axes.annotate(
        "stop line", (0.0, 0.0), xycoords=("axes fraction", "data"), xytext=(4, 3),
        textcoords="offset points", fontsize=8,
    )  # fmt: skip
    axes.set_ylabel("to the line (m)")
    axes.legend(loc="upper right", bbox_to_anchor=(0.86, 1.02), frameon=False, ncols=2)


def _cross(axes: Axes, bare: Drive) -> None:
    row = next((i for i, left in enumerate(bare.trace.to_line) if left < 0.0), None)
    if row is None or bare.crossed_at is None:
        return
    axes.plot([bare.trace.time[row]], [0.0], marker="X", ms=10, color=BARE, mec="white", zorder=5)
    axes.annotate(
        f"runs the line at {bare.crossed_at * 3.6:.0f} km/h", (bare.trace.time[row], 0.0), xytext=(11, 7),
        textcoords="offset points", ha="left", color=BARE, fontsize=9, fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
    )  # fmt: skip


def _draw_speed(axes: Axes, guarded: Drive, bare: Drive | None) -> None:
    if bare is not None:
        axes.plot(bare.trace.time, [3.6 * v for v in bare.trace.speed], color=BARE, lw=1.8)
    axes.plot(guarded.trace.time, [3.6 * v for v in guarded.trace.speed], color=GUARDED, lw=2.0)
    axes.fill_between(
        guarded.trace.time, 0.0, guarded.trace.brake, color=GUARDED, alpha=0.18, lw=0,
        transform=axes.get_xaxis_transform(),
    )  # fmt: skip
    axes.annotate(
        "shaded: guarded brake, 0 to 1", (0.01, 0.06), xycoords="axes fraction", fontsize=7.5, color=GUARDED
    )
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("speed (km/h)")


def _draw_band(axes: Axes, trace: Trace) -> None:
    for start, end, authority in spans(trace):
        axes.axvspan(start, end, color=BANDS[authority][1], lw=0)
        if end - start > 0.09 * max(trace.time[-1], 0.1):
            axes.text((start + end) / 2, 0.5, BANDS[authority][0], ha="center", va="center", fontsize=8)
    axes.set_yticks([])
    axes.set_ylim(0.0, 1.0)
    axes.grid(visible=False)
    axes.set_ylabel("authority", rotation=0, ha="right", va="center")
    used = {a for _, _, a in spans(trace)}
    short = [Patch(color=BANDS[a][1], label=BANDS[a][0]) for a in sorted(used)]
    axes.legend(handles=short, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=7)


def _draw_signals(axes: Axes, guarded: Drive, thresholds: Mapping[str, float]) -> None:
    drawn = 0
    for name, colour in zip(SHOWN, COLOURS):
        column, level = guarded.trace.signals.get(name), thresholds.get(name)
        if column is None or level is None or drawn == MOST_SIGNALS:
            continue
        doubt = [doubt_of(name, value, level) for value in column]
        if not any(value > SPEAKS for value in doubt):
            continue
        axes.plot(guarded.trace.time, doubt, color=colour, lw=1.3, label=name)
        drawn += 1
    axes.axhline(1.0, color=INK, lw=1.0, ls=(0, (4, 3)))
    axes.set_yscale("log")
    axes.set_ylim(LEAST_DOUBT, MOST_DOUBT)
    axes.set_yticks([0.01, 0.1, 1.0, 10.0, 100.0], ["0.01", "0.1", "1", "10", "100"])
    axes.set_ylabel("doubt, times\nits threshold")
    if drawn:
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.28), frameon=False, ncols=MOST_SIGNALS, fontsize=8
        )


def doubt_of(name: str, value: float, threshold: float) -> float:
    """Return how many times its threshold a signal is, larger being worse, inside what the figure shows."""
    if math.isnan(value):
        return math.nan
    if name == "certainty":
        ratio = (1.0 - value) / max(1.0 - threshold, 1e-9)
    elif name == "contrast":
        ratio = threshold / max(value, 1e-9)
    else:
        ratio = value / max(threshold, 1e-9)
    return min(MOST_DOUBT, max(LEAST_DOUBT, ratio))


def _mark_times(guarded: Drive, places: tuple[Axes, ...]) -> None:
    if guarded.onset:
        for axes in places:
            axes.axvline(guarded.onset, color="#8a94a3", lw=0.9, ls=":")
    if guarded.detected is None:
        return
    for axes in places:
        axes.axvline(guarded.detected, color="#c77f00", lw=1.0)
    said = (
        "detected"
        if guarded.reaction is None
        else f"detected, safe command {guarded.reaction * 1e3:.0f} ms later"
    )
    places[0].annotate(
        said, (guarded.detected, 0.22), xycoords=("data", "axes fraction"), xytext=(5, 0),
        textcoords="offset points", color="#9a6200", fontsize=8,
    )  # fmt: skip


def spans(trace: Trace) -> list[tuple[float, float, int]]:
    """Return (start, end, authority) of every span of equal authority, in s."""
    found: list[tuple[float, float, int]] = []
    for time, authority in zip(trace.time, trace.authority):
        if found and found[-1][2] == authority:
            found[-1] = (found[-1][0], time, authority)
        else:
            if found:
                found[-1] = (found[-1][0], time, found[-1][2])
            found.append((time, time, authority))
    return found


def as_svg(figure: Figure) -> str:
    """Return the figure as an SVG element for use inside a page, and close it."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def add_frame(figure: Figure, image: Image, said: str) -> None:
    """Put a camera frame, with what the model says about it, into the free corner of a drive's figure."""
    corner = figure.axes[0].inset_axes((0.845, 0.42, 0.16, 0.5))
    corner.imshow(image, interpolation="nearest")
    corner.set_xticks([])
    corner.set_yticks([])
    corner.spines[:].set(visible=True, color=FAINT)
    corner.grid(visible=False)
    figure.axes[0].annotate(
        said,
        (0.85, 0.66),
        xycoords="axes fraction",
        fontsize=8.5,
        color=INK,
        va="center",
        ha="right",
        linespacing=1.5,
    )


def save_png(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG, and close it."""
    figure.savefig(path, dpi=130)
    plt.close(figure)


def as_data_uri(image: Image, scale: int = 2) -> str:
    """Return a frame as a PNG data URI, enlarged without smoothing."""
    buffer = io.BytesIO()
    picture = Pictures.fromarray(image)
    picture.resize((picture.width * scale, picture.height * scale), Pictures.Resampling.NEAREST).save(
        buffer, format="PNG", optimize=True
    )
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
