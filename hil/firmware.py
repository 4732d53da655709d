"""Building the safety microcontroller's firmware for a policy, with the compiler of this machine.

Writes only into `out/firmware/`, one folder for each table, source and variant; nothing there is ever built twice.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from edgeguard.decision.table import Table
from edgeguard.errors import LinkError
from edgeguard.policy.emit_c import emit
from edgeguard.program import ActuatorLimit, LinkSettings, Microcontroller, Program

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "firmware_stubs"
CACHE = ROOT / "out" / "firmware"
TEST_KEY_FILE = SOURCES / "keys" / "test.device-key"
TEST_OPERATOR_KEY_FILE = SOURCES / "keys" / "test.operator-key"
LAST_150_MS = LinkSettings(lost_after=0.150)
NOTHING_OF_ITS_OWN = Microcontroller()
ARTEFACTS = {
    "host": "edgeguard-mcu",
    "lib": "libedgeguard_mcu.so",
    "qemu": "edgeguard-mcu.elf",
    "netduino": "edgeguard-mcu-netduino.elf",
}


def bare_program(
    name: str,
    envelope: tuple[ActuatorLimit, ...],
    *,
    link: LinkSettings = LAST_150_MS,
    microcontroller: Microcontroller = NOTHING_OF_ITS_OWN,
) -> Program:
    """A program that decides nothing: what the firmware's table needs, and no more. Its digest is that of the name."""
    return Program(
        name=name,
        version=1,
        digest=hashlib.sha256(name.encode()).hexdigest(),
        signals=(),
        table=Table(()),
        when=lambda _values, _healthy: (),
        clear=lambda _values, _healthy: (),
        choose=lambda _values, _healthy: -1,
        fallback=(),
        envelope=envelope,
        link=link,
        microcontroller=microcontroller,
    )


def build(program: Program, target: str, *, sanitize: bool = False, release: bool = False) -> Path:
    """Build the firmware for a policy; returns the artefact. `target`: `host`, `lib`, `qemu` or `netduino`.

    Raises:
        PolicyError: the policy does not fit the microcontroller.
        LinkError: no compiler, or it fails (its output is in the message).

    """
    artefact = ARTEFACTS[target]
    for_arm = artefact.endswith(".elf")
    compiler = "arm-none-eabi-gcc" if for_arm else os.environ.get("CC", "cc")
    if shutil.which(compiler.split()[0]) is None or shutil.which("make") is None:
        packages = "gcc-arm-none-eabi libnewlib-arm-none-eabi" if for_arm else "gcc libc6-dev"
        raise LinkError(
            f"the microcontroller's firmware is built with `{compiler}` and `make`, and one of them is not installed: "
            f"on Debian or Ubuntu `apt-get install make {packages}`"
        )
    table = emit(program)
    variant = f"{target}{'-san' if sanitize else ''}{'-release' if release else ''}"
    folder = CACHE / _digest(table, compiler) / variant
    if not (folder / artefact).exists():
        _make(table, target, folder, ["SAN=1"] * sanitize + ["RELEASE=1"] * release)
    return folder / artefact


def _make(table: str, target: str, folder: Path, options: list[str]) -> None:
    """Build beside the final folder and move it there, so that two builds at once cannot see each other's halves."""
    work = folder.with_name(f"{folder.name}.{os.getpid()}.{secrets.token_hex(4)}")
    work.mkdir(parents=True)
    (work / "policy_table.h").write_text(table, encoding="ascii")
    arguments = [target, f"BUILD={work}", f"TABLE={work / 'policy_table.h'}", *options]
    done = subprocess.run(
        ["make", "-s", "-f", str(SOURCES / "Makefile"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")},
    )
    if done.returncode != 0:
        shutil.rmtree(work, ignore_errors=True)
        raise LinkError(f"building the firmware failed: {done.stderr.strip() or done.stdout.strip()}")
    try:
        work.rename(folder)
    except OSError:  # another build was first; it made the same
        shutil.rmtree(work, ignore_errors=True)


def _digest(table: str, compiler: str) -> str:
    found = hashlib.sha256(f"{compiler}\n{table}".encode())
    for source in sorted(SOURCES.rglob("*")):
        if source.suffix in (".c", ".h", ".ld") or source.name == "Makefile":
            found.update(source.read_bytes())
    return found.hexdigest()[:16]
