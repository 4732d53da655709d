"""The slice of `make mutation` for the core of admission: each change lets something in, or nothing any more.

As in `test_mutation_slice`: each change is made to the source, which is loaded anew and must be noticed.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from edgeguard.admission.keys import PrivateKey
from edgeguard.admission.trust import Demands, Grant, Trust
from edgeguard.errors import AdmissionError
from edgeguard.terms import AdmissionTerms, ClaimsTerm
from tests.hostile.bundles.builders import Forge, Json, compact, good_files, good_statement
from tests.hostile.bundles.builders_pki import (
    NOW,
)
from tests.house.test_mutation_slice import NOTICED, Load, loader, source_of

STRICT, FIELDS = "edgeguard.admission.strictjson", "edgeguard.admission.fields"
STATEMENT, ENVELOPE = "edgeguard.admission.statement", "edgeguard.admission.envelope"
BUNDLE, TRUST, LOADING = (f"edgeguard.admission.{name}" for name in ("bundle", "trust", "loading"))


def outcome(call: Callable[[], object]) -> str:
    """The reason of a refusal, or `admitted`."""
    try:
        call()
    except AdmissionError as error:
        return error.reason
    return "admitted"


@functools.cache
def signer() -> PrivateKey:
    return PrivateKey(ec.generate_private_key(ec.SECP256R1()))


# --- what must come out, written by hand ------------------------------------------------------------------------------


def text_of_one_meaning(load: Load) -> None:
    strict = load(STRICT)
    assert strict.parse(b"[" * 32 + b"]" * 32)
    assert strict.parse(b'["' + b"[" * 99 + b'"]')
    assert strict.parse(b"1" * 40) == int("1" * 40)
    for data in (
        b"[" * 33 + b"]" * 33,
        b'{"a":1,"a":1}',
        b"[NaN]",
        b"1" * 41,
        b"0." + b"1" * 39,
        b'["\\ud800"]',
        b'"\xff"',
    ):
        with pytest.raises(strict.NotStrictError):
            strict.parse(data)


def fields_of_an_object(load: Load) -> None:
    fields = load(FIELDS).Fields
    found = fields({"a": "x", "b": [{"c": "y"}]}, "", "statement-invalid", "p", "x")
    found.only("a", optional=("b", "d"))
    assert (found.text("a"), found.children("b")[0].text("c"), "d" in found) == ("x", "y", False)
    for wrong in (
        lambda: fields([], "", "statement-invalid", "p", "x"),
        lambda: found.only("a", "b", "c"),
        lambda: found.only("a"),
        lambda: found.text("b"),
        lambda: found.items("a"),
        lambda: found.child("b"),
    ):
        assert outcome(wrong) == "statement-invalid"


def statements(load: Load) -> None:
    core = load(STATEMENT)

    def made_of(*names: str, **digests: str) -> Json:
        listed: Json = json.loads(core.build_statement("s", {**dict.fromkeys(names, "0" * 64), **digests}))
        return listed

    def read(document: Json) -> str:
        return outcome(lambda: core.parse_statement(compact(document), "p"))

    for names in (("a",), (".",), ("a/b", "a/c"), ("a" * 512,), tuple(f"f{i}" for i in range(1000))):
        assert read(made_of(*names)) == "admitted", names
    for name in (
        "..",
        "a/../b",
        "/a",
        "a//b",
        "a\\b",
        "a\0",
        "a\u202e",
        "a" * 513,
        "model.sig",
        "model.sig.ml-dsa-65",
    ):
        assert read(made_of("x", name)) == "name-unsafe", name
    assert read(made_of(".", "x")) == "name-unsafe"
    assert read(made_of("a", "A")) == read(made_of("\u00e9", "e\u0301")) == "name-duplicate"
    assert read(made_of(*(f"f{i}" for i in range(1001)))) == "statement-invalid"
    assert read(made_of(a="A" * 64)) == "statement-invalid"
    changes: dict[str, Callable[[Json], object]] = {
        "root-mismatch": lambda s: s["subject"][0]["digest"].update(sha256="1" * 64),
        "signature-unsupported": lambda s: s["predicate"]["serialization"].update(hash_type="md5"),
        "statement-invalid": lambda s: s["subject"].append(s["subject"][0]),
    }
    for reason, change in changes.items():
        document = made_of("a")
        change(document)
        assert read(document) == reason
    parts = [core.Resource(name, name * 64) for name in "ab"]
    moved = [dataclasses.replace(part, name=name) for part, name in zip(parts, "bc")]
    assert (
        core.pin_digest(tuple(parts)) == core.pin_digest(tuple(parts[::-1])) != core.pin_digest(tuple(moved))
    )


def envelopes(load: Load) -> None:
    core = load(ENVELOPE)
    key = signer()
    trust = Trust.of([key.public()])
    good = core.seal(b"{}", key)
    assert core.pre_authentication_encoding(b"{}") == b"DSSEv1 28 application/vnd.in-toto+json 2 {}"

    def opened(data: bytes, by: Trust = trust) -> str:
        return outcome(lambda: core.open_envelope(data, by, "p", NOW))

    def changed(change: Callable[[Json], object]) -> str:
        wrapper = json.loads(good)
        change(wrapper)
        return opened(compact(wrapper))

    assert opened(good) == opened(good + b"\n") == "admitted"
    assert core.open_envelope(good, trust, "p", None).marks == {key.public().hint}
    assert opened(good, Trust()) == "unknown-signer"
    assert opened(good, dataclasses.replace(trust, revoked=frozenset({key.public().hint}))) == "revoked"
    assert opened(good + b" ") == opened(good.replace(b":", b":\t", 1)) == "signature-malformed"
    assert opened(good.replace(b'",', b'" ,', 1)) == "signature-malformed"
    assert opened(good.replace(b"sig", b"s\\u0069g", 1)) == "signature-malformed"
    assert opened(b" " * (1024 * 1024 + 1)) == "too-large"
    other = base64.b64encode(b"[]").decode()
    assert changed(lambda w: w["dsseEnvelope"].update(payload=other)) == "signature-invalid"
    assert changed(lambda w: w["dsseEnvelope"].update(payloadType="text/plain")) == "signature-unsupported"
    assert changed(lambda w: w["verificationMaterial"].update(tlogEntries=[1])) == "signature-unsupported"
    stranger_s = {"hint": "0" * 64}
    assert changed(lambda w: w["verificationMaterial"].update(publicKey=stranger_s)) == "unknown-signer"
    signatures = json.loads(good)["dsseEnvelope"]["signatures"]
    assert changed(lambda w: w["dsseEnvelope"].update(signatures=signatures * 2)) == "signature-malformed"
    assert changed(lambda w: w["dsseEnvelope"].update(payload="e31=")) == "signature-malformed"


def bundles(load: Load) -> None:
    core = load(BUNDLE)
    key = signer()
    files = good_files()
    contents = {name: core.Content.of(data) for name, data in files.items()}
    forged = Forge(None, None, key)  # type: ignore[arg-type] # its files are not asked for
    trust = Trust.of([key.public()])

    def verified(**asked: Any) -> Any:
        return core.verify_signature(forged.sign(good_statement()), dataclasses.replace(trust, **asked), "p")

    vouched = verified()

    def admitted(change: Callable[[], dict[str, Any]] = dict, **asked: Any) -> str:
        found = {"vouched": vouched, "contents": contents, **change()}
        return outcome(
            lambda: core.admit_model(
                found["vouched"], found["contents"], "f", Demands(**asked), now=NOW, secrets=lambda _: None
            )
        )

    assert admitted() == "admitted"
    assert outcome(lambda: verified(post_quantum=True)) == "post-quantum-missing"
    other = {**contents, "model.onnx": core.Content.of(b"evil")}
    assert admitted(lambda: {"contents": other}) == "digest-mismatch"
    no_primary = dataclasses.replace(vouched, grant=Grant(frozenset({"filter"})))
    assert admitted(lambda: {"vouched": no_primary}) == "signer-not-allowed"
    assert admitted(revoked=frozenset({vouched.statement.root})) == "revoked"
    assert admitted(security_version=4) == "rollback"
    assert admitted(claims=ClaimsTerm(adversarial_training=True)) == "attestation-missing"
    names = [*files, "model.sig", "model.sig.ml-dsa-65"]
    assert outcome(lambda: core.check_names(vouched.statement, names, "f")) == "admitted"
    assert outcome(lambda: core.check_names(vouched.statement, [*names, "x"], "f")) == "file-extra"
    assert outcome(lambda: core.check_names(vouched.statement, names[1:], "f")) == "file-missing"
    assert outcome(lambda: core.pinned_statement(contents, "0" * 64, "f")) == "pin-mismatch"
    one = core.folder_statement({".": contents["CARD.md"].digest}, "card")
    file = dataclasses.replace(vouched, statement=one, grant=Grant(frozenset({"policy"})))

    def single(vouched: Any, content: Any, name: str = "card", kind: str = "policy", **more: Any) -> str:
        return outcome(lambda: core.admit_content(vouched, content, "p", name, kind=kind, **more))

    card = contents["CARD.md"]
    assert single(file, card) == "admitted"
    assert single(file, card, "other") == "name-mismatch"
    assert single(vouched, card) == "statement-invalid"
    assert single(file, core.Content.of(b"")) == "digest-mismatch"
    assert single(file, card, kind="calibration") == "signer-not-allowed"
    assert single(file, card, revoked=frozenset({card.digest})) == "revoked"


def defaults_of_trust(load: Load) -> None:
    core = load(TRUST)
    assert not core.Trust()
    assert core.Trust.of([signer().public()])
    assert core.Moment(0.0).exact
    assert core.Grant() == core.Grant(frozenset(), None)
    nothing = core.Demands()
    assert (nothing.role, nothing.security_version, nothing.floor, nothing.pin) == ("", 0, 0, "")


def terms_of_a_policy(load: Load) -> None:
    core = load(LOADING)
    places = ("primary", "primary.2", "filter", "fused", "third", "x")
    assert [core.role_of(place) for place in places] == [
        "primary", "primary", "filter", "fused", "redundant", "redundant",
    ]  # fmt: skip
    trust = core.load_trust(AdmissionTerms(revoked=frozenset({"a"}), post_quantum=True))
    assert not trust
    assert (trust.revoked, trust.post_quantum) == ({"a"}, True)


ORACLES: dict[str, Callable[[Load], None]] = {
    STRICT: text_of_one_meaning,
    FIELDS: fields_of_an_object,
    STATEMENT: statements,
    ENVELOPE: envelopes,
    BUNDLE: bundles,
    TRUST: defaults_of_trust,
    LOADING: terms_of_a_policy,
}

CHANGES: tuple[tuple[str, str, str], ...] = (
    (STRICT, "MAX_DEPTH = 32", "MAX_DEPTH = 33"),
    (STRICT, "MAX_DIGITS = 40", "MAX_DIGITS = 41"),
    (STRICT, "if key in result:", "if False:"),
    (STRICT, "parse_constant=_constant", "parse_constant=float"),
    (FIELDS, "if name not in required and name not in optional:", "if False:"),
    (FIELDS, "if not isinstance(value, str):", "if value is None:"),
    (STATEMENT, "if root_digest(resources) != root:", "if False:"),
    (STATEMENT, 'in {"", ".", ".."}', 'in {"", "."}'),
    (STATEMENT, '"model.sig.ml-dsa-65")', ")"),
    (STATEMENT, "MAX_FILES = 1000", "MAX_FILES = 1001"),
    (STATEMENT, ".casefold()", ""),
    (STATEMENT, "{r.digest}  {r.name}\\n", "{r.digest}\\n"),
    (ENVELOPE, "if not known.key.verifies(", "if not known.key or not (lambda *_: True)("),
    (ENVELOPE, "len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode()", "0, b''"),
    (ENVELOPE, "revoked = opened.marks & trust.revoked", "revoked = opened.marks & frozenset()"),
    (ENVELOPE, "if trusted.key.hint == hint:", "if True:"),
    (ENVELOPE, "or base64.b64encode(data).decode() != text", ""),
    (ENVELOPE, 'if b"\\\\" in data and', "if False and"),
    (ENVELOPE, "|(?<![,:]) ", ""),
    (BUNDLE, "required=trust.post_quantum", "required=False"),
    (BUNDLE, "    if found != signed:", "    if False:"),
    (BUNDLE, "if found != pin:", "if False:"),
    (BUNDLE, "if statement.subject != name:", "if False:"),
    (BUNDLE, "kind not in grant.signs", "grant.signs is None"),
    (BUNDLE, "    check_demands(manifest, demands,", "    (lambda *_: None)(manifest, demands,"),
    (BUNDLE, "for name in sorted(found - signed):", "for name in ():"),
    (TRUST, "exact: bool = True", "exact: bool = False"),
    (TRUST, "bool(self.keys or", "bool(True or"),
    (LOADING, '("primary", "filter", "fused")', '("primary", "filter", "fused", "x")'),
    (LOADING, "post_quantum=terms.post_quantum", "post_quantum=False"),
    (LOADING, "revoked=terms.revoked,", "revoked=frozenset(),"),
)  # fmt: skip


@pytest.mark.parametrize("module", ORACLES, ids=lambda name: name.rpartition(".")[2])
def test_the_source_of_admission_passes_as_it_is(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ORACLES[module](loader(monkeypatch, "", "", ""))


@pytest.mark.parametrize(
    ("module", "old", "new"), CHANGES, ids=[f"{c[0].rpartition('.')[2]}-{i}" for i, c in enumerate(CHANGES)]
)
def test_a_changed_source_of_admission_is_noticed(
    module: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert old in source_of(module), "the source has moved on: write another change"
    load = loader(monkeypatch, module, old, new)
    with pytest.raises((*NOTICED, AdmissionError, pytest.fail.Exception)):
        ORACLES[module](load)
