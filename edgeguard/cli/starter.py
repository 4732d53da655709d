"""The text of a starter project: manifest, card and policy for one classifier. Writes nothing; pure text.

The policy must pass `edgeguard policy check` as it stands and be safe as it stands: doubt takes the answer away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeguard.cli.classifier import Probe


def slug(name: str) -> str:
    """A policy's and a bundle's name from a file's: small letters, digits and hyphens, a letter first."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (text if text[:1].isalpha() else f"model-{text}".rstrip("-"))[:48]


def manifest(
    found: Probe,
    *,
    name: str,
    classes: Sequence[str],
    color: str,
    scale: float,
    mean: Sequence[float],
    std: Sequence[float],
) -> str:
    """Return `edgeguard.json`."""
    document = {
        "edgeguard": 1,
        "name": f"{name}-primary",
        "version": "1.0.0",
        "security_version": 1,
        "role": "primary",
        "file": "model.onnx",
        "input": {
            "name": found.input,
            "dtype": "float32",
            "shape": found.input_shape,
            "layout": found.layout,
            "color": color,
            "resize": "area",
            "scale": scale,
            "mean": list(mean),
            "std": list(std),
        },
        "outputs": [
            {
                "name": found.output,
                "dtype": "float32",
                "shape": [found.batch, found.classes],
                "meaning": found.meaning,
            }
        ],
        "classes": list(classes),
        "temperature": 1.0,
    }
    return json.dumps(document, indent=2) + "\n"


def card(name: str, source: str, classes: Sequence[str]) -> str:
    """Return `CARD.md`, with the questions that only the model's owner can answer."""
    return (
        f"# {name}\n\nMade by `edgeguard init` from `{source}`; {len(classes)} classes.\n\n"
        "- Data it was trained on, and its licence: not stated yet\n"
        "- What it is good for, and how well: not stated yet\n"
        "- Where it fails: not stated yet\n"
    )


def policy(name: str, key: str, sha256: str) -> str:
    """Return the policy. `key`: path of the public key, relative to the policy; `sha256`: of its PEM text."""
    return _POLICY.replace("@NAME@", name).replace("@KEY@", key).replace("@SHA256@", sha256)


_POLICY = """\
# Who may act on what the model says. Made by `edgeguard init`; yours from here on. Read it from the top: what is
# measured, what takes authority away from the model, what happens then. `edgeguard policy check` finds mistakes.
edgeguard: 1
policy: {name: @NAME@, version: 1}

# --- who may be trusted
models:
  primary: {bundle: models/primary}
  # redundant: {bundle: models/redundant}   # a second model of another architecture; then declare `disagreement` below
admission:
  signers:                        # these keys may sign the model and the calibration; `edgeguard keys show` prints them
    - {key: @KEY@, sha256: "@SHA256@"}
  require: {security_version: 1}
calibration: calibration.json     # where `calibrated.NAME` comes from: `edgeguard calibrate` writes it

# --- what is measured; a signal that is missing, stale, not a number or out of range takes authority by itself
frame: {period: 50ms}             # of the camera: a frame every 50 ms
signals:
  certainty:  {of: primary, range: [0, 1], max_age: 500ms, on_fault: rules}
  squeezing:  {of: primary, range: [0, 1], max_age: 500ms, on_fault: rules}   # against a coarser picture
  frame_age:  {from: frame, unit: s, range: [0, 60], max_age: 500ms, on_fault: rules}
  contrast:   {from: frame, range: [0, 1], max_age: 500ms, on_fault: rules}
  # speed:    {from: context, unit: m/s, range: [0, 60], max_age: 200ms}   # what your program measures

# --- what takes authority away from the model; the most restrictive demand wins
rules:
  - id: unsure
    when: certainty < calibrated.certainty
    for: 2 frames
    clear: {when: certainty >= calibrated.certainty, for: 5 frames}
    then: rules
  - id: fragile
    when: squeezing > calibrated.squeezing
    for: 2 frames
    clear: {when: squeezing <= calibrated.squeezing, for: 5 frames}
    then: rules
  - id: late-picture
    when: frame_age > 0.3
    clear: {when: frame_age < 0.2, for: 3 frames}
    then: rules
  - id: blank-picture
    when: contrast < 0.02
    for: 2 frames
    clear: {when: contrast > 0.03, for: 5 frames}
    then: rules
  # - id: unsure-for-long           # ask a human, and go to the safe state when nobody takes over in time
  #   when: certainty < calibrated.certainty
  #   for: 3s
  #   latch: true
  #   then: human
  #   within: 10s
  #   otherwise: safe_state

# --- who acts then, and what no actuator may ever do
fallback:
  - {command: {use_answer: 0}}
envelope:
  use_answer: {min: 0, max: 1, safe: 0}   # whether what comes after may use the answer; name your real actuators here
period: 20ms                              # how often the guard decides
log: {flush: 1s}
"""
