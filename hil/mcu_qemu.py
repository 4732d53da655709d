"""The safety microcontroller as the real ARM firmware under QEMU's `mps2-an385`, with the interface of `ProcessMcu`.

Needs `qemu-system-arm`, `gcc-arm-none-eabi` and `libnewlib-arm-none-eabi`. Nothing here decides or talks on the link.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TextIO, final

from edgeguard.errors import LinkError
from edgeguard.link.keys import load_device_key
from edgeguard.program import Program
from hil.firmware import TEST_KEY_FILE, TEST_OPERATOR_KEY_FILE, build
from hil.mcu_outputs import Recorder

PROVISION_ADDRESS = 0x003F_F000
START_TIME = 10.0
"""s within which the emulator must offer its UARTs."""


def available() -> bool:
    """Whether the emulator and its compiler are installed."""
    return shutil.which("qemu-system-arm") is not None and shutil.which("arm-none-eabi-gcc") is not None


@final
class QemuMcu(Recorder):
    """The firmware on an emulated Cortex-M3. It lives until `close`, or until this process dies."""

    def __init__(
        self, program: Program, *, key_file: Path | None = None, operator_key_file: Path | None = None
    ) -> None:
        super().__init__()
        if not available():
            raise LinkError(
                "the emulated microcontroller needs `qemu-system-arm` and `arm-none-eabi-gcc`: on Debian or Ubuntu "
                "`apt-get install qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi`"
            )
        image = build(program, "qemu")
        keys = load_device_key(key_file or TEST_KEY_FILE)
        keys += load_device_key(operator_key_file or TEST_OPERATOR_KEY_FILE)
        self._folder = tempfile.TemporaryDirectory(prefix="edgeguard-qemu-")
        folder = Path(self._folder.name)
        page = folder / "provision.bin"
        page.write_bytes(keys + secrets.token_bytes(16))
        self._process = subprocess.Popen(
            _command(image, page, folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._stream: TextIO | None = None
        self.port = f"unix://{folder / 'link'}"
        try:
            line = self._connect(folder / "records")
        except LinkError:
            self.close()
            raise
        with line:
            self._stream = line.makefile("r", encoding="ascii", errors="replace")
        self._follow(self._stream, foreign_clock=True)

    @property
    def pid(self) -> int:
        """Process id of the emulator."""
        return self._process.pid

    def close(self) -> None:
        """End the emulator and wait for it."""
        self._process.kill()
        self._process.wait()
        self._stop_following()
        for stream in (self._stream, self._process.stderr):
            if stream is not None:
                stream.close()
        self._folder.cleanup()

    def __enter__(self) -> QemuMcu:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self, path: Path) -> socket.socket:
        end = time.monotonic() + START_TIME
        while self._process.poll() is None and time.monotonic() < end:
            found = socket.socket(socket.AF_UNIX)
            try:
                found.connect(str(path))
            except OSError:
                found.close()
                time.sleep(0.01)
            else:
                return found
        raise LinkError(f"the emulator did not start: exit status {self._process.poll()}")


def _command(image: Path, page: Path, folder: Path) -> list[str]:
    dies_with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    return [
        *dies_with_us,
        "qemu-system-arm",
        *("-M", "mps2-an385", "-display", "none", "-monitor", "none", "-kernel", str(image)),
        *("-device", f"loader,file={page},addr={PROVISION_ADDRESS:#x},force-raw=on"),
        *("-serial", f"unix:{folder / 'link'},server=on,wait=off"),
        *("-serial", f"unix:{folder / 'records'},server=on,wait=off"),
    ]
