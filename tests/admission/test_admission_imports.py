"""What a device that trusts keys only does not have to load before it starts."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("cryptography.x509", "cryptography.hazmat.primitives.ciphers.aead", "sigstore", "tuf", "onnx")


def test_certificates_ciphers_and_sigstore_are_loaded_only_when_they_are_met() -> None:
    script = "import sys, edgeguard.admission; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert {"edgeguard.admission", "edgeguard.admission.keys"} <= set(loaded.stdout.split())
    assert not set(HEAVY) & set(loaded.stdout.split())
