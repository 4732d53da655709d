"""What is believed of Sigstore's library: nothing that was not compared, and no error of its own reaches anybody."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any, NoReturn

import pytest
from cryptography import x509

from edgeguard.admission.keyless import _path_up
from edgeguard.admission.reasons import shown
from edgeguard.admission.x509 import read_certificate
from edgeguard.errors import AdmissionError
from tests.admission.sigstore_samples import (
    ISSUER,
    ROOT,
    WHO,
    changed,
    signature,
    trusting,
    verify,
)
from tests.hostile.bundles.builders_pki import Party, Plan, authority, good, made

pytest.importorskip("sigstore", reason="the extra `sigstore` is not installed")


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import edgeguard.admission

    monkeypatch.delitem(sys.modules, "edgeguard.admission.transparency", raising=False)
    monkeypatch.delattr(edgeguard.admission, "transparency", raising=False)
    monkeypatch.setitem(sys.modules, "sigstore.errors", None)
    with pytest.raises(
        AdmissionError, match=r"signature-unsupported: .* install `edgeguard-runtime\[sigstore\]`"
    ):
        verify(signature(), trusting())


def test_a_certificate_that_names_no_issuer_is_for_nobody() -> None:
    from edgeguard.admission import transparency

    raw = json.loads(ROOT)["certificateAuthorities"][1]["certChain"]["certificates"][0]["rawBytes"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(raw))
    assert not transparency.is_for(certificate, WHO, ISSUER)


class TestADistrustedLibrary:
    """What Sigstore's library says is held against what stands in the file."""

    @pytest.fixture
    def library(self) -> Any:
        from edgeguard.admission import transparency

        return transparency

    def _reason(self) -> str:
        with pytest.raises(AdmissionError) as caught:
            verify(signature(), trusting())
        return caught.value.reason

    def test_another_payload_than_the_one_in_the_file_is_refused(
        self, library: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(library, "verified_payload", lambda *_: b"{}")
        assert self._reason() == "signature-malformed"

    def test_another_certificate_than_the_one_in_the_file_is_refused(
        self, library: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        payload = base64.b64decode(json.loads(signature())["dsseEnvelope"]["payload"])
        read = library.read_bundle
        other = read(signature("v1.0.0-sigstore"))[0]
        monkeypatch.setattr(library, "read_bundle", lambda data: (other, read(data)[1]))
        monkeypatch.setattr(library, "verified_payload", lambda *_: payload)
        assert self._reason() == "signature-malformed"

    def test_an_error_of_any_kind_is_a_refusal(self, library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> NoReturn:
            raise RuntimeError("no such luck")

        monkeypatch.setattr(library, "verified_payload", fail)
        assert self._reason() == "signature-invalid"

    def test_a_certificate_that_only_the_library_can_read_is_refused(
        self, library: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = changed(lambda d: d["verificationMaterial"]["certificate"].update(rawBytes="AAAA"))
        bundle = library.read_bundle(signature())[0]
        monkeypatch.setattr(library, "read_bundle", lambda _: (bundle, data))
        monkeypatch.setattr(library, "verified_payload", lambda *_: b"{}")
        with pytest.raises(AdmissionError, match=r"^model\.sig: certificate-"):
            verify(data, trusting())

    def test_what_the_library_says_is_passed_on_in_short(
        self, library: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for said, told in (("no luck: expected luck", "no luck"), ("x" * 200, shown("x" * 200, longest=120))):

            def fail(*_: object, said: str = said) -> NoReturn:
                raise library.Error(said)

            monkeypatch.setattr(library, "verified_payload", fail)
            with pytest.raises(AdmissionError, match="signature-invalid") as caught:
                verify(signature(), trusting())
            assert f"(Sigstore: `{told}`)" in str(caught.value)

    def test_an_authority_that_the_root_does_not_name_is_refused(
        self, library: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = library.issuers
        for keep in (slice(0, 1), slice(1, 2), slice(2, 3)):
            monkeypatch.setattr(library, "issuers", lambda root, keep=keep: real(root)[keep])
            assert self._reason() == "certificate-untrusted"
        monkeypatch.setattr(library, "issuers", real)
        assert verify(signature(), trusting()).identity == WHO

    def test_a_signature_that_only_the_library_verified_is_refused(
        self, library: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The envelope verifies the certificate's key over the payload once more."""
        data = changed(lambda d: d["dsseEnvelope"]["signatures"][0].update(sig="AAAA"))
        payload = base64.b64decode(json.loads(data)["dsseEnvelope"]["payload"])
        monkeypatch.setattr(library, "verified_payload", lambda *_: payload)
        with pytest.raises(AdmissionError, match="signature-invalid"):
            verify(data, trusting())


class TestTheWayUp:
    """From a signer's certificate through the authorities of a trusted root, by the rules of all certificates."""

    def _way(self, leaf: Party, *authorities: Party) -> list[str]:
        read = read_certificate(leaf.der, "model.sig")
        return [c.name for c in _path_up(read, [party.der for party in authorities], "model.sig")]

    def test_each_issuer_is_found_whatever_the_order(self) -> None:
        signer, between, root = good()
        for order in ((between, root), (root, between), (good()[2], root, between)):
            assert self._way(signer, *order) == ["CN=signer", "CN=intermediate", "CN=root"]

    def test_what_is_over_was_right_when_it_was_used(self) -> None:
        root = made(authority("root"))
        assert self._way(made(Plan(days=(-20, -10)), root), root) == ["CN=signer", "CN=root"]

    def test_path_lengths_and_purposes_hold(self) -> None:
        root = made(authority("root", path_length=0))
        between = made(authority("intermediate"), root)
        for leaf, above in [(made(Plan(), between), between), (made(Plan(usage=None), root), root)]:
            with pytest.raises(AdmissionError, match=r"model\.sig: certificate-unfit"):
                self._way(leaf, above, root)

    def test_a_way_that_leads_nowhere_is_refused(self) -> None:
        signer, between, _ = good()
        for above in ((), (between,), (good()[1],)):
            with pytest.raises(AdmissionError, match=r"model\.sig: certificate-untrusted"):
                self._way(signer, *above)

    def test_an_authority_that_cannot_be_read_is_refused(self) -> None:
        with pytest.raises(AdmissionError, match=r"^model\.sig: certificate-"):
            _path_up(read_certificate(good()[0].der, "model.sig"), [b"no certificate"], "model.sig")

    def test_two_authorities_that_vouch_for_each_other_lead_nowhere(self) -> None:
        root = made(authority("one"))
        other = made(authority("two"), root)
        again = made(authority("one", key=root.key), other)
        with pytest.raises(AdmissionError, match=r"^model\.sig: certificate-untrusted"):
            self._way(made(Plan(), root), again, other)
