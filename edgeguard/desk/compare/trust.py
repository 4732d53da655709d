"""What of a policy says whom and what a device admits, as facts: signers, demands, revocations, limits, pins.

More that may be signed, or by more, and less that is asked is more permissive. A pin has no order: it admits one
bundle, and that one whoever signed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path as Folder
from typing import NamedTuple, get_args

from edgeguard.desk.compare.fact import Fact, fewer, floor, limit, number
from edgeguard.desk.compare.order import Order, changed, falling, rising
from edgeguard.policy.deployment import admission_terms
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.looks import bundles, place
from edgeguard.policy.source import Path
from edgeguard.policy.units import memory_text
from edgeguard.policy.vouching import Signable
from edgeguard.terms import AdmissionTerms, AssessmentTerm, ClaimsTerm, SignerTerm
from edgeguard.terms import Limits as GraphLimits

FLOORS = ("optional", "file", "tpm")
"""From what is worth the least to the most."""
ROLES: tuple[str, ...] = get_args(Signable)


class Trusted(NamedTuple):
    """Somebody who may sign. Digests are hex. Empty `identity`: anybody under the authority; `second`: none needed."""

    kind: str
    sha256: str
    identity: str
    issuer: str
    roles: frozenset[str]
    second: str

    def fits(self, other: Trusted) -> bool:
        """Whether a signature that is said to be by `other` counts as one of this one."""
        same = (self.kind, self.sha256) == (other.kind, other.sha256)
        return same and self.identity in ("", other.identity) and self.issuer in ("", other.issuer)

    def grants(self, other: Trusted) -> bool:
        """Whether this one may sign whatever `other` may, with no more besides."""
        return other.roles <= self.roles and self.second in ("", other.second)


def trust(document: PolicyDocument) -> Iterator[tuple[Path, Fact]]:
    """Every such fact of a policy by its place."""
    terms = admission_terms(document, base=Folder())
    yield ("admission", "signers"), Fact(_signers(terms), _fewer_trusted, _said)
    yield from _required(terms)
    yield ("admission", "clock"), Fact(terms.clock == "system", rising, lambda s: "system" if s else "none")
    yield ("admission", "revoked"), Fact(terms.revoked, _more, _digests)
    yield from _limits(terms.limits)
    yield ("admission", "decrypt"), Fact(frozenset(terms.content_keys), fewer, _listed)
    for role, model in bundles(document.policy).items():
        yield (*place(role), "pin"), Fact(model.pin or "", _known_changed, _pin)
        yield (*place(role), "manifest"), Fact(model.manifest or "", _known_changed, lambda m: m or "its own")


def _required(terms: AdmissionTerms) -> Iterator[tuple[Path, Fact]]:
    path: Path = ("admission", "require")
    yield (*path, "security_version"), Fact(terms.security_version, rising)
    asked = terms.assessment or AssessmentTerm()
    yield (*path, "assessment", "clean_accuracy"), Fact(asked.clean_accuracy, floor, number)
    yield (*path, "assessment", "robust_accuracy"), Fact(asked.robust_accuracy, floor, number)
    yield (*path, "assessment", "risk_at_most"), Fact(asked.risk_at_most, limit, number)
    claims = terms.claims or ClaimsTerm()
    yield (*path, "claims", "adversarial_training"), Fact(claims.adversarial_training, rising, _asked)
    yield (*path, "claims", "data_filtering"), Fact(claims.data_filtering, rising, _asked)
    yield (*path, "claims", "ensemble"), Fact(claims.ensemble, rising, _asked)
    yield (*path, "claims", "epsilon_at_most"), Fact(claims.epsilon_at_most, limit, number)
    yield (*path, "calibration"), Fact(terms.calibration_attested, rising, _asked)
    yield (*path, "post_quantum"), Fact(terms.post_quantum, rising, _asked)
    yield (*path, "floor"), Fact(FLOORS.index(terms.floor), rising, FLOORS.__getitem__)


def _limits(limits: GraphLimits) -> Iterator[tuple[Path, Fact]]:
    path: Path = ("admission", "limits")
    yield (*path, "nodes"), Fact(limits.nodes, falling)
    yield (*path, "tensors"), Fact(limits.tensors, falling)
    yield (*path, "memory"), Fact(limits.memory, falling, memory_text)
    low, high = limits.opset
    opset = frozenset(range(low, high + 1))
    yield (*path, "opset"), Fact(opset, fewer, lambda versions: f"{min(versions)} to {max(versions)}")
    yield (*path, "operators"), Fact(frozenset(limits.operators), fewer, _listed)


def _signers(terms: AdmissionTerms) -> tuple[Trusted, ...]:
    return tuple(_trusted(signer) for signer in terms.signers)


def _trusted(signer: SignerTerm) -> Trusted:
    pins = {"key": signer.key, "authority": signer.authority, "keyless": signer.keyless}
    kind, sha256 = next((kind, pin.sha256) for kind, pin in pins.items() if pin is not None)
    second = signer.post_quantum.sha256 if signer.post_quantum else ""
    return Trusted(kind, sha256, signer.identity, signer.issuer, frozenset(signer.signs or ROLES), second)


def _fewer_trusted(old: tuple[Trusted, ...], new: tuple[Trusted, ...]) -> Order:
    """The stricter the less may be signed, whoever signs it: the first entry that fits a signature counts."""
    less, more = _within(new, old), _within(old, new)
    if less and more:
        return Order.EQUIVALENT
    if less:
        return Order.STRICTER
    return Order.PERMISSIVE if more else Order.INCOMPARABLE


def _within(some: Sequence[Trusted], others: Sequence[Trusted]) -> bool:
    """Whether every signature may sign at most as much for `some` as for `others`."""
    for signature in _signatures((*some, *others)):
        here, there = _first(some, signature), _first(others, signature)
        if here is not None and (there is None or not there.grants(here)):
            return False
    return True


def _signatures(known: Iterable[Trusted]) -> Iterator[tuple[Trusted, ...]]:
    """Every signature that could tell two lists apart: by one of those known, by somebody else under an authority, and
    by two at once, because a certificate can have two names, or lead to two authorities."""
    known = {one._replace(roles=frozenset(), second="") for one in known}
    known |= {one._replace(identity=_ANYBODY) for one in known if not one.identity}
    yield from ((one,) for one in known)
    named = [one for one in known if one.kind != "key"]
    yield from ((one, other) for one, other in combinations(named, 2) if one.kind == other.kind)


_ANYBODY = "\n"
"""A name that no policy can hold."""


def _first(signers: Sequence[Trusted], signature: Sequence[Trusted]) -> Trusted | None:
    return next((signer for signer in signers if any(map(signer.fits, signature))), None)


def _more(old: frozenset[object], new: frozenset[object]) -> Order:
    """The more the stricter."""
    return fewer(new, old)


def _known_changed(old: str | None, new: str | None) -> Order:
    """Of a model that both policies have."""
    return Order.EQUIVALENT if old is None or new is None else changed(old, new)


def _said(signers: tuple[Trusted, ...]) -> str:
    return "; ".join(map(_signer, signers)) or "nobody"


def _signer(who: Trusted) -> str:
    name = f"{who.identity} under {who.sha256[:12]}" if who.identity else who.sha256[:12]
    what = "everything" if len(who.roles) == len(ROLES) else ", ".join(sorted(who.roles))
    return f"{name} for {what}" + (f" with {who.second[:12]}" if who.second else "")


def _digests(digests: frozenset[str]) -> str:
    return ", ".join(sorted(digest[:12] for digest in digests)) or "none"


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _pin(pin: str) -> str:
    return pin[:12] or "none"


def _asked(value: bool) -> str:  # noqa: FBT001 - a fact's own value
    return "asked for" if value else "not asked for"
