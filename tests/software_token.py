"""A security token of software (softhsm2) with a folder of its own. Import the fixture `soft_token` for one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
PIN = "5up3r-secret"


@dataclass(frozen=True)
class SoftToken:
    """A token named `release`."""

    folder: Path
    library: str

    def uri(self, label: str, *, on: str = "release", more: str = "") -> str:
        return f"pkcs11:token={on};object={label}?module-path={self.library}{more}"

    def tool(self, *arguments: str) -> None:
        """Change the token by OpenSC's tool."""
        login = ["--token-label", "release", "--login", "--pin", PIN]
        command = ["pkcs11-tool", "--module", self.library, *login, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr

    def pair(self, label: str, curve: str, number: int) -> None:
        """Make a key pair that never leaves the token."""
        self.tool("--keypairgen", "--key-type", f"EC:{curve}", "--label", label, "--id", f"{number:02x}")

    def init(self, name: str) -> None:
        """Make another token."""
        command = ["softhsm2-util", "--init-token", "--free", "--label", name]
        subprocess.run(
            [*command, "--pin", PIN, "--so-pin", "87654321"], check=True, capture_output=True, timeout=60
        )


@pytest.fixture(scope="session")
def soft_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    """One token for all tests: the library reads its configuration once a process."""
    pytest.importorskip("pkcs11", reason="the extra `pkcs11` is not installed")
    library = next((path for path in LIBRARIES if Path(path).exists()), None)
    if library is None or not shutil.which("pkcs11-tool") or not shutil.which("softhsm2-util"):
        pytest.skip("libsofthsm2.so or pkcs11-tool is not installed (Debian: softhsm2, opensc)")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(
        f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(config)
    token = SoftToken(folder, library)
    token.init("release")
    for number, curve in enumerate(("secp256r1", "secp384r1", "secp521r1"), start=1):
        token.pair(curve, curve, number)
    yield token
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before
