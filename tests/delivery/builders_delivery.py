"""What delivery's tests are made of: a publisher's desk, a device, and a web server that can misbehave. Tests only."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, MetaFile

from edgeguard.admission import sign_bundle, sign_file, trust_keys
from edgeguard.admission.floor import Floor
from edgeguard.admission.keys import PrivateKey, load_private_key, load_public_keys, new_key
from edgeguard.admission.trust import Moment
from edgeguard.cli.arriving import check_release
from edgeguard.delivery import plan, publish, targets
from edgeguard.delivery.plan import Holders
from edgeguard.delivery.pull import Pulled, open_source, provision, pull
from edgeguard.delivery.repository import Repository
from edgeguard.delivery.signing import TufSigner
from edgeguard.here import Device as Here
from tests.hostile.bundles.builders import good_files, manifest, write_files

SIGNERS = (
    "root1",
    "root2",
    "root3",
    "models1",
    "models2",
    "models3",
    "policies",
    "online",
    "release",
    "other",
)

POLICY = """\
edgeguard: 1
policy: {name: gate, version: 1}
models:
  primary: {bundle: ../models/signs}
admission:
  signers: [{key: ../keys/release.pub, sha256: "@SHA256@"}]
  require: {security_version: 1}
frame: {period: 50ms}
signals:
  certainty: {of: primary, range: [0, 1], max_age: 500ms, on_fault: rules}
rules:
  - id: unsure
    when: certainty < 0.5
    clear: {when: certainty > 0.6, for: 2 frames}
    then: rules
fallback:
  - {command: {brake: 1}}
envelope:
  brake: {min: 0, max: 1, safe: 1}
period: 20ms
log: {flush: 1s}
"""


@dataclass(frozen=True)
class Publisher:
    """Keys, a desk with bundles and policies, and the repository made of them."""

    folder: Path

    @property
    def repo(self) -> Path:
        return self.folder / "repo"

    @property
    def repository(self) -> Repository:
        return Repository(self.repo)

    @property
    def first_root(self) -> Path:
        return self.repo / "metadata" / "1.root.json"

    def private(self, name: str) -> PrivateKey:
        return load_private_key(self.folder / "keys" / f"{name}.key")

    def holders(self, *names: str, threshold: int = 1, days: int | None = None) -> Holders:
        paths = [self.folder / "keys" / f"{name}.pub" for name in names]
        return Holders(load_public_keys(paths), threshold, days)

    @classmethod
    def make(cls, folder: Path, now: float) -> Publisher:
        self = cls(folder)
        (folder / "keys").mkdir()
        for name in SIGNERS:
            new_key(folder / "keys" / f"{name}.key", folder / "keys" / f"{name}.pub")
        self.bundle("signs")
        self.policy("gate.yaml")
        self.create(now)
        self.add("models/signs", "policies/gate.yaml", "keys/release.pub", now=now)
        self.release(now=now)
        return self

    def create(self, now: float) -> None:
        who = {
            "root": self.holders("root1", "root2", "root3", threshold=2),
            "models": self.holders("models1", "models2", "models3", threshold=2),
            "policies": self.holders("policies"),
            "timestamp": self.holders("online"),
        }
        plan.create(self.repository, who, now)

    def bundle(self, name: str, *, version: int = 3, key: str = "release") -> Path:
        """A signed bundle on the desk."""

        def change(values: dict[str, Any]) -> None:
            values["security_version"] = version

        files = {**good_files(), "edgeguard.json": manifest(change)}
        folder = write_files(self.folder / "models" / name, files)
        (folder / "model.sig").unlink(missing_ok=True)
        sign_bundle(folder, self.folder / "keys" / f"{key}.key")
        return folder

    def policy(self, name: str, text: str = POLICY) -> Path:
        """A signed policy on the desk."""
        hint = self.private("release").public().hint
        place = self.folder / "policies" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(text.replace("@SHA256@", hint))
        sign_file(place, self.folder / "keys" / "release.key")
        return place

    def add(self, *names: str, now: float | None = None, device: str = "") -> None:
        trust = trust_keys([self.folder / "keys" / "release.pub"])
        now = time.time() if now is None else now
        items = [targets.admitted_item(self.folder / name, trust, now=Moment(now)) for name in names]
        targets.add(self.repository, items, now, device=device)

    def add_untrusted(self, name: str, key: str) -> None:
        """Add what only this key signed, as a careless publisher would."""
        item = targets.admitted_item(
            self.folder / name, trust_keys([self.folder / "keys" / f"{key}.pub"]), now=Moment(time.time())
        )
        targets.add(self.repository, [item], time.time())

    def sign(self, *names: str) -> None:
        publish.sign(self.repository, [self.private(name) for name in names])

    def release(
        self,
        *names: str,
        signers: Sequence[str] = SIGNERS[:7],
        now: float | None = None,
    ) -> None:
        """Sign what is staged with those of the signers that count for it, and release it."""
        counts = {keyid for role in self.repository.staged_roles() for keyid in self.repository.counts(role)}
        useful = [n for n in (*signers, *names) if TufSigner(self.private(n)).public_key.keyid in counts]
        if useful:
            self.sign(*useful)
        self.release_staged(now)

    def release_staged(self, now: float | None = None) -> None:
        publish.release(self.repository, [self.private("online")], time.time() if now is None else now)

    def forge(self, role: str, change: Callable[[Any], object], *signers: str) -> None:
        """Change published metadata of a role in its place, signed again by these keys."""
        version = self.repository.versions().get(role)
        place = self.repo / "metadata" / ("timestamp.json" if version is None else f"{version}.{role}.json")
        metadata = Metadata.from_bytes(place.read_bytes())
        change(metadata.signed)
        metadata.signatures.clear()
        for name in signers:
            metadata.sign(TufSigner(self.private(name)), append=True)
        place.write_bytes(metadata.to_bytes())

    def relist(self, *roles: str) -> None:
        """Make a new snapshot and timestamp over metadata that was changed in its place, as who has their key could."""
        version = self.repository.versions()
        snapshot = self.repository.published("snapshot")
        assert snapshot is not None
        for role in roles:
            data = (self.repo / "metadata" / f"{version[role]}.{role}.json").read_bytes()
            snapshot.signed.meta[f"{role}.json"] = MetaFile.from_data(version[role], data, ["sha256"])
        snapshot.signed.version += 1
        self._online(snapshot, f"{snapshot.signed.version}.snapshot.json")
        timestamp = self.repository.published("timestamp")
        assert timestamp is not None
        timestamp.signed.version += 1
        timestamp.signed.snapshot_meta = MetaFile.from_data(
            snapshot.signed.version, snapshot.to_bytes(), ["sha256"]
        )
        self._online(timestamp, "timestamp.json")

    def _online(self, metadata: Metadata[Any], name: str) -> None:
        metadata.sign(TufSigner(self.private("online")))
        (self.repo / "metadata" / name).write_bytes(metadata.to_bytes())

    def target(self, name: str) -> Path:
        """Where a published file lies, by its name on a device."""
        folder, _, base = name.rpartition("/")
        (found,) = (self.repo / "targets" / folder).glob(f"*.{base}")
        return found


@dataclass
class Device:
    """A device with a state folder; `floor`: what it remembers of what it ran."""

    state: Path
    publisher: Publisher
    floor: Floor | None = None
    fetcher: Any = None

    def pull(self, source: str | Path | None = None, *, device: str = "", now: float = 0.0) -> Pulled:
        trust = trust_keys([self.publisher.folder / "keys" / "release.pub"])
        here = Here.here(self.floor)
        fetcher = self.fetcher or open_source(str(source or self.publisher.repo), self.state)
        root = provision(
            self.state, None if (self.state / "root.json").exists() else self.publisher.first_root
        )
        return pull(
            fetcher,
            self.state,
            root,
            lambda folder: check_release(folder, trust, here),
            device=device,
            now=now,
        )

    def installed(self) -> dict[str, str]:
        """Digests of what is installed, by name."""
        current = self.state / "current"
        return {
            path.relative_to(current).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(current.rglob("*"))
            if path.is_file()
        }


def rewrite_json(path: Path, change: Callable[[Any], object]) -> None:
    """Change a JSON file as somebody without a key would."""
    values = json.loads(path.read_bytes())
    change(values)
    path.write_text(json.dumps(values))
