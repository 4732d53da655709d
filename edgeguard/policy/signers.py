"""Can everything that a policy names be admitted by what it says of signers, demands and revocations?

Reads the policy alone: no key file, no clock. What a key file holds is compared with its pin when it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgeguard.policy.diagnostics import quote
from edgeguard.policy.findings import Findings
from edgeguard.policy.looks import FILTER, FUSED, PRIMARY, REDUNDANT, bundles, place
from edgeguard.policy.schema import Policy
from edgeguard.policy.source import Path
from edgeguard.policy.vouching import Admission, Claims, Signer

KINDS = ("key", "authority", "keyless")
"""What a signer can be."""

_SIGNERS: Path = ("admission", "signers")
_REVOKED: Path = ("admission", "revoked")
_SIGNER = "add `signers: [{key: release.pub, sha256: …}]`"
_ADMISSION = "add `admission: {signers: [{key: release.pub, sha256: …}]}`"


def check_signers(findings: Findings) -> None:
    """Report signers that cannot be told or trusted, demands that nothing can meet, and what nobody may sign."""
    admission = findings.policy.admission
    if admission is not None:
        for i, signer in enumerate(admission.signers):
            _kind(findings, signer, (*_SIGNERS, i))
        _seconds(findings, admission)
        _demands(findings, admission)
        _revoked(findings, admission)
        _twice(findings, admission)
    _nobody(findings)


def needed(policy: Policy) -> Iterator[tuple[str, Path]]:
    """What must be signed to be admitted, by the role that a signer can be limited to, with where it is named."""
    for name, model in bundles(policy).items():
        if model.pin is None:
            yield name if name in (PRIMARY, FILTER, FUSED) else REDUNDANT, place(name)
        if model.manifest is not None:
            yield "manifest", (*place(name), "manifest")
    primary = (policy.models or {}).get(PRIMARY)
    for i in range(len(primary.alternates or ()) if primary and primary.pin is not None else 0):
        yield PRIMARY, ("models", PRIMARY, "alternates", i)
    if policy.calibration is not None:
        yield "calibration", ("calibration",)


def may_sign(signer: Signer, role: str) -> bool:
    """Whether a signer is trusted for a role."""
    return signer.signs is None or role in signer.signs


def kind_of(signer: Signer) -> str:
    """`key`, `authority` or `keyless`; empty for what is none of them."""
    return next((kind for kind in KINDS if getattr(signer, kind) is not None), "")


def _kind(findings: Findings, signer: Signer, path: Path) -> None:
    """One of key, authority and keyless, with what belongs to it."""
    given = [kind for kind in KINDS if getattr(signer, kind) is not None]
    if not given:
        hint = "add `key: FILE.pub`, `authority: ROOT.pem` or `keyless: TRUSTED_ROOT.json`"
        findings.at_value("EG1335", "this signer has no `key`, `authority` or `keyless`", path, hint)
    for extra in given[1:]:
        message = f"a signer has either `{given[0]}` or `{extra}`"
        findings.at_key("EG1335", message, (*path, extra), "write two signers")
    if given == ["keyless"]:
        for wanted in ("identity", "issuer"):
            if getattr(signer, wanted) is None:
                message = f"a `keyless` signer needs `{wanted}`: anybody can get such a certificate"
                findings.at_key("EG1335", message, (*path, "keyless"), _WHO[wanted])
    if given == ["key"] and signer.identity is not None:
        message = "a key has no `identity`: who holds it may sign"
        findings.at_key("EG1335", message, (*path, "identity"), "remove it")
    if given in (["key"], ["authority"]) and signer.issuer is not None:
        message = f"`issuer` is only for `keyless`, not for `{given[0]}`"
        findings.at_key("EG1335", message, (*path, "issuer"), "remove it")
    if signer.issuer is not None and not signer.issuer.startswith("https://"):
        hint = "like `https://accounts.google.com`"
        findings.at_value("EG1335", f"{quote(signer.issuer)} is no issuer", (*path, "issuer"), hint)


_WHO = {
    "identity": "add whom it must be for, like `identity: release@example.org`",
    "issuer": "add who vouches for the identity, like `issuer: https://accounts.google.com`",
}


def _seconds(findings: Findings, admission: Admission) -> None:
    """Where every signature needs a second one, every signer must be able to give it."""
    for i, signer in enumerate(admission.signers if admission.require.post_quantum else ()):
        if signer.post_quantum is None:
            message = "this signer has no `post_quantum` key, and every signature needs one with it"
            hint = "add `post_quantum: {key: FILE.pub, sha256: …}`, or remove the signer"
            findings.at_value("EG1336", message, (*_SIGNERS, i), hint)


def _demands(findings: Findings, admission: Admission) -> None:
    """A section that asks for something must say what."""
    require = admission.require
    if require.assessment is not None and not require.assessment.model_fields_set:
        hint = "write `clean_accuracy`, `robust_accuracy` or `risk_at_most`"
        path = ("admission", "require", "assessment")
        findings.at_key("EG1102", "an assessment must be asked for something", path, hint)
    if require.claims == Claims():
        hint = "write `adversarial_training`, `data_filtering` or `ensemble: true`, or `epsilon_at_most`"
        path = ("admission", "require", "claims")
        findings.at_key("EG1102", "the claims must be asked for something", path, hint)


def _revoked(findings: Findings, admission: Admission) -> None:
    """Nothing that the policy trusts may be revoked by it."""
    trusted: dict[str, tuple[str, Path]] = {}
    for i, signer in enumerate(admission.signers):
        path: Path = (*_SIGNERS, i)
        trusted.setdefault(signer.sha256, ("a signer", path))
        if signer.post_quantum is not None:
            trusted.setdefault(signer.post_quantum.sha256, ("a second key", path))
    for name, model in bundles(findings.policy).items():
        if model.pin is not None:
            trusted.setdefault(model.pin, (f"the pin of {quote(name)}", (*place(name), "pin")))
    for i, entry in enumerate(admission.revoked):
        if entry.sha256 in trusted:
            what, path = trusted[entry.sha256]
            line = findings.source.key(path).line
            message = f"{quote(entry.sha256[:16] + '…')} is revoked, and is {what} at line {line}"
            hint = "remove that, or this revocation"
            findings.at_value("EG1337", message, (*_REVOKED, i, "sha256"), hint)


def _twice(findings: Findings, admission: Admission) -> None:
    """Nothing stands twice, and no signer behind one that fits whatever it fits: the first that fits counts."""
    for i, signer in enumerate(admission.signers):
        first = next((j for j in range(i) if _fits(admission.signers[j], signer)), None)
        if first is not None:
            line = findings.source.value((*_SIGNERS, first)).line
            message = f"this signer never counts: the one at line {line} fits whatever it signs"
            hint = "write one entry, or the one without an `identity` last"
            findings.at_value("EG1338", message, (*_SIGNERS, i), hint)
        roles = ((role, (*_SIGNERS, i, "signs", j)) for j, role in enumerate(signer.signs or ()))
        findings.twice("EG1338", "the role", roles)
    digests = ((entry.sha256, (*_REVOKED, i, "sha256")) for i, entry in enumerate(admission.revoked))
    findings.twice("EG1338", "the revoked", digests)
    names = admission.limits.operators
    operators: Path = ("admission", "limits", "operators")
    findings.twice("EG1338", "the operator", ((name, (*operators, i)) for i, name in enumerate(names)))
    places = ((place, ("admission", "decrypt", i)) for i, place in enumerate(admission.decrypt))
    findings.twice("EG1338", "the place", places)


def _fits(earlier: Signer, later: Signer) -> bool:
    """Whether every signature of `later` would be taken for one of `earlier`."""
    same = (kind_of(earlier), earlier.sha256) == (kind_of(later), later.sha256)
    who = (earlier.identity, earlier.issuer)
    return same and who in ((None, None), (later.identity, later.issuer))


def _nobody(findings: Findings) -> None:
    """Something that nobody may sign can never be admitted."""
    admission = findings.policy.admission
    signers = admission.signers if admission is not None else ()
    for role, path in needed(findings.policy):
        if not signers:
            wanted, hint = ("admission", _ADMISSION) if admission is None else ("admission.signers", _SIGNER)
            message = f"`{path[0]}` cannot be admitted without `{wanted}`"
            findings.at_key("EG1316", message, path[:1], hint)
            return
        if not any(may_sign(signer, role) for signer in signers):
            message = f"no signer may sign this: its role is `{role}`"
            hint = f"add `{role}` to the `signs` of a signer"
            if role not in ("calibration", "manifest"):
                hint += ", or give the bundle a `pin`"
            findings.at_key("EG1339", message, path, hint)
