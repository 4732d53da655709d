"""What the proofs must catch: the core with one thing broken, and the property that must then be refuted.

Each is a change of text in a copy; a text that is no longer there once is an error, so that no control goes stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class StaleError(Exception):
    """A text that was to be changed is not there exactly as often as it should be."""


@dataclass(frozen=True, slots=True)
class Control:
    """`changes`: file, text, what it becomes. Without changes: a claim that is false of the sound core."""

    name: str
    proof: str
    changes: tuple[tuple[str, str, str], ...] = ()


CORE, ENVELOPE, RETAINED, PAIR = "eg_core.c", "eg_envelope.c", "eg_retained.c", "eg_pair.c"
CONTROLS = (
    Control(
        "the clamps removed",
        "envelope",
        (
            (CORE, "c->target = eg_clamp(wanted, limits->min, limits->max);", "c->target = wanted;"),
            (
                ENVELOPE,
                "return eg_clamp((int32_t)((int64_t)from + step), limits->min, limits->max);",
                "return (int32_t)((int64_t)from + step);",
            ),
        ),
    ),
    Control(
        "the retained output not clamped",
        "start_is_sound",
        ((CORE, "eg_clamp(before->output[i], limits->min, limits->max)", "before->output[i]"),),
    ),
    Control(
        "the deadline removed", "deadlines", ((CORE, "silent_for(state, table->lost_us, now_us)", "false"),)
    ),
    Control(
        "the deadline looked at after the request",
        "deadlines",
        (
            (CORE, "    watch(table, state, &inputs->senses, now_us);\n", ""),
            (
                CORE,
                "    eg_slew(table,",
                "    watch(table, state, &inputs->senses, now_us);\n    eg_slew(table,",
            ),
        ),
    ),
    Control(
        "the stop ignored",
        "stop",
        ((CORE, "return (table->stop == 1u) && (senses->stop_released != 1u);", "return false;"),),
    ),
    Control("the stop not latched", "stop", ((CORE, "state->latches |= EG_LATCH_STOP;", ""),)),
    Control(
        "the stop does not override the rules",
        "stop_is_safe",
        ((ENVELOPE, " || (state->reason == (uint8_t)EG_STOPPED)", ""),),
    ),
    Control(
        "armed after one command",
        "entry",
        ((CORE, "(c->in_time >= table->arm_commands)", "(c->in_time > 0u)"),),
    ),
    Control("armed by the host", "entry", ((CORE, "(request->by_operator == 1u) && ", ""),)),
    Control(
        "latches ignored",
        "entry",
        (
            (CORE, "    if (state->latches != 0u) {\n        return EG_LATCHED;\n    }\n", ""),
            (CORE, " && (state->latches == 0u) &&\n", " &&\n"),
        ),
    ),
    Control("latches released by the host", "latches", ((CORE, "(request->by_operator == 1u) && ", ""),)),
    Control(
        "the slew span not limited",
        "slew",
        ((ENVELOPE, "span_us = EG_SLEW_SPAN_MAX_US;", "span_us = span_us + 0u;"),),
    ),
    Control("the slew removed", "slew", ((ENVELOPE, "        step = up;\n", ""),)),
    Control(
        "a lost position ignored",
        "feedback",
        ((CORE, "usable = usable && eg_position_is_usable(", "usable = usable || eg_position_is_usable("),),
    ),
    Control("the lead removed", "lead", ((ENVELOPE, "        goal = high;\n", ""),)),
    Control(
        "the last rule that holds acts",
        "fallback",
        (
            (
                ENVELOPE,
                "for (uint32_t i = 0u; i < table->rules; i++) {",
                "for (uint32_t i = table->rules; i-- > 0u;) {",
            ),
        ),
    ),
    Control(
        "any source may", "requests", ((CORE, "if (request->source < limits->authority) {", "if (false) {"),)
    ),
    Control("a foreign policy is no reason", "modes", ((CORE, "fall_back(state, EG_POLICY_MISMATCH);", ""),)),
    Control(
        "damaged memory does not lock", "damage", ((CORE, "        recover(table, state, now_us);\n", ""),)
    ),
    Control("the copies not compared", "copies", ((PAIR, "return difference == 0u;", "return true;"),)),
    Control(
        "a move counted in 32 bits",
        "memory",
        ((ENVELOPE, "((int64_t)rate * (int64_t)span_us)", "(rate * (int32_t)span_us)"),),
    ),
    Control(
        "a sensor beyond the last",
        "memory",
        ((ENVELOPE, "&senses->sensor[term->sensor]", "&senses->sensor[term->sensor + EG_SENSORS_ROOM]"),),
    ),
    Control("claim: nothing is ever enabled", "never_enters"),
    Control("claim: nothing ever moves", "never_moves"),
    Control("claim: nothing is ever released", "never_releases"),
)


def copy_core(source: Path, target: Path, control: Control | None, *, abstract: bool) -> None:
    """Copy the core into `target`, broken by `control`; `abstract`: with `budget` left to the harness.

    Raises:
        StaleError: a text to be changed is not there exactly once (twice for the calls of `budget`).
    """
    target.mkdir(parents=True, exist_ok=True)
    texts = {path.name: path.read_text(encoding="ascii") for path in sorted(source.glob("*.[ch]"))}
    for name, old, new in control.changes if control else ():
        texts[name] = _changed(texts[name], old, new, 1, f"control `{control.name if control else ''}`")
    if abstract:
        texts[ENVELOPE] = _changed(texts[ENVELOPE], "= budget(", "= prove_budget(", 2, "the harness")
    for name, text in texts.items():
        (target / name).write_text(text, encoding="ascii")


def _changed(text: str, old: str, new: str, times: int, who: str) -> str:
    if text.count(old) != times:
        raise StaleError(
            f"{who}: `{old.strip()}` is in the core {text.count(old)} times, not {times}: change the control"
        )
    return text.replace(old, new)
