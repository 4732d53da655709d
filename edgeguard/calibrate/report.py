"""What a qualification says, for people: a plain table for the terminal, Markdown for the file beside the policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeguard.calibrate.run import Calibrated
    from edgeguard.policy.qualification import CommonMode, Loss, Qualified

_LOSSES = ("model", "against", "pictures", "right", "lost", "gained", "loss", "loss at most")
_COMMON = (
    "model", "primary", "set", "pictures", "wrong", "failures", "common", "alike", "beta", "beta at most",
    "alike at most",
)  # fmt: skip


def table(qualified: Qualified) -> str:
    """Both tables as plain text."""
    losses = _aligned(_LOSSES, [_loss(row) for row in qualified.losses], words=2)
    common = _aligned(_COMMON, [_common(row) for row in qualified.common], words=3)
    parts = ["right answers, clean pictures, against the primary alone:", *losses]
    if qualified.common:
        parts += ["wrong answers shared with the primary:", *common]
    parts.append(f"each bound holds with {qualified.confidence:.0%} confidence")
    return "\n".join(parts)


def markdown(policy: str, qualified: Qualified, calibrated: Calibrated | None = None) -> str:
    """The report: thresholds (with `calibrated`), losses, beta factors and the digests of the models."""
    lines = [f"# Qualification of `{policy}`", ""]
    if calibrated is not None:
        lines += ["## Thresholds", "", "```text", calibrated.table(), "```", ""]
    lines += [
        "## Right answers",
        "",
        "On clean pictures, against the primary alone (plain picture, no filter). `lost`: only the primary was right.",
        "",
        *_piped(_LOSSES, [_loss(row) for row in qualified.losses]),
        "",
    ]
    if qualified.common:
        lines += [
            "## Common mode",
            "",
            "`failures`: pictures that the primary answers wrongly; `wrong`: that the other model does; `common`:",
            "both; `alike`: both with the same wrong answer, which no disagreement shows. `beta` is the beta factor,",
            "common / failures. Were the models independent, it would be wrong / pictures. `stress`: all kinds of",
            "corruption.",
            "",
            *_piped(_COMMON, [_common(row) for row in qualified.common]),
            "",
        ]
    lines += [
        f"Each bound is a one-sided Clopper-Pearson limit that holds with {qualified.confidence:.0%} confidence, for",
        "pictures that were drawn independently.",
        "",
        "## Models",
        "",
        *_piped(("role", "digest"), [(role, f"`{digest}`") for role, digest in qualified.models.items()]),
    ]
    return "\n".join(lines) + "\n"


def _loss(row: Loss) -> tuple[str, ...]:
    return (
        row.model, row.primary, str(row.pictures), f"{row.right / row.pictures:.2%}", str(row.lost), str(row.gained),
        f"{row.share:.2%}", f"{row.at_most:.2%}",
    )  # fmt: skip


def _common(row: CommonMode) -> tuple[str, ...]:
    return (
        row.model, row.primary, row.of_set, str(row.pictures), str(row.wrong), str(row.failures), str(row.common),
        str(row.same), "-" if row.beta is None else f"{row.beta:.2f}", f"{row.at_most:.2f}", f"{row.same_at_most:.2f}",
    )  # fmt: skip


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int) -> list[str]:
    """The first `words` columns to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if i < words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        )
        for line in (head, *rows)
    ]


def _piped(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]
