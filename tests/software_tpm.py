"""A TPM of software (swtpm), killed afterwards. Import the fixture `swtpm` where a test needs one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


class SoftwareTpm:
    """A swtpm with a folder of its own, on a socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tcti = f"swtpm:path={folder}/socket"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        socket = f"{self.folder}/socket"
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}"]
        command += ["--server", f"type=unixio,path={socket}", "--ctrl", f"type=unixio,path={socket}.ctrl"]
        command += ["--flags", "not-need-init,startup-clear"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not (Path(socket).exists() and Path(f"{socket}.ctrl").exists()):
            assert time.monotonic() < deadline, "swtpm did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        """Kill it, as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        for name in ("socket", "socket.ctrl"):
            (self.folder / name).unlink(missing_ok=True)

    def tool(self, *command: str, given: bytes = b"") -> bytes:
        """Run a command of tpm2-tools by hand."""
        environment = {**os.environ, "TPM2TOOLS_TCTI": self.tcti}
        return subprocess.run(command, input=given, check=True, capture_output=True, env=environment).stdout


@pytest.fixture
def swtpm() -> Iterator[SoftwareTpm]:
    """A running software TPM."""
    for tool in ("swtpm", "/usr/bin/tpm2_nvdefine"):
        if shutil.which(tool) is None:
            pytest.skip(f"`{tool}` is not installed (Debian: swtpm, tpm2-tools)")
    folder = Path(tempfile.mkdtemp(prefix="eg-tpm-"))  # a socket's path may be only 107 bytes long
    chip = SoftwareTpm(folder)
    chip.start()
    try:
        yield chip
    finally:
        chip.stop()
        shutil.rmtree(folder)
