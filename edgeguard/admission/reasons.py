"""The stable codes of every refusal, and the one way to build one.

A refusal names a reason, the file and what to do about it. Nothing here decides anything or touches a file.
Codes are public: scripts and tests match on them, so one may be added but never renamed or reused.
"""

from __future__ import annotations

from typing import Literal

from edgeguard.errors import AdmissionError

Reason = Literal[
    # the signature
    "signature-missing",
    "signature-malformed",
    "signature-unsupported",
    "signature-invalid",
    "unknown-signer",
    "certificate-malformed",
    "certificate-untrusted",
    "certificate-unfit",
    "certificate-expired",
    "certificate-not-yet-valid",
    "identity-mismatch",
    "signer-not-allowed",
    "revoked",
    "post-quantum-missing",
    "post-quantum-invalid",
    # what was signed
    "statement-invalid",
    "name-unsafe",
    "name-duplicate",
    "name-mismatch",
    "root-mismatch",
    "pin-mismatch",
    # the files
    "digest-mismatch",
    "file-missing",
    "file-extra",
    "link",
    "not-a-file",
    "too-large",
    "unreadable",
    "decryption-failed",
    "key-missing",
    # the manifest
    "manifest-invalid",
    "rollback",
    "expired",
    "not-yet-valid",
    "clock-wrong",
    "wrong-device",
    "wrong-role",
    "attestation-missing",
    "attestation-below",
    # the model
    "model-invalid",
    "pickle",
    "external-data",
    "engine-context",
    "operator-unknown",
    "custom-operator",
    "opset-unsupported",
    "contract-mismatch",
    "too-much-memory",
    # the device's memory
    "floor-missing",
    "floor-damaged",
    "floor-weak",
    # the delivery
    "below-threshold",
    "metadata-invalid",
]


def refusal(reason: Reason, path: str, message: str) -> AdmissionError:
    """Build the error to raise. `path` is the offending file; `message` says what is wrong and what to do."""
    return AdmissionError(reason, shown(path), message)


def shown(text: str, *, longest: int = 200) -> str:
    """Make foreign text safe to print: no control characters, no lone surrogates, not endless."""
    cut = text if len(text) <= longest else f"{text[:longest]}..."
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in cut)
