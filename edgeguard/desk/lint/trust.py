"""Trust that is wider than need be, or that nothing can use: signers, and a device without a clock.

Looks at the policy alone; what a certificate or a key file holds is not read.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgeguard.desk.findings import Finding
from edgeguard.desk.lint.subject import Subject
from edgeguard.policy.signers import may_sign, needed


def wide_authorities(subject: Subject) -> Iterator[Finding]:
    """EG1416: everybody with a certificate under an authority may sign."""
    admission = subject.document.policy.admission
    for i, signer in enumerate(admission.signers if admission else ()):
        if signer.authority is not None and signer.identity is None:
            message = "whoever gets a certificate under this authority may sign"
            hint = "add `identity`: for whom the certificate must be"
            place = subject.name("admission", "signers", i, "authority")
            yield subject.finding("EG1416", message, place, hint)


def idle_signers(subject: Subject) -> Iterator[Finding]:
    """EG1417: somebody is trusted for nothing that the policy names."""
    policy = subject.document.policy
    roles = [role for role, _ in needed(policy)]
    for i, signer in enumerate(policy.admission.signers if policy.admission else ()):
        if not any(may_sign(signer, role) for role in roles):
            message = "the policy names nothing that this signer may sign"
            hint = "remove the signer, or name what they are to sign"
            yield subject.finding("EG1417", message, subject.value("admission", "signers", i), hint)


def forgetful_devices(subject: Subject) -> Iterator[Finding]:
    """EG1418: without a clock only what is remembered tells how late it is."""
    admission = subject.document.policy.admission
    if admission and admission.clock == "none" and admission.require.floor == "optional":
        message = "without a clock, how late it is must be remembered, and nothing says that it is"
        hint = "add `require: {floor: file}`, or `floor: tpm`"
        yield subject.finding("EG1418", message, subject.name("admission", "clock"), hint)
