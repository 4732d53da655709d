"""The wrapper of a signature, held to its exact form: see docs/explanation/mutation.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from edgeguard.admission.envelope import (
    Opened,
    open_envelope,
    pre_authentication_encoding,
    read_envelope,
    seal,
)
from edgeguard.admission.trust import Grant, Trust
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import (
    Forge,
    Json,
    compact,
)

HINT = "ab" * 32
MARK = "\u202e"
"""Turns the rest of a line around: not printable."""


def refused(call: Callable[..., object], *given: object) -> tuple[str, str]:
    """The reason of a refusal and the very path that it names."""
    with pytest.raises(AdmissionError) as caught:
        call(*given)
    assert str(caught.value).isprintable()
    return caught.value.reason, caught.value.path


def said(call: Callable[[], object]) -> str:
    """What a refusal says, without its path and reason."""
    with pytest.raises(AdmissionError) as caught:
        call()
    return str(caught.value).split(": ", 2)[2]


@dataclass(frozen=True)
class Stub:
    """Signs everything alike."""

    hint: str = HINT

    def public(self) -> Any:
        return self

    def sign(self, message: bytes) -> bytes:
        assert message == pre_authentication_encoding(b"{}")
        return b"signed"


class TestEnvelope:
    """The wrapper, spelled out."""

    def test_what_is_signed_is_the_type_and_the_payload_with_their_lengths(self) -> None:
        signed = pre_authentication_encoding(b"{}")
        assert signed == b"DSSEv1 28 application/vnd.in-toto+json 2 {}"

    def test_what_is_sealed_is_spelled_so_and_no_other_way(self) -> None:
        head = '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":'
        tail = (
            ',"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json",'
            '"signatures":[{"sig":"c2lnbmVk","keyid":""}]}}'
        )
        key = f'{{"publicKey":{{"hint":"{HINT}"}},"tlogEntries":[]}}'
        assert seal(b"{}", Stub()).decode() == head + key + tail
        chain = '{"x509CertificateChain":{"certificates":[{"rawBytes":"YQ=="},{"rawBytes":"Yg=="}]},"tlogEntries":[]}'
        assert seal(b"{}", Stub(), [b"a", b"b"]).decode() == head + chain + tail

    def test_what_is_opened_is_whole_and_can_be_compared(self, forge: Forge) -> None:
        hint = forge.key.public().hint
        opened = open_envelope(seal(b"{}", forge.key), forge.signers, "p", None)
        assert opened == Opened(b"{}", hint, "", Grant(), frozenset({hint}))
        assert {opened} == {Opened(b"{}", hint, marks=frozenset({hint}))}

    def test_what_is_only_read_is_nobody_s(self) -> None:
        assert read_envelope(seal(b"{}", Stub()), "p") == Opened(b"{}", "", "", Grant(), frozenset())

    def changed(self, change: Callable[[Json], object], chain: Sequence[bytes] = ()) -> bytes:
        wrapper = json.loads(seal(b"{}", Stub(), chain))
        change(wrapper)
        return compact(wrapper)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda w: w.update(mediaType="x"), "signature-unsupported"),
            (lambda w: w.pop("mediaType"), "signature-malformed"),
            (lambda w: w["dsseEnvelope"].update(payloadType="x"), "signature-unsupported"),
            (lambda w: w["dsseEnvelope"].update(payload="x"), "signature-malformed"),
            (lambda w: w["dsseEnvelope"].update(payload=1), "signature-malformed"),
        ],
    )
    def test_what_is_only_read_is_held_to_its_form(
        self, change: Callable[[Json], object], reason: str
    ) -> None:
        assert refused(lambda: read_envelope(self.changed(change), "p.sig")) == (reason, "p.sig")

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda w: w["verificationMaterial"].update(publicKey={"hint": HINT}), "signature-malformed"),
            (lambda w: w["verificationMaterial"].update(tlogEntries=[1]), "signature-unsupported"),
            (lambda w: w["verificationMaterial"].update(tlogEntries={}), "signature-malformed"),
            (lambda w: w["verificationMaterial"]["x509CertificateChain"].update(x=1), "signature-malformed"),
            (
                lambda w: w["verificationMaterial"]["x509CertificateChain"]["certificates"][0].update(x=1),
                "signature-malformed",
            ),
            (
                lambda w: w["verificationMaterial"]["x509CertificateChain"]["certificates"][0].update(
                    rawBytes="YQ"
                ),
                "signature-malformed",
            ),
            (lambda _: None, "certificate-untrusted"),
        ],
    )
    def test_the_wrapper_of_a_chain_is_held_to_its_form_before_its_certificates_are_looked_at(
        self, change: Callable[[Json], object], reason: str
    ) -> None:
        data = self.changed(change, [b"a"])
        assert refused(lambda: open_envelope(data, Trust(), "p.sig", None)) == (reason, "p.sig")

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda w: w["verificationMaterial"].update(x=1), "signature-malformed"),
            (lambda w: w["verificationMaterial"].update(tlogEntries=[1]), "signature-unsupported"),
            (lambda w: w["verificationMaterial"].update(tlogEntries={}), "signature-malformed"),
            (lambda w: w["verificationMaterial"]["publicKey"].update(x=1), "signature-malformed"),
            (lambda w: w["verificationMaterial"]["publicKey"].update(hint="0" * 64), "unknown-signer"),
            (lambda w: w["dsseEnvelope"].update(x=1), "signature-malformed"),
            (lambda w: w["dsseEnvelope"].update(payloadType="x"), "signature-unsupported"),
            (lambda w: w["dsseEnvelope"].update(payload="x"), "signature-malformed"),
            (lambda w: w["dsseEnvelope"].update(payload="W10="), "signature-invalid"),
            (lambda w: w["dsseEnvelope"]["signatures"].append({"sig": "YQ=="}), "signature-malformed"),
            (lambda w: w["dsseEnvelope"]["signatures"].clear(), "signature-malformed"),
            (lambda w: w["dsseEnvelope"]["signatures"][0].update(x=1), "signature-malformed"),
            (lambda w: w["dsseEnvelope"]["signatures"][0].update(keyid="x"), "signature-malformed"),
            (lambda w: w["dsseEnvelope"]["signatures"][0].update(keyid=None), "signature-malformed"),
            (lambda w: w["dsseEnvelope"]["signatures"][0].update(sig="x"), "signature-malformed"),
            (lambda w: w["dsseEnvelope"]["signatures"][0].update(sig="YQ=="), "signature-invalid"),
            (lambda w: w.update(x="\n"), "signature-malformed"),
        ],
    )
    def test_the_wrapper_of_a_key_s_signature_is_held_to_its_form(
        self, change: Callable[[Json], object], reason: str, forge: Forge
    ) -> None:
        wrapper = forge.wrapper(b"{}")
        assert open_envelope(compact(wrapper), forge.signers, "p.sig", None).payload == b"{}"
        change(wrapper)
        assert refused(open_envelope, compact(wrapper), forge.signers, "p.sig", None) == (reason, "p.sig")

    def test_escapes_are_refused_before_anything_is_read_from_them(self, forge: Forge) -> None:
        data = seal(b"{}", forge.key).replace(b'"sig"', b'"s\\u0069g"')
        assert refused(open_envelope, data, forge.signers, "p.sig", None) == ("signature-malformed", "p.sig")
        assert refused(read_envelope, data, "p.sig") == ("signature-malformed", "p.sig")

    def test_what_may_be_left_out_or_repeated_may(self, forge: Forge) -> None:
        changes: tuple[Callable[[Json], object], ...] = (
            lambda w: w["verificationMaterial"].pop("tlogEntries"),
            lambda w: w["dsseEnvelope"]["signatures"][0].pop("keyid"),
            lambda w: w["dsseEnvelope"]["signatures"][0].update(keyid=forge.key.public().hint),
        )
        for change in changes:
            wrapper = forge.wrapper(b"{}")
            change(wrapper)
            assert open_envelope(compact(wrapper), forge.signers, "p", None).payload == b"{}"

    @pytest.mark.parametrize("hint", [HINT + "a", HINT + "\u202e", HINT[1:], "x" * 64, HINT.upper()])
    def test_a_hint_is_64_digits(self, hint: str, forge: Forge) -> None:
        data = self.changed(lambda w: w["verificationMaterial"]["publicKey"].update(hint=hint))
        data = compact(json.loads(data)).replace(b"\\u202e", MARK.encode())
        assert refused(lambda: open_envelope(data, forge.signers, "p.sig", None)) == (
            "signature-malformed",
            "p.sig",
        )

    def test_a_refusal_says_where_in_the_wrapper(self, forge: Forge) -> None:
        words = "`mediaType` is missing: sign it again with `edgeguard sign`"
        assert said(lambda: open_envelope(b"{}", forge.signers, "p", None)) == words

    def test_what_is_no_json_is_said_to_be_none(self, forge: Forge) -> None:
        assert said(lambda: open_envelope(b"{", forge.signers, "p", None)).startswith(
            "it is not JSON (line 1"
        )

    @pytest.mark.parametrize(
        "loose", ["e30=\n", "e30", "e3 0=", "e31=", "e30=e30=", "-_8=", "\u00e9\u00e9==", ""]
    )
    def test_base64_has_one_spelling(self, loose: str, forge: Forge) -> None:
        wrapper = forge.wrapper(b"{}")
        wrapper["dsseEnvelope"]["payload"] = loose
        data = json.dumps(wrapper, separators=(",", ":"), ensure_ascii=False).encode()
        assert refused(lambda: open_envelope(data, forge.signers, "p.sig", None)) == (
            "signature-malformed",
            "p.sig",
        )


class TestSpace:
    """White space outside of texts."""

    @pytest.mark.parametrize(
        ("old", "new", "good"),
        [
            (b'",', b'", ', True),
            (b'":', b'": ', True),
            (b'",', b'" ,', False),
            (b'",', b'",  ', False),
            (b'":', b'" :', False),
            (b"{", b"{ ", False),
            (b"}", b" }", False),
            (b"{", b"\n{", False),
            (b"}}", b"}\r}", False),
        ],
    )
    def test_one_space_after_a_comma_or_colon_is_all_there_may_be(
        self, old: bytes, new: bytes, good: bool, forge: Forge
    ) -> None:
        data = seal(b"{}", forge.key).replace(old, new, 1)
        if good:
            assert open_envelope(data, forge.signers, "p", None).payload == b"{}"
        else:
            assert refused(open_envelope, data, forge.signers, "p", None) == ("signature-malformed", "p")

    def test_a_line_may_end_once(self, forge: Forge) -> None:
        data = seal(b"{}", forge.key)
        assert open_envelope(data + b"\n", forge.signers, "p", None).payload == b"{}"
        for end in (b"\n\n", b" ", b" \n", b"\r\n", b"\r", b"\t"):
            assert refused(open_envelope, data + end, forge.signers, "p", None) == (
                "signature-malformed",
                "p",
            )
