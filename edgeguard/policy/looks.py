"""Looks: which models a policy gives, what each signal is taken from, and in which process each look runs.

Plain look-ups over a typed policy; whether it makes sense is checked in `models`, `isolation` and `schedule`.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeguard.policy.running import Bundle, Worker
from edgeguard.policy.schema import Policy, SignalDeclaration
from edgeguard.policy.source import Path
from edgeguard.policy.sources import every_name

PRIMARY, PLAIN, SQUEEZED, FILTER, FUSED = "primary", "plain", "squeezed", "filter", "fused"
REDUNDANT = "redundant"
"""What every classifier but the primary is, whatever its name."""


HOST = "host"
"""What a process is called that no worker is."""


def redundant(policy: Policy) -> tuple[str, ...]:
    """The names of the redundant models, in file order."""
    return tuple(name for name in policy.models or () if name != PRIMARY)


def bundles(policy: Policy) -> Mapping[str, Bundle]:
    """Every model of the policy by role; alternates are the primary's."""
    found: dict[str, Bundle] = dict(policy.models or {})
    if policy.filter:
        found[FILTER] = policy.filter
    if policy.fused:
        found[FUSED] = policy.fused
    return found


def place(role: str) -> Path:
    """Where the bundle of a role stands in the policy."""
    return (role,) if role in (FILTER, FUSED) else ("models", role)


def runnable(policy: Policy) -> tuple[str, ...]:
    """What a worker may run: models, and the further looks of the primary."""
    named = tuple(bundles(policy))
    if policy.fused:  # it stands for the primary and the filter in all their looks
        return tuple(name for name in named if name not in (PRIMARY, FILTER))
    if PRIMARY not in named:
        return named
    return (*named, *((PLAIN, SQUEEZED) if policy.filter else (SQUEEZED,)))


def workers(policy: Policy) -> Mapping[str, Worker]:
    """The workers by name, in file order."""
    return policy.isolation.workers if policy.isolation else {}


def homes(policy: Policy) -> Mapping[str, str]:
    """The worker of everything that one runs; what is not here runs in the host. `plain` and `squeezed` run with the
    primary where no worker names them."""
    found: dict[str, str] = {}
    for name, worker in workers(policy).items():
        for what in worker.runs:
            found.setdefault(what, name)
    if PRIMARY in found:
        for look in runnable(policy):
            if look in (PLAIN, SQUEEZED):
                found.setdefault(look, found[PRIMARY])
    return found


def home(policy: Policy, look: str) -> str:
    """The process in which a look runs."""
    return homes(policy).get(look, HOST)


def measure(name: str, signal: SignalDeclaration) -> str:
    """What is measured: what the signal says, else what its name does; a class of models is an answer."""
    free = signal.of is not None and name not in every_name()
    return signal.measure or ("answer" if free and signal.type == "class" else name)


def taken_from(policy: Policy, name: str) -> tuple[str, ...]:
    """The looks that a signal of models is computed from; empty for any other signal."""
    signal = policy.signals[name]
    if signal.of is None:
        return ()
    first, what = FUSED if policy.fused else PRIMARY, measure(name, signal)
    if what == "answer":
        return (first,) if signal.of == (PRIMARY,) else signal.of
    if policy.fused and what != "votes":  # the graph computes it itself
        return (FUSED,)
    if what in ("disagreement", "votes"):
        return tuple(first if role == PRIMARY else role for role in signal.of)
    if what == "reconstruction":
        return (PRIMARY, PLAIN)
    if what == "squeezing":
        return (PLAIN if policy.filter else PRIMARY, SQUEEZED)
    return (PRIMARY,)


def asked_for(policy: Policy, name: str) -> tuple[str, ...]:
    """Of these looks, those that are not the answer's own: what a schedule can spare."""
    return tuple(look for look in taken_from(policy, name) if look not in (PRIMARY, FUSED))
