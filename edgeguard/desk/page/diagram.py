"""The modes of the decision machine and every way from one to another, as data, as Mermaid and as a drawing.

Written down for people; a test enumerates `decision.machine.next_mode` and holds this list to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from edgeguard.decision.machine import AUTHORITY
from edgeguard.types import Mode

ARMED = (Mode.NOMINAL, Mode.DEGRADED, Mode.TAKEOVER_REQUEST)
"""The modes among which the most restrictive demand of the active rules decides."""

WHO: dict[Mode, str] = {
    Mode.INIT: "starting up",
    Mode.STANDBY: "nobody acts",
    Mode.NOMINAL: "the model acts",
    Mode.DEGRADED: "the rules act",
    Mode.TAKEOVER_REQUEST: "a human is asked",
    Mode.MANUAL: "a human acts",
    Mode.SAFE_STATE: "safe values",
    Mode.LOCKOUT: "until a restart",
}


@dataclass(frozen=True, slots=True)
class Transition:
    """From any of `sources` to one of `targets` (where there are several, the one that is demanded) when `guard`."""

    sources: tuple[Mode, ...]
    targets: tuple[Mode, ...]
    guard: str


def transitions(lockout_after: int) -> tuple[Transition, ...]:
    """Every transition between two different modes. `lockout_after`: as in the table; 0: never."""
    nominal, degraded, asked = ARMED
    manual, safe, lockout = (Mode.MANUAL,), (Mode.SAFE_STATE,), (Mode.LOCKOUT,)
    found = [
        Transition((Mode.INIT,), (Mode.STANDBY,), "READY"),
        Transition((Mode.STANDBY,), (nominal,), "ARM while no rule holds"),
        Transition((Mode.STANDBY,), manual, "TAKE"),
        Transition((degraded, asked), (nominal,), "no rule is active"),
        Transition((nominal, asked), (degraded,), "rules are demanded"),
        Transition((nominal, degraded), (asked,), "a human is demanded"),
        Transition(ARMED, manual, "TAKE, unless the safe state is demanded"),
        Transition(manual, ARMED, "RELEASE"),
        Transition(safe, manual, "TAKE"),
        Transition(safe, (Mode.STANDBY,), "RESET while no rule is active"),
    ]
    if lockout_after != 1:
        newly = "STOP, or the safe state is demanded, newly or at RELEASE"
        found += [
            Transition(ARMED, safe, "STOP, or the safe state is demanded"),
            Transition(manual, safe, newly),
        ]
    if lockout_after:
        instead = f"instead of the safe state, at entry {lockout_after} since the start"
        found.append(Transition((*ARMED, *manual), lockout, instead))
    running = tuple(mode for mode in Mode if mode is not Mode.LOCKOUT)
    found.append(Transition(running, lockout, "the guard's own integrity is broken"))
    return tuple(found)


def mermaid(lockout_after: int) -> str:
    """The diagram as Mermaid `stateDiagram-v2`. `armed` stands for each of the modes in it."""
    inside: list[str] = []
    around: list[str] = []
    for way in transitions(lockout_after):
        if len(way.sources) == len(Mode) - 1:
            around.append(f"    note right of {_grouped(way.targets)[0]}: from every mode when {way.guard}")
            continue
        lines = inside if set(way.sources) <= set(ARMED) >= set(way.targets) else around
        target = _grouped(way.targets)[0]
        lines += [f"    {source} --> {target}: {way.guard}" for source in _grouped(way.sources)]
    return "\n".join(
        [
            "stateDiagram-v2",
            "    direction LR",
            *(f'    state "{title(mode)} ({WHO[mode]})" as {mode.value}' for mode in Mode),
            '    state "armed: the most restrictive demand decides" as armed {',
            *(f"    {line}" for line in inside),
            "    }",
            "    [*] --> init",
            *around,
            "",
        ]
    )


def _grouped(modes: tuple[Mode, ...]) -> tuple[str, ...]:
    """The modes by name, the armed ones as one where all of them are there."""
    if set(ARMED) <= set(modes):
        return ("armed", *(mode.value for mode in modes if mode not in ARMED))
    return tuple(mode.value for mode in modes)


def title(mode: Mode) -> str:
    """A mode as people read it."""
    return mode.value.upper().replace("_", " ")


# --- the drawing ---

_WIDTH, _HEIGHT = 150, 54
_PLACES: dict[Mode, tuple[int, int]] = {
    Mode.INIT: (10, 44),
    Mode.STANDBY: (10, 200),
    Mode.NOMINAL: (250, 44),
    Mode.DEGRADED: (414, 44),
    Mode.TAKEOVER_REQUEST: (578, 44),
    Mode.MANUAL: (578, 200),
    Mode.SAFE_STATE: (310, 360),
    Mode.LOCKOUT: (578, 360),
}
_Label = tuple[int, int, str, str]
"""x, y, anchor, text."""
_TO_SAFE: tuple[tuple[str, tuple[_Label, ...]], ...] = (
    ("M345 112 V360", ((337, 272, "end", "STOP, or the safe"), (337, 287, "end", "state is demanded"))),
    ("M624 254 L460 376", ((560, 318, "start", "STOP, or newly demanded"),)),
)
_ARROWS: tuple[tuple[str, tuple[_Label, ...]], ...] = (
    ("M85 98 V200", ((93, 154, "start", "ready"),)),
    ("M150 200 L254 112", ((212, 123, "end", "ARM while"), (212, 138, "end", "no rule holds"))),
    ("M160 227 H578", ((176, 219, "start", "TAKE"),)),
    ("M684 112 V200", ((692, 161, "start", "TAKE"),)),
    ("M622 200 V112", ((614, 161, "end", "RELEASE"),)),
    ("M425 360 L586 254", ((478, 316, "end", "TAKE"),)),
    ("M310 387 H85 V254", ((93, 404, "start", "RESET while no rule is active"),)),
)


def svg(lockout_after: int) -> str:
    """The diagram as an SVG element. Every mode is a group with `data-mode`, for the page to light."""
    arrows = [_arrow(path, labels) for path, labels in _ARROWS]
    if lockout_after != 1:
        arrows += [_arrow(path, labels) for path, labels in _TO_SAFE]
    if lockout_after:
        label = (519, 404, "middle", f"at entry {lockout_after}")
        arrows.append(_arrow("M460 392 H578", (label,), kind="way dashed"))
    parts = [
        '<svg class="modes" viewBox="0 0 748 440" role="img" aria-labelledby="modes-title">',
        '<title id="modes-title">The modes of the decision and the ways between them</title>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
        '<path class="tip" d="M0 0 L8 4 L0 8 Z"/></marker></defs>',
        '<rect class="group" x="236" y="12" width="508" height="100" rx="12"/>',
        '<text class="caption" x="250" y="33">armed: the most restrictive demand of all active rules decides</text>',
        *arrows,
        _label(653, 432, "middle", "any mode: integrity broken"),
        *(_box(mode) for mode in Mode),
        "</svg>",
    ]
    return "\n".join(parts)


def _box(mode: Mode) -> str:
    x, y = _PLACES[mode]
    middle = x + _WIDTH // 2
    return (
        f'<g class="mode {AUTHORITY[mode].name.lower()}" data-mode="{mode.value}">'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>'
        f'<text class="name" x="{middle}" y="{y + 23}">{escape(title(mode))}</text>'
        f'<text x="{middle}" y="{y + 41}">{escape(WHO[mode])}</text></g>'
    )


def _arrow(path: str, labels: tuple[_Label, ...], kind: str = "way") -> str:
    drawn = f'<path class="{kind}" d="{path}" marker-end="url(#tip)"/>'
    return drawn + "".join(_label(*label) for label in labels)


def _label(x: int, y: int, anchor: str, text: str) -> str:
    return f'<text class="guard" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
