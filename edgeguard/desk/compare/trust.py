"""What of a policy says whom and what a device admits, as facts: signers, demands, revocations, limits, pins.

More that may be signed, or by more, and less that is asked is more permissive. A pin has no order: it admits one
bundle, and that one whoever signed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    """Somebody who may sign one role. Digests are hex; empty: anybody under the authority, no second key needed."""

    kind: str
    sha256: str
    identity: str
    issuer: str
    role: str
    second: str

    def covers(self, other: Trusted) -> bool:
        """Whether whatever `other` may sign, this may too."""
        same = (self.kind, self.sha256, self.issuer) == (other.kind, other.sha256, other.issuer)
        wider = self.identity in ("", other.identity) and self.second in ("", other.second)
        return same and wider and self.role == other.role


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
        yield (*place(role), "digest"), Fact(model.digest or "", _known_changed, _pin)
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


def _signers(terms: AdmissionTerms) -> frozenset[Trusted]:
    return frozenset(trusted for signer in terms.signers for trusted in _trusted(signer))


def _trusted(signer: SignerTerm) -> Iterator[Trusted]:
    pins = {"key": signer.key, "authority": signer.authority, "keyless": signer.keyless}
    second = signer.post_quantum.sha256 if signer.post_quantum else ""
    for kind, pin in pins.items():
        if pin is not None:
            for role in signer.signs or ROLES:
                yield Trusted(kind, pin.sha256, signer.identity, signer.issuer, role, second)


def _fewer_trusted(old: frozenset[Trusted], new: frozenset[Trusted]) -> Order:
    """The stricter the less anybody may sign: every entry of the stricter policy is covered by one of the other."""
    less, more = _covered(new, old), _covered(old, new)
    if less and more:
        return Order.EQUIVALENT
    if less:
        return Order.STRICTER
    return Order.PERMISSIVE if more else Order.INCOMPARABLE


def _covered(some: Iterable[Trusted], others: frozenset[Trusted]) -> bool:
    return all(any(other.covers(one) for other in others) for one in some)


def _more(old: frozenset[object], new: frozenset[object]) -> Order:
    """The more the stricter."""
    return fewer(new, old)


def _known_changed(old: str | None, new: str | None) -> Order:
    """Of a model that both policies have."""
    return Order.EQUIVALENT if old is None or new is None else changed(old, new)


def _said(signers: frozenset[Trusted]) -> str:
    grants: dict[Trusted, list[str]] = {}
    for one in sorted(signers):
        grants.setdefault(one._replace(role=""), []).append(one.role)
    return "; ".join(_signer(who, roles) for who, roles in grants.items()) or "nobody"


def _signer(who: Trusted, roles: list[str]) -> str:
    name = f"{who.identity} under {who.sha256[:12]}" if who.identity else who.sha256[:12]
    what = "everything" if len(roles) == len(ROLES) else ", ".join(roles)
    return f"{name} for {what}" + (f" with {who.second[:12]}" if who.second else "")


def _digests(digests: frozenset[str]) -> str:
    return ", ".join(sorted(digest[:12] for digest in digests)) or "none"


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _pin(digest: str) -> str:
    return digest[:12] or "none"


def _asked(value: bool) -> str:  # noqa: FBT001 - a fact's own value
    return "asked for" if value else "not asked for"
