"""Which names the expressions of a policy may use, read from plain values: a mistake elsewhere hides nothing here.

Tolerant on purpose: what does not fit here is a finding of the stage that types the sections.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from edgeguard.policy.dimension import LONGEST_UNIT, Unit, UnknownUnitError, parse_unit
from edgeguard.policy.expr.scope import Let, Scope
from edgeguard.policy.expr.tree import Kind
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
