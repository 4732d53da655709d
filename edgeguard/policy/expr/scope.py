"""What an expression may name, with what kind and unit each name has. Data only; `checker` and `expand` read it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from edgeguard.policy.dimension import ONE, Unit
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.tree import Kind


class Type(NamedTuple):
    """What a part of an expression gives."""

    kind: Kind
    unit: Unit | None = None
    """Of a number. None: a bare literal (or a unit that has a finding of its own), which takes any."""
    owner: str = ""
    """Of a class: the signal whose labels it can be compared with."""
    label: bool = False
    """Of a class: a label itself, not a signal."""


@dataclass(frozen=True, slots=True)
class Let:
    """A named expression. Without a node it has a finding of its own, and says nothing where it is used."""

    type: Type | None = None
    node: tree.Node | None = None
    """Everything named in it is filled in already."""
    size: tree.Size = tree.SINGLE
    """Of the node."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Plain names with their kind, the members of each base, and what is known of them beyond that."""

    names: Mapping[str, Kind]
    members: Mapping[str, Collection[str]]
    """Of each base. Members are numbers, but those of a class signal, which are its labels in order."""
    foreign: Mapping[str, str] = field(default_factory=dict)
    """Names that mean something elsewhere, with what to say about them here."""
    units: Mapping[str, Unit | None] = field(default_factory=dict)
    """Unit of a name or of `base.name`; a number that is not here is a plain one."""
    lets: Mapping[str, Let] = field(default_factory=dict)
    later: Collection[str] = ()
    """Named expressions that may not be used yet."""

    def known(self) -> tuple[str, ...]:
        """Every plain name, for a hint."""
        return (*self.names, *self.lets)

    def named(self, name: str) -> Type:
        """The type of a plain name that is no named expression."""
        kind = self.names[name]
        if kind is Kind.NUMBER:
            return Type(kind, self.units.get(name, ONE))
        return Type(kind, owner=name if kind is Kind.CLASS else "")

    def member(self, base: str, name: str) -> Type:
        """The type of `base.name`."""
        if self.names.get(base) is Kind.CLASS:
            return Type(Kind.CLASS, owner=base, label=True)
        return Type(Kind.NUMBER, self.units.get(f"{base}.{name}", ONE))
