"""Fuzzes admission: structure-aware, or guided by coverage (`atheris`): 0 crashes, 0 false admissions.

`python -m bench.fuzz_admission --seconds 1800 --seed 1 [--target NAME]`. A finding is written to out/fuzz-admission/
and ends the run with exit code 5. A strange bundle must be refused, or be the very same as the good one.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.strange_bundles import Choices, Guided, Json, Seeded, changed_bytes, changed_tree, pick, spelled
from bench.strange_models import change_model

if TYPE_CHECKING:
    from edgeguard.admission import Trust
    from edgeguard.admission.bundle import Content

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out" / "fuzz-admission"
FINDINGS = 5
NOW = 1_790_000_000.0
_PER_BATCH = 20_000


class FindingError(Exception):
    """Something was admitted that is not what was signed, or a refusal was no refusal."""


@dataclass
class Counts:
    """How many inputs were tried, and what they came to, by reason."""

    tried: int = 0
    ended: Counter[str] = field(default_factory=Counter)


class Targets:
    """Good things to change, made once, and one trial for each kind of them."""

    def __init__(self) -> None:
        from edgeguard.admission.inspection import inspect_model
        from edgeguard.admission.manifest import parse_manifest
        from edgeguard.admission.second_keys import generate_second, second_key
        from edgeguard.terms import Limits
        from tests.hostile.bundles import builders, builders_encrypted, builders_pki

        self.build, self.pki, self.crypt = builders, builders_pki, builders_encrypted
        self.folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        self.forge = builders.Forge.at(self.folder)
        self.files = builders.good_files()
        self.contents = self._contents(self.files)
        self.statement = builders.good_statement()
        self.signature = self.forge.sign(self.statement)
        self.inspect, self.parse, self.limits = inspect_model, parse_manifest, Limits()
        self.models = [(self.files["model.onnx"], parse_manifest(self.files["edgeguard.json"], "m"))]
        for bundle in sorted((ROOT / "models" / "signs").glob("*/edgeguard.json")):
            manifest = parse_manifest(bundle.read_bytes(), "m")
            self.models.append(((bundle.parent / manifest.file).read_bytes(), manifest))
        self.chain = builders_pki.good()
        self.case = builders_pki.case(self.chain[0], *self.chain[1:-1], root=self.chain[-1])
        key = second_key(generate_second()[0], "fuzz")
        self.second = (key, b"DSSEv1 ...", key.sign(b"DSSEv1 ..."))
        self.trials: dict[str, Callable[[Choices], str]] = {
            "signature": self.signature_trial,
            "statement": self.statement_trial,
            "manifest": self.manifest_trial,
            "model": self.model_trial,
            "certificates": self.certificate_trial,
            "ciphertext": self.ciphertext_trial,
            "second": self.second_trial,
            "floor": self.floor_trial,
        }

    def _contents(self, files: dict[str, bytes]) -> dict[str, Content]:
        from edgeguard.admission.bundle import Content

        return {name: Content.of(data) for name, data in files.items()}

    def admit(
        self, signature: bytes, files: dict[str, bytes] | None = None, trust: Trust | None = None
    ) -> object:
        """Admit a bundle in memory, as the store does with what it read."""
        from edgeguard.admission.bundle import admit_model, check_names, verify_signature
        from edgeguard.admission.store import no_secrets
        from edgeguard.admission.trust import Demands, Moment

        contents = self.contents if files is None else self._contents(files)
        now = Moment(NOW)
        vouched = verify_signature(signature, trust or self.forge.signers, "b/model.sig", now=now)
        check_names(vouched.statement, contents, "b")
        return admit_model(vouched, contents, "b", Demands(), now=now, secrets=no_secrets)

    def signature_trial(self, choices: Choices) -> str:
        """A changed `.sig` file: admitted only where it is the same but for spaces and fields that may be left out."""
        good = json.loads(self.signature)
        if choices.below(3) == 0:
            text = changed_bytes(choices, self.signature)
        else:
            text = spelled(choices, changed_tree(choices, good, [self.statement, good]))
        return self._same(lambda: self.admit(text), lambda: _plain(text) == _plain(self.signature), text)

    def statement_trial(self, choices: Choices) -> str:
        """A changed statement, properly signed: admitted only where it vouches for the very same files."""
        payload = spelled(choices, changed_tree(choices, self.statement, [self.statement]))
        signature = self.build.compact(self.forge.wrapper(payload))
        return self._same(lambda: self.admit(signature), lambda: self._vouches(json.loads(payload)), payload)

    def _vouches(self, statement: Json) -> bool:
        """Whether a statement names exactly the good files with their digests, and a root that fits."""
        resources = statement["predicate"]["resources"]
        digests = {r["name"]: r["digest"] for r in resources}
        root = hashlib.sha256(b"".join(bytes.fromhex(r["digest"]) for r in resources)).hexdigest()
        good = {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}
        return (
            len(resources) == len(digests)
            and digests == good
            and statement["subject"]
            == [{"name": statement["subject"][0]["name"], "digest": {"sha256": root}}]
        )

    def manifest_trial(self, choices: Choices) -> str:
        """A changed manifest, properly signed: any outcome but a crash, and what is read must be readable again."""
        from edgeguard.build.bundle import manifest_json

        data = spelled(choices, changed_tree(choices, json.loads(self.files["edgeguard.json"])))
        files = {**self.files, "edgeguard.json": data}

        def faithful() -> bool:
            read = self.parse(data, "m")
            return self.parse(manifest_json(read), "m") == read

        return self._same(lambda: self.admit(self.forge.sign_files(files), files), faithful, data)

    def model_trial(self, choices: Choices) -> str:
        """Changed bytes of a model: refused, or a model that `onnx` reads too and that takes nothing from elsewhere."""
        data, manifest = pick(choices, self.models)
        changed = self._changed_model(choices, data) if choices.below(2) else changed_bytes(choices, data)
        return self._same(
            lambda: self.inspect(changed, manifest, self.limits, "m"),
            lambda: _self_contained(changed),
            changed,
        )

    def _changed_model(self, choices: Choices, data: bytes) -> bytes:
        """Change fields of a model through its own schema."""
        import onnx

        model = onnx.load_from_string(data)
        for _ in range(1 + choices.below(3)):
            change_model(choices, model)
        return bytes(model.SerializeToString())

    def certificate_trial(self, choices: Choices) -> str:
        """A chain with changed certificates: admitted only when every byte of it is the same."""
        good = json.loads(self.case.signature)
        chain = good["verificationMaterial"]["x509CertificateChain"]["certificates"]
        ders = [base64.b64decode(certificate["rawBytes"]) for certificate in chain]
        changed = list(ders)
        at = choices.below(len(changed))
        changed[at] = changed_bytes(choices, changed[at])
        if choices.below(6) == 0:
            changed.insert(choices.below(len(changed) + 1), pick(choices, ders))
        if choices.below(6) == 0:
            changed.reverse()
        chain[:] = [{"rawBytes": base64.b64encode(der).decode()} for der in changed]
        text = self.build.compact(good)
        case = self.pki.Case(text, self.case.trust, self.case.now)
        return self._same(lambda: self.pki.admit(case), lambda: changed == ders, text)

    def ciphertext_trial(self, choices: Choices) -> str:
        """A changed ciphertext: never opened."""
        from edgeguard.admission.streaming import StreamError, decrypt, plain_size

        plain = self.files["model.onnx"]
        good = self.crypt.sealed(plain)
        data = changed_bytes(choices, good)

        def opened() -> None:
            try:
                into = bytearray(plain_size(len(data)))
                for _ in decrypt(self.crypt.KEY, data, self.crypt.NAME, memoryview(into)):
                    pass
            except StreamError:
                raise _RefusedError("stream") from None

        return self._same(opened, lambda: data == good, data)

    def second_trial(self, choices: Choices) -> str:
        """A changed second signature: never accepted."""
        from edgeguard.admission.post_quantum import check_second
        from edgeguard.admission.trust import Grant

        key, message, good = self.second
        data = changed_bytes(choices, good)
        grant = Grant(post_quantum=key.public())
        return self._same(
            lambda: check_second(data, message, grant, "s", required=True), lambda: data == good, data
        )

    def floor_trial(self, choices: Choices) -> str:
        """A changed floor file: never believed."""
        from edgeguard.device.floor_file import Held, Secret, decode, encode

        secret = Secret(b"k" * 32)
        good = encode(Held(7, 0, NOW, {"policy": 3, "primary": 2}), secret)
        data = changed_bytes(choices, good)
        return self._same(lambda: decode(data, secret, "f"), lambda: data == good, data)

    def _same(self, admit: Callable[[], object], same: Callable[[], bool], data: bytes) -> str:
        from edgeguard.errors import AdmissionError

        try:
            admit()
        except AdmissionError as error:
            if "\n" in str(error) or not str(error).isprintable():
                raise FindingError(f"a message that cannot be shown: {error!r}") from None
            return error.reason
        except _RefusedError as error:
            return str(error)
        if not same():
            raise FindingError(f"{len(data)} strange bytes were admitted: {data[:200]!r}")
        return "admitted"


class _RefusedError(Exception):
    """A refusal of a part that knows no reasons."""


def _plain(signature: bytes) -> object:
    """A `.sig` file without what it may say or leave out: an empty log, and the key's name where it says `hint`."""
    wrapper = json.loads(signature)
    material = wrapper["verificationMaterial"]
    if material.get("tlogEntries") == []:
        del material["tlogEntries"]
    for entry in wrapper["dsseEnvelope"]["signatures"]:
        if entry.get("keyid") in ("", material["publicKey"]["hint"]):
            del entry["keyid"]
    return wrapper


def _self_contained(data: bytes) -> bool:
    """Whether `onnx` reads the same bytes as a model without anything from elsewhere."""
    import onnx
    from google.protobuf.message import DecodeError
    from onnx.external_data_helper import _get_all_tensors, uses_external_data

    try:
        model = onnx.load_from_string(data)
    except DecodeError:
        return False
    operators = {node.op_type for node in model.graph.node}
    return "EPContext" not in operators and not any(uses_external_data(t) for t in _get_all_tensors(model))


def _run_one(targets: Targets, name: str, choices: Choices, counts: Counts) -> None:
    counts.tried += 1
    counts.ended[targets.trials[name](choices)] += 1


def _seeded(targets: Targets, name: str, seed: int, until: float, counts: Counts) -> None:
    while time.monotonic() < until:
        _guarded(
            name,
            lambda: _run_one(targets, name, Seeded(f"{seed}-{name}-{counts.tried}"), counts),
            f"{seed}-{counts.tried}",
        )


def _guarded(name: str, call: Callable[[], None], which: str) -> None:
    try:
        call()
    except Exception:
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / f"{name}-{which}.txt").write_text(traceback.format_exc())
        raise


def _guided(name: str, seed: int, seconds: int) -> None:
    """Fuzz one target with coverage, for good: atheris ends the process."""
    import atheris

    with atheris.instrument_imports(include=["edgeguard.admission", "edgeguard.device.floor_file"]):
        targets = Targets()
    counts = Counts()

    def one(data: bytes) -> None:
        _guarded(
            name, lambda: _run_one(targets, name, Guided(data), counts), hashlib.sha256(data).hexdigest()[:16]
        )
        if counts.tried % _PER_BATCH == 0:
            print(json.dumps({"target": name, "tried": counts.tried, **counts.ended}), flush=True)

    corpus = OUT / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        "-max_len=4096",
        "-rss_limit_mb=4096",
        "-print_final_stats=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    import atexit

    atexit.register(
        lambda: print(json.dumps({"target": name, "tried": counts.tried, **counts.ended}), flush=True)
    )
    atheris.Fuzz()


def main() -> int:
    """Fuzz every target, or one, for a share of the seconds each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target")
    parser.add_argument("--guided", action="store_true", help="one target, with coverage")
    given = parser.parse_args()
    os.environ.setdefault("PYTHONHASHSEED", "0")
    if given.guided:
        _guided(given.target or "signature", given.seed, given.seconds)
        return 0
    targets = Targets()
    names = [given.target] if given.target else list(targets.trials)
    for name in names:
        counts = Counts()
        try:
            _seeded(targets, name, given.seed, time.monotonic() + given.seconds / len(names), counts)
        except Exception as error:  # noqa: BLE001 - this is what it looks for
            print(f"{name}: finding after {counts.tried} inputs: {error!r}; see {OUT}")
            return FINDINGS
        told = ", ".join(f"{reason} {n}" for reason, n in counts.ended.most_common(40))
        print(f"{name}: {counts.tried} inputs, no finding: {told}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
