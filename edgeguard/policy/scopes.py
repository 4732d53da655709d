"""Which names the expressions of a policy may use, read from plain values: a mistake elsewhere hides nothing here.

Tolerant on purpose: what does not fit here is a finding of the stage that types the sections.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from edgeguard.policy.dimension import LONGEST_UNIT, Unit, UnknownUnitError, parse_unit
from edgeguard.policy.expr.scope import Let, Scope
from edgeguard.policy.expr.tree import Kind
from edgeguard.policy.local import is_constant
from edgeguard.policy.source import Value

AUTHORITIES = ("model", "rules", "human", "safe_state")

_KINDS = {"bool": Kind.TRUTH, "class": Kind.CLASS}


def scope_of(values: Mapping[str, Value]) -> Scope:
    """The scope of every expression but those of `invariants`, without named expressions."""
    signals = _mapping(values.get("signals"))
    names = {name: _kind(entry) for name, entry in signals.items()}
    numbers = [name for name, kind in names.items() if kind is Kind.NUMBER]
    members: dict[str, Collection[str]] = {"calibrated": tuple(numbers)}
    units: dict[str, Unit | None] = {}
    for name in numbers:
        units[name] = units[f"calibrated.{name}"] = unit_of(signals[name])
    for name, kind in names.items():
        if kind is Kind.CLASS:
            members[name] = _labels(signals[name])
    elsewhere = dict.fromkeys(("authority", *AUTHORITIES), "authority is only known in `invariants`")
    hint = "it is a sensor of the microcontroller, and only its own rules read it"
    elsewhere.update(dict.fromkeys(sensors_of(values), hint))
    return Scope(names, members, elsewhere, units)


def invariant_scope(values: Mapping[str, Value], plain: Scope) -> Scope:
    """`plain`, and what is decided and commanded."""
    words = dict.fromkeys(("authority", *AUTHORITIES), Kind.AUTHORITY)
    actuators = _mapping(values.get("envelope"))
    units = {f"command.{name}": unit_of(entry) for name, entry in actuators.items()}
    return replace(
        plain,
        names={**plain.names, **words},
        members={**plain.members, "command": tuple(actuators)},
        units={**plain.units, **units},
        foreign={},
    )


def local_scope(values: Mapping[str, Value], lets: Mapping[str, Let]) -> Scope:
    """The scope of the microcontroller's own rules: its sensors, and names for constants."""
    sensors = sensors_of(values)
    theirs = "the microcontroller does not know it: it reads only its own `sensors`"
    elsewhere = {
        **dict.fromkeys(("authority", *AUTHORITIES, *_mapping(values.get("signals")), *lets), theirs),
        "calibrated": "the microcontroller has no calibration: write the number",
    }
    return Scope(
        dict.fromkeys(sensors, Kind.NUMBER),
        {},
        elsewhere,
        {name: unit_of(entry) for name, entry in sensors.items()},
        {name: let for name, let in lets.items() if name not in sensors and _constant(let)},
    )


def sensors_of(values: Mapping[str, Value]) -> Mapping[str, Value]:
    """The microcontroller's sensors by name."""
    return _mapping(_mapping(values.get("microcontroller")).get("sensors"))


def _constant(let: Let) -> bool:
    """Whether a name stands for a number that reads nothing; one with a finding of its own may pass."""
    number = let.type is None or let.type.kind is Kind.NUMBER
    return number and (let.node is None or is_constant(let.node))


def with_lets(plain: Scope, lets: Mapping[str, Let]) -> Scope:
    """`plain` with named expressions; a signal of the same name hides them."""
    return replace(plain, lets={name: let for name, let in lets.items() if name not in plain.names})


def unit_of(entry: Value) -> Unit | None:
    """The unit that a section states; plain when it states none, None when it cannot be read."""
    text = entry.get("unit", "") if isinstance(entry, Mapping) else ""
    if not isinstance(text, str):
        return None
    try:
        return parse_unit(text) if len(text) <= LONGEST_UNIT else None
    except UnknownUnitError:
        return None


def _kind(entry: Value) -> Kind:
    kind = entry.get("type") if isinstance(entry, Mapping) else None
    return _KINDS.get(kind, Kind.NUMBER) if isinstance(kind, str) else Kind.NUMBER


def _labels(entry: Value) -> tuple[str, ...]:
    labels = entry.get("labels") if isinstance(entry, Mapping) else None
    return tuple(label for label in labels if isinstance(label, str)) if isinstance(labels, tuple) else ()


def _mapping(value: Value | None) -> Mapping[str, Value]:
    return value if isinstance(value, Mapping) else {}
