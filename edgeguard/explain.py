"""A verdict in words: who acts, which rule at which line took authority away, on which values, and what gives it back.

Pure text from plain values: no file, no clock, no colour. Explains what was decided and never decides anything itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeguard.types import Authority, Cause, Mode, Verdict

EVENT_PREFIX = "event:"
"""A cause that is no rule but something a person or the runtime did is called `event:NAME`."""

_WHO: Mapping[Mode, str] = {
    Mode.INIT: "nobody acts yet",
    Mode.STANDBY: "nobody acts: the guard stands by and every actuator is at its safe value",
    Mode.NOMINAL: "the model acts",
    Mode.DEGRADED: "the fallback rules act instead of the model",
    Mode.TAKEOVER_REQUEST: "a human is asked to take over, and the fallback rules act until then",
    Mode.MANUAL: "a human acts",
    Mode.SAFE_STATE: "nobody acts: the safe state holds every actuator at its safe value",
    Mode.LOCKOUT: "nobody acts: the guard is locked out and every actuator is at its safe value",
}
_DEMANDS: Mapping[Authority, str] = {
    Authority.MODEL: "nothing",
    Authority.RULES: "the fallback rules",
    Authority.HUMAN: "a human",
    Authority.SAFE_STATE: "the safe state",
}


def explain(verdict: Verdict, *, policy: str = "", start: float = 0.0) -> str:
    """Return a few sentences about `verdict`; also about the rules that hold, but only warn or audit.

    `policy`: its name and version, as in `sign-gate version 7`. `start`: what times count from (s), such as the start
    of the run.
    """
    sentences = [f"{_who(verdict)}{_because(verdict, policy, start)}"]
    others = [c for c in _rules(verdict) if c is not verdict.causes[0]]
    if others:
        named = ", ".join(f"{_name(c)} (line {c.line}, demands {_DEMANDS[c.demands]})" for c in others)
        sentences.append(f"also holding: {named}")
    back = what_gives_back(verdict)
    if back:
        sentences.append(back)
    if verdict.notices:
        told = ", ".join(f"{_name(c)} ({_place(c)}{c.mode}): {c.says or c.text}" for c in verdict.notices)
        sentences.append(f"holding without taking authority: {told}")
    return ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences) + "."


def change(before: Verdict | None, after: Verdict, *, start: float = 0.0) -> str:
    """Return one line about a change of authority or mode: when, from whom to whom, and the first cause."""
    was = "start" if before is None else _seat(before)
    line = f"{after.at - start:9.3f} s  {was} -> {_seat(after)}"
    if after.causes:
        return f"{line}: {summary(after.causes[0])}"
    return line


def changed(before: Verdict | None, after: Verdict) -> bool:
    """Tell whether authority or mode changed between two verdicts; the first verdict is a change."""
    return before is None or (before.authority, before.mode) != (after.authority, after.mode)


def summary(cause: Cause) -> str:
    """Return a cause in a few words: the rule, its line, its condition and what it saw."""
    if is_event(cause):
        return cause.text
    saw = _values(cause)
    return f"`{cause.rule}` (line {cause.line}): {cause.text}{f' [{saw}]' if saw else ''}"


def is_event(cause: Cause) -> bool:
    """Tell whether the cause is something that was done, and not a rule of the policy."""
    return cause.rule.startswith(EVENT_PREFIX)


def what_gives_back(verdict: Verdict) -> str:
    """Return what would give authority back, as a clause; empty while the model acts."""
    clears = " and ".join(dict.fromkeys(f"{c.clears} ({_name(c)})" for c in _rules(verdict) if c.clears))
    if verdict.mode is Mode.NOMINAL:
        return ""
    if verdict.mode is Mode.DEGRADED:
        return f"the model acts again after: {clears}" if clears else ""
    if verdict.mode is Mode.TAKEOVER_REQUEST:
        left = ""
        if verdict.takeover_deadline is not None:
            left = f" within {max(0.0, verdict.takeover_deadline - verdict.at):.1f} s"
        return f"the operator takes over{left}" + (
            f", or the model acts again after: {clears}" if clears else ""
        )
    if verdict.mode is Mode.SAFE_STATE:
        first = f"after: {clears}, then" if clears else "after"
        return f"authority comes back {first} the operator's reset and arming; or the operator takes over"
    return {
        Mode.INIT: "the guard stands by at the end of warm-up",
        Mode.STANDBY: f"the model acts when the operator arms{f', after: {clears}' if clears else ''}",
        Mode.MANUAL: "authority comes back when the operator releases",
        Mode.LOCKOUT: "only a restart ends it",
    }[verdict.mode]


def _who(verdict: Verdict) -> str:
    who = _WHO[verdict.mode]
    if verdict.answer is not None and verdict.mode is Mode.NOMINAL:
        return f"{who} on its answer `{verdict.answer.name}` ({number(verdict.answer.certainty)} certain)"
    return who


def _because(verdict: Verdict, policy: str, start: float) -> str:
    if not verdict.causes and verdict.notices:
        return ""  # some rule does speak against it
    if not verdict.causes:
        return ", and no rule speaks against it" if verdict.mode is Mode.NOMINAL else ""
    cause = verdict.causes[0]
    since = f"since {cause.since - start:.2f} s ({max(0.0, verdict.at - cause.since):.2f} s ago)"
    if is_event(cause):
        return f" {since}: {cause.text}"
    where = f"line {cause.line}{f' of {policy}' if policy else ''}"
    saw = _values(cause)
    expired = ", because nobody took over in time" if cause.expired else ""
    text = cause.text if "`" in cause.text else f"`{cause.text}`"
    held = f"{text} held{f' with {saw}' if saw else ''}"
    held += f" ({cause.says})" if cause.says else ""
    return f" because rule {_name(cause)} ({where}) has demanded {_DEMANDS[cause.demands]} {since}{expired}: {held}"


def _rules(verdict: Verdict) -> tuple[Cause, ...]:
    return tuple(c for c in verdict.causes if not is_event(c))


def _place(cause: Cause) -> str:
    """The line of a rule; a worker that does not answer stands in no policy."""
    return f"line {cause.line}, " if cause.line else ""


def _name(cause: Cause) -> str:
    return f"`{cause.rule}`"


def _seat(verdict: Verdict) -> str:
    return f"{verdict.authority.name.lower()} ({verdict.mode.value})"


def _values(cause: Cause) -> str:
    seen = ", ".join(f"{name} {number(value)}" for name, value in cause.values.items())
    limits = ", ".join(f"calibrated.{name} {number(value)}" for name, value in cause.thresholds.items())
    return " against ".join(part for part in (seen, limits) if part)


def number(value: float | None) -> str:
    """Return a value to four digits; `no value` where there is none."""
    return "no value" if value is None else f"{value:.4g}"
