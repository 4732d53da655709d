"""Where keys that sign and keys that decrypt are kept: a file, a security token (PKCS#11), or sealed by a TPM.

`open_signing_key`, `open_second_key` and `open_secret` take the name of a place: `PATH`, `pkcs11:...` or `tpm:PATH`.
Nothing here decides what a key may be used for, and `admission` knows nothing of this room.
"""

from __future__ import annotations

from edgeguard.keystores.opening import KeyStore, open_second_key, open_secret, open_signing_key

__all__ = ["KeyStore", "open_second_key", "open_secret", "open_signing_key"]
