"""The tables that are proved: those of `policies/`, and three beyond what the policy compiler would print.

Writes into the folder it is given, the same bytes every time. Decides nothing.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LOW, HIGH = "(-2147483647 - 1)", "2147483647"
BEYOND_THE_CONTROLLER = "EG1315"
"""The one error that leaves a policy without a table: its times are not a microcontroller's."""


class NoTableError(Exception):
    """A policy that should have a table has none; the message is the compiler's."""


@dataclass(frozen=True, slots=True)
class Row:
    """One actuator as C numbers; the defaults are the widest there is."""

    rise: str = HIGH
    fall: str = HIGH
    low: str = LOW
    high: str = HIGH
    safe: str = "0"
    lead: int = 0
    age_us: int = 0
    authority: int = 0

    def text(self) -> str:
        """The row as a C initialiser."""
        return (
            f"{{.min = {self.low}, .max = {self.high}, .rise = {self.rise}, .fall = {self.fall}, .safe = {self.safe}, "
            f".lead = {self.lead}, .feedback_age_us = {self.age_us}u, .authority = {self.authority}u}}"
        )


def write_policies(folder: Path, only: tuple[str, ...] = ()) -> tuple[dict[str, Path], dict[str, str]]:
    """Write the table of each policy, or of `only` these; the folders by name, and the reason of those without one.

    Raises:
        NoTableError: a policy is refused for another reason than its times.
    """
    found: dict[str, Path] = {}
    none: dict[str, str] = {}
    for policy in sorted((ROOT / "policies").glob("*.yaml")):
        if only and policy.stem not in only:
            continue
        where = folder / policy.stem
        where.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "edgeguard",
            "policy",
            "table",
            str(policy),
            "-o",
            str(where / "policy_table.h"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode == 0:
            found[policy.stem] = where
        elif BEYOND_THE_CONTROLLER in done.stderr:
            none[policy.stem] = done.stderr.strip()
        else:
            raise NoTableError(done.stderr.strip())
    return found, none


def write_extremes(folder: Path) -> dict[str, Path]:
    """Write `extreme-1` (the widest actuator), `extreme-16` (sixteen) and `extreme-rules` (8 rules of 4 terms)."""
    sixteen = tuple(Row(rise=f"{HIGH} - {i}", fall=str(1000 + i)) for i in range(15))
    measured = Row("4000000", "1000", "-5000000", "9000000", "1000000", 300_000, 50_000, 1)
    plain = Row("1000000", HIGH, "0", "600000", "0", authority=2)
    sensors = tuple((0, 40_000_000, 100_000) if i % 2 else (LOW, HIGH, 0xFFFF_FFFF) for i in range(8))
    rules = tuple(
        (
            tuple((7_000_000 * (i - 3) + t, (i + t) % 8, (i + t) % 4) for t in range(4)),
            (1_000_000 * i, 75_000 * i),
        )
        for i in range(8)
    )
    return {
        "extreme-1": _write(
            folder / "extreme-1", (Row(lead=2147483647, age_us=0xFFFF_FFFF),), (), (), stop=True
        ),
        "extreme-16": _write(folder / "extreme-16", (*sixteen, measured), (), (), stop=True),
        "extreme-rules": _write(folder / "extreme-rules", (measured, plain), sensors, rules, stop=True),
    }


_Sensor = tuple[object, object, int]
_Rule = tuple[tuple[tuple[int, int, int], ...], tuple[int, ...]]


def _write(
    where: Path, rows: tuple[Row, ...], sensors: tuple[_Sensor, ...], rules: tuple[_Rule, ...], *, stop: bool
) -> Path:
    parts = [f".actuator = {{{', '.join(row.text() for row in rows)}}}"]
    if sensors:
        texts = (f"{{.min = {low}, .max = {high}, .max_age_us = {age}u}}" for low, high, age in sensors)
        parts.append(f".sensor = {{{', '.join(texts)}}}")
    if rules:
        parts.append(f".rule = {{{', '.join(map(_rule, rules))}}}")
    head = ".policy_hash = 0x80000001u, .degraded_us = 33333u, .lost_us = 80000u, .valid_max_ms = 100u"
    counts = f".arm_commands = 5u, .stop = {int(stop)}u, .sensors = {len(sensors)}u, .rules = {len(rules)}u"
    where.mkdir(parents=True, exist_ok=True)
    (where / "policy_table.h").write_text(
        f"#define EG_ACTUATORS {len(rows)}u\n"
        f"#define EG_SENSORS_ROOM {max(1, len(sensors))}u\n"
        f"#define EG_RULES_ROOM {max(1, len(rules))}u\n"
        f"#define EG_TERMS_ROOM {max([1, *(len(terms) for terms, _ in rules)])}u\n"
        f"#define EG_POLICY_TABLE {{{head}, {counts}, {', '.join(parts)}}}\n",
        encoding="ascii",
    )
    return where


def _rule(rule: _Rule) -> str:
    terms, values = rule
    texts = (
        f"{{.limit = {limit}, .sensor = {sensor}u, .relation = {relation}u}}"
        for limit, sensor, relation in terms
    )
    return f"{{.terms = {len(terms)}u, .term = {{{', '.join(texts)}}}, .value = {{{', '.join(map(str, values))}}}}}"
