"""Admission: which model, policy and calibration bytes may be used at all.

The only room that opens model files. What it admits are bytes in memory; a path is never handed on.
Signatures, the manifest and the model's inspection are checked before anything is loaded; a refusal is final.
"""

from __future__ import annotations

from edgeguard.admission.bundle import AdmittedFile, AdmittedModel
from edgeguard.admission.floor import Floor, MemoryFloor
from edgeguard.admission.keys import PublicKey, load_public_keys, new_key
from edgeguard.admission.loading import admit_models, load_trust, trust_keys
from edgeguard.admission.manifest import InputSpec, Manifest, TensorSpec
from edgeguard.admission.sign import sign_bundle, sign_file
from edgeguard.admission.store import admit_bundle, admit_file
from edgeguard.admission.trust import Demands, Moment, Trust

__all__ = [
    "AdmittedFile",
    "AdmittedModel",
    "Demands",
    "Floor",
    "InputSpec",
    "Manifest",
    "MemoryFloor",
    "Moment",
    "PublicKey",
    "TensorSpec",
    "Trust",
    "admit_bundle",
    "admit_file",
    "admit_models",
    "load_public_keys",
    "load_trust",
    "new_key",
    "sign_bundle",
    "sign_file",
    "trust_keys",
]
