"""Where the files that a policy names really lie: beside it, or in a copy that the device keeps of an admitted whole.

Opens no file. Nothing is believed for where it lies: whatever is found is admitted by its signature, pin or digest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgeguard.program import ModelRef
from edgeguard.terms import AdmissionTerms, Pin, SignerTerm


@dataclass(frozen=True, slots=True)
class Home:
    """`base`: the folder that the policy's relative paths start from; None: its own. `kept`: path -> path of a copy."""

    base: Path | None = None
    kept: Mapping[str, str] = field(default_factory=dict)

    def at(self, path: str) -> str:
        """Where the file or folder that the policy calls `path` is to be read."""
        return self.kept.get(os.path.normpath(Path(path).absolute()), path)

    def terms(self, terms: AdmissionTerms) -> AdmissionTerms:
        """The terms with their key and certificate files where they are to be read."""
        return replace(terms, signers=tuple(map(self._signer, terms.signers)))

    def model(self, ref: ModelRef) -> ModelRef:
        """The model with its bundle and manifest where they are to be read."""
        return replace(ref, path=self.at(ref.path), manifest=self.at(ref.manifest) if ref.manifest else "")

    def _signer(self, term: SignerTerm) -> SignerTerm:
        return replace(
            term,
            key=self._pin(term.key),
            authority=self._pin(term.authority),
            keyless=self._pin(term.keyless),
            post_quantum=self._pin(term.post_quantum),
        )

    def _pin(self, pin: Pin | None) -> Pin | None:
        return None if pin is None else Pin(self.at(pin.path), pin.sha256)
