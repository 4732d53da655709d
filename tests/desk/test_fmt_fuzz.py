"""Policies with characters added, removed and moved at random: formatted to the end, or refused with findings.

Seeded. `EDGEGUARD_FMT_FUZZ` sets how many are tried; 300 unless it says otherwise.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from edgeguard.desk.fmt import format_policy
from edgeguard.errors import PolicyError

ROOT = Path(__file__).parents[2]
SEEDS = sorted(
    [*(ROOT / "policies").glob("*.yaml"), *(ROOT / "tests" / "hostile" / "policies").glob("*.yaml")]
)
TRIES = int(os.environ.get("EDGEGUARD_FMT_FUZZ", "300"))
BITS = (
    *" \n#:{}[],'\"|>-?&*!%@abc01.~\t", "# c", "\n# c\n", ": ", "- ", "  ", "\n\n", "|\n", "'x'", ">-\n  ", " #x", "{}",
    "? ",
)  # fmt: skip


def piece(rng: random.Random, text: str) -> str:
    """At most 40 lines of a policy, so that a change is likely to leave it readable."""
    lines = text.split("\n")
    start = rng.randrange(len(lines))
    return text if len(lines) <= 40 else "edgeguard: 1\n" + "\n".join(lines[start : start + 40])


def changed(rng: random.Random, text: str) -> str:
    for _ in range(rng.randrange(1, 5)):
        at, other = rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)
        insert = rng.choice(
            ("", rng.choice(BITS), rng.choice(BITS), text[other : other + rng.randrange(1, 60)])
        )
        text = text[:at] + insert + text[at + (0 if insert else rng.randrange(1, 4)) :]
    return text


def test_a_policy_changed_at_random_is_formatted_or_refused() -> None:
    rng = random.Random(20261121)
    texts = [path.read_bytes().decode("utf-8", "ignore") for path in SEEDS]
    formatted = 0
    for _ in range(TRIES):
        text = changed(rng, piece(rng, rng.choice(texts)))
        try:
            once = format_policy(text.encode(), file="x")
        except PolicyError:
            continue
        formatted += 1
        assert format_policy(once.encode(), file="x") == once, text
    assert formatted > TRIES / 20
