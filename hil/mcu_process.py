"""The safety microcontroller as a process on a pty: the real firmware in real time, without an emulator.

Everything the firmware measures comes from the methods here. Nothing here decides or talks on the link.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import final

from edgeguard.errors import LinkError
from edgeguard.program import Program
from hil.firmware import TEST_KEY_FILE, TEST_OPERATOR_KEY_FILE, build
from hil.mcu_outputs import Recorder
from hil.mcu_senses import Places


@final
class ProcessMcu(Recorder):
    """The firmware as a process. It lives until `close`, or until this process dies.

    `retained_file` stands for memory that survives a reset: give it to the next one, and latches and outputs go on.
    """

    def __init__(
        self,
        program: Program,
        *,
        key_file: Path | None = None,
        operator_key_file: Path | None = None,
        retained_file: Path | None = None,
        stop_pressed: bool = False,
        sanitize: bool = False,
    ) -> None:
        super().__init__()
        self._places = Places(program)
        keys = (key_file or TEST_KEY_FILE, operator_key_file or TEST_OPERATOR_KEY_FILE)
        files = keys if retained_file is None else (*keys, retained_file)
        binary = build(program, "host", sanitize=sanitize)
        theirs, self._lines = os.pipe()
        # Said before the process lives: its contact is open until it hears otherwise.
        self._say("stop" if stop_pressed else "release")
        try:
            self._process = subprocess.Popen(
                [str(binary), *map(str, files)],
                stdin=theirs,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        finally:
            os.close(theirs)
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: it was asked for
        self.port = self._process.stdout.readline().strip()
        if not self.port:
            raise LinkError(f"the microcontroller's process did not start: {self._farewell()}")
        self._follow(self._process.stdout, foreign_clock=False)

    @property
    def pid(self) -> int:
        """Process id of the microcontroller."""
        return self._process.pid

    def sense(self, sensor: str, value: float, *, valid: bool = True) -> None:
        """Let one of the microcontroller's own sensors read a value now."""
        self._places.sensor(sensor)
        self._say(f"sensor {sensor} {value:.6f}" if valid else f"sensor {sensor} fault")

    def measure(self, actuator: str, value: float, *, valid: bool = True) -> None:
        """Let the microcontroller measure where an actuator is now."""
        self._places.actuator(actuator)
        self._say(f"measured {actuator} {value:.6f}" if valid else f"measured {actuator} fault")

    def press_stop(self) -> None:
        """Press the emergency stop."""
        self._say("stop")

    def release_stop(self) -> None:
        """Let the emergency stop's contact close again."""
        self._say("release")

    def hang(self) -> None:
        """Stop the process where it stands. It has no watchdog: `unhang`, or end it."""
        os.kill(self.pid, signal.SIGSTOP)

    def unhang(self) -> None:
        """Let a stopped process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End the process where it stands, as a reset would."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process and wait for it."""
        self._end_input()
        with contextlib.suppress(ProcessLookupError):
            self.unhang()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2.0)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._stop_following()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> ProcessMcu:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _say(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # an ended process measures nothing any more
            os.write(self._lines, f"{line}\n".encode())

    def _end_input(self) -> None:
        if self._lines >= 0:
            os.close(self._lines)
            self._lines = -1

    def _farewell(self) -> str:
        self._end_input()
        _, errors = self._process.communicate(timeout=2.0)
        return errors.strip() or f"exit status {self._process.returncode}"
