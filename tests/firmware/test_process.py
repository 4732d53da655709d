from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from edgeguard.errors import LinkError, UsageError
from edgeguard.link import open_link, ping
from edgeguard.link.keys import TEST_KEY
from edgeguard.link.link import TransportLink
from edgeguard.program import Program
from hil import mcu_qemu
from hil.mcu import OutputRecord, ProcessMcu, start_mcu
from hil.mcu_qemu import QemuMcu

pytestmark = pytest.mark.process
ROOT = Path(__file__).parents[2]
TALKER = Path(__file__).with_name("talker.py")
PROMISE = 0.150
"""s from the host's death to the microcontroller's own fallback."""


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


@contextmanager
def talker(mcu: ProcessMcu | QemuMcu, program: Program) -> Iterator[subprocess.Popen[str]]:
    """A host process that has been granted authority."""
    process = subprocess.Popen(
        [sys.executable, str(TALKER), mcu.port, program.digest],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "enabled\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def connect(mcu: ProcessMcu, program: Program) -> TransportLink:
    return open_link(
        mcu.port, key=TEST_KEY, policy_hash=bytes.fromhex(program.digest), actuators=program.envelope
    )


def is_open(link: TransportLink) -> bool:
    link.poll(time.monotonic())
    return link.status.state == "open"


@pytest.fixture(scope="module")
def process_mcu(program: Program) -> Iterator[ProcessMcu]:
    with ProcessMcu(program) as mcu:
        yield mcu


def fallback_after(mcu: ProcessMcu | QemuMcu, death: float) -> OutputRecord:
    wait_for(lambda: mcu.mode == "fallback_only")
    return next(r for r in mcu.records() if r.mode == "fallback_only" and r.at > death)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
@pytest.mark.parametrize("run", range(2))
def test_host_lost_falls_back_in_time(
    process_mcu: ProcessMcu, program: Program, how: signal.Signals, run: int
) -> None:
    with talker(process_mcu, program) as host:
        time.sleep(0.2 + 0.007 * run)
        wait_for(lambda: process_mcu.mode == "enabled")
        death = time.monotonic()
        host.send_signal(how)
        record = fallback_after(process_mcu, death)
    assert 0.0 < record.at - death <= PROMISE
    wait_for(lambda: process_mcu.outputs_now() == {"brake": 1.0, "throttle": 0.0}, 2.0)


def test_records_come_at_100_hz_or_more(process_mcu: ProcessMcu) -> None:
    wait_for(lambda: len(process_mcu.records()) > 100)
    times = [r.at for r in process_mcu.records() if r.actuator == "brake"]
    gaps = sorted(b - a for a, b in pairwise(times))
    assert gaps[len(gaps) // 2] <= 0.012


def test_ping_measures_a_real_process(program: Program) -> None:
    with ProcessMcu(program) as mcu:
        link = connect(mcu, program)
        report = ping(link, 0.5)
        link.close()
        assert report.count > 5
        assert mcu.mode == "silent"


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_line_that_nobody_reads_keeps_no_processor_busy(program: Program) -> None:
    with ProcessMcu(program) as mcu:
        time.sleep(5.0)  # 20 HELLO a second, until the pty's 4 kB are full and nothing goes out any more
        before = processor_seconds(mcu.pid)
        time.sleep(1.0)
        assert processor_seconds(mcu.pid) - before < 0.25


def test_process_ends_with_its_owner(program: Program) -> None:
    mcu = ProcessMcu(program)
    mcu.close()
    assert not Path(mcu.port).exists() or mcu._process.poll() == 0


def test_process_without_a_key_says_so(program: Program, tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=r"did not start: cannot read the device key"):
        ProcessMcu(program, key_file=tmp_path / "absent")


def test_hostile_bytes_do_not_break_the_sanitized_firmware(program: Program) -> None:
    noise = random.Random(1)
    with ProcessMcu(program, sanitize=True) as mcu:
        line = os.open(mcu.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        for _ in range(200):
            start = bytes((0xFD, noise.randrange(256), 1, 0)) if noise.random() < 0.5 else b""
            time.sleep(0.0005)
            try:
                os.write(line, start + noise.randbytes(noise.randrange(200)))
            except BlockingIOError:
                continue
        os.close(line)
        link = connect(mcu, program)
        wait_for(lambda: is_open(link))
        assert ping(link, 0.5).status.crc_errors >= 0
        link.close()


@pytest.mark.qemu
@pytest.mark.skipif(not mcu_qemu.available(), reason="no qemu-system-arm or arm-none-eabi-gcc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
def test_emulated_board_falls_back_in_time(program: Program, how: signal.Signals) -> None:
    with start_mcu("qemu", program) as mcu, talker(mcu, program) as host:
        death = time.monotonic()
        host.send_signal(how)
        record = fallback_after(mcu, death)
        assert 0.0 < record.at - death <= 2 * PROMISE  # an emulator on a busy machine keeps no real time


def test_unknown_kind_of_microcontroller_is_refused(program: Program) -> None:
    with pytest.raises(UsageError, match=r"no microcontroller of kind `abacus`"):
        start_mcu("abacus", program)


def test_missing_emulator_is_a_clear_error(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LinkError, match=r"needs `qemu-system-arm`.*apt-get install"):
        start_mcu("qemu", program)
