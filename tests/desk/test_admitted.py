"""The desk knows who may sign what: compared both ways, printed, formatted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("z3")

from edgeguard.cli.app import invoke
from edgeguard.desk.compare.order import Order, joined, reverse
from edgeguard.desk.compare.trust import trust
from edgeguard.desk.page import html, markdown
from edgeguard.policy import compile_draft, parse

A, B, C = ("abc"[i] * 64 for i in range(3))
ALL = "identity: one, signs: [primary, redundant, filter, fused, calibration, manifest]}"
SECOND = f', post_quantum: {{key: q.pub, sha256: "{C}"}}'
WHOLE = f"""\
edgeguard: 1
policy: {{name: whole, version: 1}}
models:
  primary:   {{bundle: models/a}}
  redundant: {{bundle: models/b, pin: "{C}", manifest: b.json}}
admission:
  signers:
    - {{key: k.pub, sha256: "{A}", signs: [primary, manifest]}}
    - {{authority: r.pem, sha256: "{B}", identity: one}}
  require:
    security_version: 2
    assessment: {{clean_accuracy: 97%, robust_accuracy: 60%, risk_at_most: 1%}}
    claims: {{adversarial_training: true, ensemble: true, epsilon_at_most: 8}}
    calibration: attested
    floor: file
  revoked: [{{sha256: "{"d" * 64}", note: '<b>old</b> | key'}}]
  limits: {{nodes: 100, memory: 512MiB, opset: [11, 21], operators: [Gelu]}}
  decrypt: [content.key]
signals: {{certainty: {{of: primary, range: [0, 1], max_age: 300ms}}}}
envelope: {{brake: {{min: 0, max: 1, safe: 1}}}}
"""

SOMEBODY = f'{{authority: r.pem, sha256: "{B}", identity: one}}'
CHANGES = [
    # who may sign
    ("[primary, manifest]", "[primary, manifest, filter]", Order.PERMISSIVE),
    (", signs: [primary, manifest]", "", Order.PERMISSIVE),
    (", signs: [primary, manifest]", ", signs: [manifest, primary]", Order.EQUIVALENT),
    ("[primary, manifest]", "[primary, filter]", Order.INCOMPARABLE),
    (f'    - {{authority: r.pem, sha256: "{B}", identity: one}}\n', "", Order.STRICTER),
    ("identity: one}", f'identity: one}}\n    - {{key: n.pub, sha256: "{C}"}}', Order.PERMISSIVE),
    ("identity: one}", f'identity: one}}\n    - {{authority: r.pem, sha256: "{B}", identity: two}}', Order.PERMISSIVE),
    (", identity: one", "", Order.PERMISSIVE),
    ("identity: one", "identity: two", Order.INCOMPARABLE),
    ("authority: r.pem", "authority: other/r.pem", Order.EQUIVALENT),
    (f'{{authority: r.pem, sha256: "{B}", identity: one}}', f'{{key: r.pem, sha256: "{B}"}}', Order.INCOMPARABLE),
    (B, C, Order.INCOMPARABLE),
    ("manifest]}", f"manifest]{SECOND}}}", Order.STRICTER),
    ("identity: one}", ALL, Order.EQUIVALENT),
    # what is required
    ("security_version: 2", "security_version: 1", Order.PERMISSIVE),
    ("clean_accuracy: 97%", "clean_accuracy: 96%", Order.PERMISSIVE),
    ("clean_accuracy: 97%, ", "", Order.PERMISSIVE),
    ("robust_accuracy: 60%", "robust_accuracy: 0.61", Order.STRICTER),
    ("risk_at_most: 1%", "risk_at_most: 2%", Order.PERMISSIVE),
    (", risk_at_most: 1%", "", Order.PERMISSIVE),
    ("    assessment: {clean_accuracy: 97%, robust_accuracy: 60%, risk_at_most: 1%}\n", "", Order.PERMISSIVE),
    ("adversarial_training: true", "adversarial_training: false", Order.PERMISSIVE),
    ("ensemble: true", "ensemble: true, data_filtering: true", Order.STRICTER),
    ("ensemble: true, ", "", Order.PERMISSIVE),
    ("epsilon_at_most: 8", "epsilon_at_most: 9", Order.PERMISSIVE),
    (", epsilon_at_most: 8", "", Order.PERMISSIVE),
    ("    calibration: attested\n", "", Order.PERMISSIVE),
    ("floor: file", "floor: tpm", Order.STRICTER),
    ("    floor: file\n", "", Order.PERMISSIVE),
    ("floor: file\n", "floor: file\n  clock: none\n", Order.PERMISSIVE),
    ("floor: file\n", "floor: file\n  clock: system\n", Order.EQUIVALENT),
    # what counts no more
    (f"  revoked: [{{sha256: \"{'d' * 64}\", note: '<b>old</b> | key'}}]\n", "", Order.PERMISSIVE),
    ("d" * 64, "e" * 64, Order.INCOMPARABLE),
    ("revoked: [", f'revoked: [{{sha256: "{"e" * 64}"}}, ', Order.STRICTER),
    ("old</b>", "older</b>", Order.EQUIVALENT),
    # what a graph may be
    ("nodes: 100", "nodes: 101", Order.PERMISSIVE),
    ("nodes: 100", "nodes: 100, tensors: 50000", Order.EQUIVALENT),
    ("nodes: 100", "nodes: 100, tensors: 50001", Order.PERMISSIVE),
    ("nodes: 100", "nodes: 100, tensors: 10", Order.STRICTER),
    ("memory: 512MiB, ", "", Order.PERMISSIVE),
    ("[11, 21]", "[11, 22]", Order.PERMISSIVE),
    ("[11, 21]", "[12, 20]", Order.STRICTER),
    ("[11, 21]", "[12, 22]", Order.INCOMPARABLE),
    ("[Gelu]", "[Gelu, Erf]", Order.PERMISSIVE),
    ("[Gelu]", "[Erf]", Order.INCOMPARABLE),
    (", operators: [Gelu]", "", Order.STRICTER),
    # keys, pins
    ("[content.key]", "[content.key, other.key]", Order.PERMISSIVE),
    ("[content.key]", "[other.key]", Order.INCOMPARABLE),
    ("  decrypt: [content.key]\n", "", Order.STRICTER),
    (f', pin: "{C}", manifest: b.json', "", Order.INCOMPARABLE),
    (f'pin: "{C}"', f'pin: "{A[:-1]}0"', Order.INCOMPARABLE),
    ("manifest: b.json", "manifest: c.json", Order.INCOMPARABLE),
    ("bundle: models/a", f'bundle: models/a, pin: "{"f" * 64}"', Order.INCOMPARABLE),
]  # fmt: skip


def order(old: str, new: str) -> Order:
    before = dict(trust(parse(old.encode(), file="old")))
    after = dict(trust(parse(new.encode(), file="new")))
    assert before.keys() == after.keys()
    return joined(fact.order(before[path].value, fact.value) for path, fact in after.items())


@pytest.mark.parametrize(("was", "now", "expected"), CHANGES)
def test_every_word_about_admission_has_its_order_both_ways(was: str, now: str, expected: Order) -> None:
    changed = WHOLE.replace(was, now)
    assert changed != WHOLE
    assert order(WHOLE, changed) is expected
    assert order(changed, WHOLE) is reverse(expected)


ONE, TWO, ANYBODY = (
    f'{{authority: r.pem, sha256: "{B}", identity: one, signs: [manifest]}}',
    f'{{authority: r.pem, sha256: "{B}", identity: two}}',
    f'{{authority: r.pem, sha256: "{B}"}}',
)
KEYS = tuple(
    f'{{key: k{i}.pub, sha256: "{i:064}", signs: [{role}]}}' for i, role in enumerate(("filter", "fused"))
)


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        ((ONE, ANYBODY), (ANYBODY,), Order.PERMISSIVE),  # the first was there to limit somebody
        ((ONE, TWO), (TWO, ONE), Order.PERMISSIVE),  # a certificate for both counts as the first
        ((ONE, TWO), (ONE,), Order.STRICTER),
        ((ONE, TWO), (TWO,), Order.INCOMPARABLE),
        ((TWO,), (TWO, ONE), Order.PERMISSIVE),
        ((TWO,), (ONE, TWO), Order.INCOMPARABLE),
        ((TWO,), (ANYBODY,), Order.PERMISSIVE),
        ((ONE, TWO, ANYBODY), (ONE, ANYBODY), Order.EQUIVALENT),
        (KEYS, KEYS[::-1], Order.EQUIVALENT),  # a signature is by one key
        (KEYS, KEYS[1:], Order.STRICTER),
    ],
)
def test_the_first_signer_that_fits_counts_in_a_comparison_too(
    was: tuple[str, ...], now: tuple[str, ...], expected: Order
) -> None:
    old, new = (WHOLE.replace(SOMEBODY, "\n    - ".join(signers)) for signers in (was, now))
    assert order(old, new) is expected
    assert order(new, old) is reverse(expected)


def test_a_second_key_for_all_is_stricter_than_for_some() -> None:
    both = WHOLE.replace("manifest]}", f"manifest]{SECOND}}}").replace(
        "identity: one}", f"identity: one{SECOND}}}"
    )
    asked = both.replace("floor: file", "floor: file\n    post_quantum: true")
    assert order(both, asked) is Order.STRICTER
    assert order(asked, both) is Order.PERMISSIVE


def test_the_verb_names_what_changed_where_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(WHOLE)
    new.write_text(WHOLE.replace("[primary, manifest]", "[primary, manifest, filter]"))
    assert invoke(["policy", "compare", str(old), str(new), "--deny-more-permissive"]) == 5
    said = capsys.readouterr().out
    one, key = f"one under {'b' * 12} for everything", f"{'a' * 12} for"
    now, was = f"{key} filter, manifest, primary; {one}", f"{key} manifest, primary; {one}"
    assert f"new.yaml:7:3: `admission.signers` is {now}, was {was}\n" in said
    assert "EG1701" in run_json(old, new, capsys)


def run_json(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert invoke(["policy", "compare", str(old), str(new), "--format", "sarif"]) == 0
    return json.dumps(json.loads(capsys.readouterr().out))


def test_the_document_prints_who_may_sign_what_is_required_and_what_is_revoked(tmp_path: Path) -> None:
    path = tmp_path / "whole.yaml"
    path.write_text(WHOLE)
    text = markdown(compile_draft(path))
    for title in ("Signers", "Required of every bundle", "Revoked", "Models"):
        assert f"\n## {title}\n" in text
    assert f"| key | `k.pub` | `{A}` | who holds the key | primary, manifest |\n" in text
    assert f"| authority | `r.pem` | `{B}` | one | everything |\n" in text
    assert "| assessed accuracy under attack | at least 60 % |\n" in text
    assert "| newest versions remembered by | a file or better |\n" in text
    assert "| graph | at most 100 nodes, 50000 tensors and 512MiB |\n" in text
    assert f"| `{'d' * 64}` | &lt;b&gt;old&lt;/b&gt; \\| key |\n" in text
    assert f"| `redundant` | `b` | onnxruntime |  | `{C}` | `b.json` |\n" in text
    page = html(compile_draft(path))
    assert "Signers" in page
    assert "<b>old" not in page


def test_the_document_prints_second_keys_identities_and_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "whole.yaml"
    keyless = f'{{keyless: t.json, sha256: "{B}", identity: two, issuer: "https://example.org"{SECOND}}}'
    anybody = f'{{authority: r.pem, sha256: "{B}"{SECOND}}}'
    text = WHOLE.replace(f'{{authority: r.pem, sha256: "{B}", identity: one}}', f"{keyless}\n    - {anybody}")
    text = text.replace("manifest]}", f"manifest]{SECOND}}}").replace(
        "floor: file\n", "floor: tpm\n    post_quantum: true\n  clock: none\n"
    )
    path.write_text(text)
    said = markdown(compile_draft(path))
    assert (
        "| signer | file | SHA-256 | for whom | may sign | second key | SHA-256 of the second key |" in said
    )
    assert f"| two, says https://example.org | everything | `q.pub` | `{C}` |" in said
    assert "| anybody with a certificate |" in said
    assert "Every signature needs a second one" in said
    assert "| clock | none: only signed times tell" in said
    assert "| newest versions remembered by | a TPM |" in said


def test_formatting_keeps_admission_as_it_is_and_is_a_fixed_point(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "whole.yaml"
    path.write_text(WHOLE)
    assert invoke(["policy", "fmt", str(path)]) == 0
    formatted = path.read_text()
    capsys.readouterr()
    assert invoke(["policy", "fmt", "--check", str(path)]) == 0
    assert order(WHOLE, formatted) is Order.EQUIVALENT
    assert parse(formatted.encode(), file="p").policy == parse(WHOLE.encode(), file="p").policy
