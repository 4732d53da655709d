"""Admission: which model, policy and calibration bytes may be used at all.

The only room that opens model files. What it admits are bytes in memory; a path is never handed on.
Signatures, the manifest and the model's inspection are checked before anything is loaded; a refusal is final.
"""

from __future__ import annotations

from edgeguard.admission.bundle import AdmittedFile, AdmittedModel
from edgeguard.admission.keys import PublicKey, load_pinned_keys, load_public_keys, new_key
from edgeguard.admission.manifest import InputSpec, Manifest, TensorSpec
from edgeguard.admission.sign import sign_bundle, sign_file
from edgeguard.admission.store import admit_bundle, admit_file

__all__ = [
    "AdmittedFile",
    "AdmittedModel",
    "InputSpec",
    "Manifest",
    "PublicKey",
    "TensorSpec",
    "admit_bundle",
    "admit_file",
    "load_pinned_keys",
    "load_public_keys",
    "new_key",
    "sign_bundle",
    "sign_file",
]
