"""From drives to the result table, and from the table to the claims it has to hold.

Arithmetic only: this file runs no drive and prints nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from hil.scenario import Scenario
from hil.trace import Drive, percentile

FALSE_HANDOVERS_AT_MOST: Final = 0.01  # of clean drives
FALLBACK_AT_MOST: Final = 0.150  # s from the host's death to the microcontroller's fallback


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario. Times in ms; None: nothing to measure."""

    scenario: str
    title: str
    drives: int
    clean: bool
    unguarded_violations: int
    guarded_violations: int
    false_handovers: int | None
    """Clean scenarios only."""
    handovers: int
    rules_share: float
    refused: int
    undetected: int | None
    """Drives with a fault or an attack in which authority never left the model. None: clean."""
    detection_p50: float | None
    """From the onset to the detection."""
    reaction_p50: float | None
    """From the detection to the first safe actuator value."""
    reaction_max: float | None
    fallback_p50: float | None
    fallback_max: float | None
    """From the host's death to the microcontroller's own fallback."""


def tabulate(scenarios: Sequence[Scenario], drives: Sequence[Drive]) -> tuple[Row, ...]:
    """Return one row a scenario that was driven, in the order of the scenarios."""
    rows = []
    for scenario in scenarios:
        mine = [d for d in drives if d.scenario == scenario.scenario]
        if mine:
            rows.append(_row(scenario, mine))
    return tuple(rows)


def _row(scenario: Scenario, drives: Sequence[Drive]) -> Row:
    guarded = [d for d in drives if d.arm == "guarded"]
    bare = [d for d in drives if d.arm == "unguarded"]
    handovers = sum(d.handed_over for d in guarded)
    seen = [d for d in guarded if d.detected is not None and d.onset is not None]
    found = [(d.detected - d.onset) * 1e3 for d in seen if d.detected is not None and d.onset is not None]
    reactions = [d.reaction * 1e3 for d in guarded if d.reaction is not None]
    fallbacks = [d.fallback * 1e3 for d in guarded if d.fallback is not None]
    watched = [d for d in guarded if not d.refused and scenario.rig == "virtual"]
    return Row(
        scenario=scenario.scenario,
        title=scenario.title,
        drives=len(guarded),
        clean=scenario.clean,
        unguarded_violations=sum(d.violation for d in bare),
        guarded_violations=sum(d.violation for d in guarded),
        false_handovers=handovers if scenario.clean else None,
        handovers=handovers,
        rules_share=sum(d.rules_share for d in guarded) / len(guarded) if guarded else 0.0,
        refused=sum(bool(d.refused) for d in guarded),
        undetected=None if scenario.clean or not watched else len(watched) - len(seen),
        detection_p50=percentile(found, 0.5),
        reaction_p50=percentile(reactions, 0.5),
        reaction_max=percentile(reactions, 1.0),
        fallback_p50=percentile(fallbacks, 0.5),
        fallback_max=percentile(fallbacks, 1.0),
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """Something the campaign has to show, and what it did show."""

    text: str
    held: bool
    measured: str


def claims(scenarios: Sequence[Scenario], drives: Sequence[Drive]) -> tuple[Claim, ...]:
    """Return the claims about these drives. A claim about nothing (no such drive) does not hold."""
    kinds = {s.scenario: s for s in scenarios}
    guarded = [d for d in drives if d.arm == "guarded"]
    ran = [f"{d.scenario} seed {d.seed}" for d in guarded if d.violation]
    clean = [d for d in guarded if kinds[d.scenario].clean]
    false = [f"{d.scenario} seed {d.seed}" for d in clean if d.handed_over]
    process = [d for d in guarded if kinds[d.scenario].rig == "process"]
    late = [d for d in process if d.fallback is None or d.fallback > FALLBACK_AT_MOST]
    worst = max((d.fallback for d in process if d.fallback is not None), default=None)
    tampered = [d for d in guarded if _is_tampered(kinds[d.scenario])]
    still = [
        f"{d.scenario} seed {d.seed}: {d.refused}"
        for d in guarded
        if d.refused and not _is_tampered(kinds[d.scenario])
    ]
    made = [
        Claim(
            "0 stop-line or envelope violations with the guard",
            bool(guarded) and not ran,
            f"{len(ran)} of {len(guarded)} drives" + _list(ran),
        ),
        Claim(
            "at most 1 % of clean drives handed over",
            bool(clean) and len(false) <= FALSE_HANDOVERS_AT_MOST * len(clean),
            f"{len(false)} of {len(clean)} clean drives" + _list(false),
        ),
    ]
    if still:
        made.append(
            Claim(
                "every guarded drive that should begin did", not still, f"{len(still)} did not" + _list(still)
            )
        )
    if process:
        slowest = "never" if worst is None else f"slowest {worst * 1e3:.0f} ms"
        early, again = sum(d.fell_early for d in process), sum(d.attempts - 1 for d in process)
        said = f"{len(process) - len(late)} of {len(process)} runs, {slowest}"
        said += f", {early} before its death" if early else ""
        said += f", {again} repeated on the test bench" if again else ""
        made.append(
            Claim("microcontroller's fallback within 150 ms of the host's death, every run", not late, said)
        )
    if tampered:
        refused = sum(bool(d.refused) for d in tampered)
        made.append(
            Claim(
                "a tampered model is refused",
                refused == len(tampered),
                f"{refused} of {len(tampered)} starts",
            )
        )
    return tuple(made)


def as_json(rows: Sequence[Row], made: Sequence[Claim], facts: dict[str, str]) -> dict[str, object]:
    """Return what `results.json` holds: the table, the claims and the environment."""
    return {
        "edgeguard_hil_results": 1,
        "scenes": "semi-synthetic: real photographs and real sign artwork, composed by the camera model",
        "environment": facts,
        "rows": [asdict(r) for r in rows],
        "claims": [asdict(c) for c in made],
    }


def _is_tampered(scenario: Scenario) -> bool:
    return scenario.fault is not None and scenario.fault.kind == "tamper-model"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f" ({shown})" if names else ""
