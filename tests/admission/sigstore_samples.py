"""Real signatures without a key, the trust that admits them, and ways to change them. See `data/sigstore`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeguard.admission.bundle import Vouched, verify_signature
from edgeguard.admission.trust import Trust, TrustedIdentity

DATA = Path(__file__).parent / "data" / "sigstore"
WHO, ISSUER = "stefanb@us.ibm.com", "https://sigstore.verify.ibm.com/oauth2"
ROOT = (DATA / "trusted_root.json").read_bytes()

Json = dict[str, Any]


def trusting(identity: str = WHO, issuer: str = ISSUER, root: bytes = ROOT, **rest: Any) -> Trust:
    return Trust(identities=(TrustedIdentity(root, identity, issuer),), **rest)


def signature(sample: str = "v1.1.0-sigstore") -> bytes:
    return (DATA / sample / "model.sig").read_bytes()


def verify(data: bytes, trust: Trust) -> Vouched:
    return verify_signature(data, trust, "model.sig")


def changed(change: Callable[[Json], object], sample: str = "v1.1.0-sigstore") -> bytes:
    document = json.loads(signature(sample))
    change(document)
    return json.dumps(document).encode()


def entry(document: Json) -> Json:
    return document["verificationMaterial"]["tlogEntries"][0]  # type: ignore[no-any-return]
