"""S8: why authority is where it is, and what the triggers that take none have to tell.

Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgeguard.desk.reference.modes import ModeState
from edgeguard.desk.reference.rows import Row
from edgeguard.desk.reference.triggers import Standing, demands, over
from edgeguard.types import Authority, Event, Mode

Values = Mapping[str, float | None]
REMEMBERING = (Mode.SAFE_STATE, Mode.LOCKOUT)
"""S8.1."""
TELLING: Mapping[Mode, tuple[Event, ...]] = {
    Mode.STANDBY: (Event.READY, Event.RESET),
    Mode.MANUAL: (Event.TAKE,),
    Mode.SAFE_STATE: (Event.STOP,),
    Mode.LOCKOUT: (Event.INTEGRITY, Event.STOP),
}
"""S8.5: the event of a mode that is a cause."""


@dataclass(frozen=True, slots=True)
class Reason:
    """S8.4: one cause. `since` in s."""

    name: str
    demands: Authority
    since: float
    expired: bool = False
    values: Values = field(default_factory=dict)
    mode: str = "enforce"


@dataclass(frozen=True, slots=True)
class Story:
    """What causes are told from, after S5 to S7."""

    rows: Sequence[Row]
    triggers: Sequence[Standing]
    last_held: Sequence[Values]
    now: float


def remembered(
    before: ModeState, after: ModeState, kept: Mapping[int, float], triggers: Sequence[Standing]
) -> Mapping[int, float]:
    """S8.1: which triggers were active on entering, by index, and since when."""
    if after.mode not in REMEMBERING:
        return {}
    if after.mode is before.mode:
        return kept
    return {i: trigger.since for i, trigger in enumerate(triggers) if trigger.since is not None}


def causes(
    story: Story,
    mode: ModeState,
    kept: Mapping[int, float],
    *,
    authority: Authority,
    silent_since: float | None,
) -> tuple[Reason, ...]:
    """S8.2 to S8.5. `authority`: the verdict's (S10.7); `silent_since`: since when the model gives no command (s)."""
    if silent_since is not None:
        return (Reason("event:no-suggestion", authority, silent_since),)
    if mode.mode is Mode.NOMINAL:
        return ()
    return (*_told_by_event(mode, authority), *_told_by_triggers(story, kept))


def notices(story: Story, mode: ModeState) -> tuple[Reason, ...]:
    """S8.7: the active triggers of the second list, in file order."""
    if mode.mode is Mode.INIT:
        return ()
    active = ((i, trigger.since) for i, trigger in enumerate(story.triggers))
    return tuple(_reason(story, i, since) for i, since in active if since is not None)


def _told_by_event(mode: ModeState, authority: Authority) -> tuple[Reason, ...]:
    """S8.5."""
    if mode.mode is Mode.INIT:
        return (Reason("event:init", authority, mode.since),)
    if mode.event is None or mode.event not in TELLING.get(mode.mode, ()):
        return ()
    return (Reason(f"event:{mode.event.value}", authority, mode.since),)


def _told_by_triggers(story: Story, kept: Mapping[int, float]) -> tuple[Reason, ...]:
    """S8.2, S8.3."""
    since = dict(kept)
    since.update({i: trigger.since for i, trigger in enumerate(story.triggers) if trigger.since is not None})
    order = sorted(since, key=lambda i: (-story.rows[i].then, since[i], i))
    return tuple(_reason(story, i, since[i]) for i in order)


def _reason(story: Story, index: int, since: float) -> Reason:
    """S8.4."""
    row = story.rows[index]
    return Reason(
        row.name,
        demands(row, since, story.now),
        since,
        over(row, since, story.now),
        story.last_held[index],
        row.mode,
    )
