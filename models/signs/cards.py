"""Writes the model cards from `report.json`: no figure in a card is typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ABOUT = {
    "primary": (
        "A plain CNN (95,000 parameters) with 17 outputs and an in-graph novelty: relative Mahalanobis distance of\n"
        "the channel means of its last two stages. Trained in the ordinary way, without an adversary: it stands for\n"
        "the model a user brings. Its answer at run time is primary(filter(x))."
    ),
    "redundant": (
        "An MLP-mixer over 64 overlapping patches (98,000 parameters), trained adversarially (one-step attack from\n"
        "a random start, 8/255, and random occlusion). It shares no layer and no weight with the primary. It shares\n"
        "the training frames, so it can share their mistakes."
    ),
    "denoise": (
        "A denoising autoencoder (49,000 parameters): what comes out is what it can explain. It is a filter and a\n"
        "check, never a defence by itself: an attacker who knows it goes through it (the PGD rows of the report)."
    ),
}
COLUMN = {"primary": "accuracy", "redundant": "redundant_accuracy", "denoise": "accuracy"}
SUITES = (
    "clean drive, 75 to 2 m",
    "stop sign, at most 35 m",
    "night and noise",
    "new artwork",
    "unknown objects, at most 35 m",
    "patch on stop, at most 35 m",
    "played PGD frames, at most 35 m",
    "PGD 8/255",
    "PGD 16/255",
    "adaptive PGD 16/255",
)


def card(name: str, report: dict[str, Any]) -> str:
    """Return one bundle's card."""
    what = "of primary(filter(x))" if name != "redundant" else "of this model alone"
    rows = [f"| {s} | {report['suites'][s][COLUMN[name]]:.1%} |" for s in SUITES]
    return "\n".join(
        [
            f"# signs-{name}",
            "",
            ABOUT[name],
            "",
            "- **Use**: edgeguard's demonstration. Not for a vehicle.",
            "- **Data**: semi-synthetic. Public-domain sign artwork warped, lit and blurred onto photographs by",
            "  `hil/camera.py`; 44,000 training frames; test photographs were never trained on, the sign",
            "  artwork mostly was (the `new artwork` row was not). Sources: `hil/assets/SOURCES.md` and",
            "  `models/signs/data.py`.",
            "- **Licence**: Apache-2.0.",
            "- **Rebuild**: `python -m models.signs.build`. Seeds are fixed; the bytes depend on the torch build.",
            "- **Limits**: 17 classes, one sign a frame, centred by a tracker, 32x32. Of an unknown object",
            "  it often says that it is a known sign.",
            "",
            f"| suite | right answers {what} |",
            "|---|---|",
            *rows,
            "",
            "The whole table, with what the guard's signals refuse, is in `models/signs/REPORT.md`.",
            "",
        ]
    )


def main() -> None:
    """Write the three cards."""
    report = json.loads((HERE / "report.json").read_text(encoding="utf-8"))
    for name in ABOUT:
        (HERE / name / "CARD.md").write_text(card(name, report), encoding="utf-8")


if __name__ == "__main__":
    main()
