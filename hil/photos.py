"""The photo profile: real ImageNet networks on real photographs, in a guarded loop without actuators.

Signs copies of the exported bundles with a key made for this run, then plays clean, noisy, frozen and blank frames.
Needs the bundles that `make models` exports; they are too large to be committed.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image as Pictures
from rich.console import Console
from rich.table import Table

from edgeguard.errors import UsageError
from edgeguard.types import Authority, Event, Frame
from hil.profile import ROOT, open_policy

if TYPE_CHECKING:
    from edgeguard.guard import Guard
    from edgeguard.types import Image, Verdict

BUNDLES: Final = ROOT / "models" / "photos"
POLICY: Final = Path(__file__).parent / "photos_gate.yaml"
UNPINNED: Final = "0" * 64
"""Stands in the policy file for the fingerprint of the key that a run makes."""
ROLES: Final = ("primary", "redundant", "denoise")
PERIOD: Final = 0.1  # s
FRAMES: Final = 20  # a phase
SIDE: Final = 240  # pixels: the crop that pans over a photograph
OPERATOR: Final = {4: Event.RESET, 6: Event.ARM}
"""What the operator does before a phase, by frame: a latch is reset only after its cause has gone."""
FINDINGS: Final = 5


@dataclass(frozen=True, slots=True)
class Phase:
    """Some frames of one kind, and who must have authority at its end."""

    name: str
    end: Authority


CLEAN: Final = Phase("clean photographs", Authority.MODEL)
PHASES: Final = (
    CLEAN,
    Phase("heavy sensor noise", Authority.RULES),
    Phase("frozen camera", Authority.SAFE_STATE),
    Phase("blank camera", Authority.SAFE_STATE),
)


def demo(out: Path) -> int:
    """Run the loop and print a table. Returns 0, or 5 when a phase did not end as it must. Raises: EdgeguardError."""
    from edgeguard.guard import Guard

    _need_bundles()
    policy = open_policy(*_workspace(out))
    guard = Guard.open(policy, planner=lambda _answer, _context: {"use_answer": 1.0})
    try:
        return _show([(phase, _play(guard, phase, index)) for index, phase in enumerate(PHASES)])
    finally:
        guard.close()


def _need_bundles() -> None:
    missing = [role for role in ROLES if not (BUNDLES / role / "model.onnx").is_file()]
    if missing:
        raise UsageError(
            f"the photo profile's `{missing[0]}` model is not there: it holds ImageNet weights that are too large to "
            "commit; run `make models` (needs the `train` extra), then this again"
        )


def _workspace(out: Path) -> tuple[Path, Path]:
    """Copy policy and bundles and sign them; returns the policy and the key to trust."""
    from edgeguard.admission import load_public_keys, new_key, sign_bundle, sign_file

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    key, public = out / "photos.key", out / "photos.pub"
    new_key(key, public)
    for role in ROLES:
        shutil.copytree(BUNDLES / role, out / "models" / role, ignore=shutil.ignore_patterns("*.sig"))
        sign_bundle(out / "models" / role, key)
    policy = out / POLICY.name
    (pinned,) = load_public_keys([public])
    text = POLICY.read_text(encoding="utf-8").replace(UNPINNED, pinned.hint)
    policy.write_text(text, encoding="utf-8")
    sign_file(policy, key)
    return policy, public


def _play(guard: Guard, phase: Phase, index: int) -> list[Verdict]:
    """Play one phase. An operator resets the guard before each, on clean frames."""
    start = index * 4 * FRAMES
    verdicts: list[Verdict] = []
    for offset, image in enumerate(_clean(FRAMES // 2)):
        number = start + offset
        if offset in OPERATOR:
            guard.operator(OPERATOR[offset])
        guard.step(Frame(image, number, number * PERIOD), {}, number * PERIOD)
    for offset, image in enumerate(_frames(phase)):
        number = start + FRAMES + offset
        verdicts.append(guard.step(Frame(image, number, number * PERIOD), {}, number * PERIOD))
    return verdicts


def _clean(count: int) -> Iterator[Image]:
    """Pan over the photographs; the sensor's noise makes no two frames equal."""
    rng = np.random.default_rng(7)
    files = sorted((BUNDLES / "images").glob("*.jpg"))
    if not files:
        raise UsageError(f"no photographs in `{BUNDLES / 'images'}`: run `make models`")
    photos = [_load(file) for file in files if file.stem != "camera"] or [_load(files[0])]
    for step in range(count):
        photo = photos[step * len(photos) // count]
        shift = step % 8
        height, width = photo.shape[:2]
        y, x = min(shift, height - SIDE), min(2 * shift, width - SIDE)
        crop = photo[y : y + height - 8, x : x + width - 16].astype(np.float32)
        noisy = crop + rng.normal(0.0, 1.5, crop.shape).astype(np.float32)
        yield np.clip(noisy, 0, 255).astype(np.uint8)


def _frames(phase: Phase) -> Iterator[Image]:
    rng = np.random.default_rng(11)
    held: Image | None = None
    for image in _clean(FRAMES):
        if phase.name == "heavy sensor noise":
            noise = rng.normal(0.0, 110.0, image.shape)
            yield np.clip(image * 0.4 + noise, 0, 255).astype(np.uint8)
        elif phase.name == "frozen camera":
            held = image if held is None else held
            yield held
        elif phase.name == "blank camera":
            yield np.full_like(image, 12)
        else:
            yield image


def _load(file: Path) -> Image:
    with Pictures.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def _show(played: list[tuple[Phase, list[Verdict]]]) -> int:
    table = Table(title="real ImageNet networks on real photographs", title_justify="left", pad_edge=False)
    for heading in ("frames", "the model says", "the model may act", "ends with", "because of"):
        table.add_column(heading)
    wrong = []
    for phase, verdicts in played:
        said = Counter(v.answer.name for v in verdicts if v.answer)
        allowed = sum(v.authority is Authority.MODEL for v in verdicts) / len(verdicts)
        last = verdicts[-1]
        if last.authority < phase.end or (phase is CLEAN and last.authority is not Authority.MODEL):
            wrong.append(phase.name)
        table.add_row(
            phase.name,
            ", ".join(name for name, _ in said.most_common(3)),
            f"{100 * allowed:.0f} %",
            last.authority.name.lower().replace("_", " "),
            last.causes[0].rule if last.causes else "–",
        )
    console = Console(highlight=False)
    console.print(table)
    if wrong:
        console.print(f"[bold red]BROKEN[/bold red]  did not end as it must: {', '.join(wrong)}")
        return FINDINGS
    return 0
