"""How much room the firmware takes on the boards, and that the tool which says so sees what it must not miss."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgeguard.program import Program
from hil.firmware import build

pytestmark = pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no arm-none-eabi-gcc")
ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "firmware-size"


def judge(image: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOOL), str(image)], capture_output=True, text=True, check=False
    )


def compiled(body: str, image: Path) -> Path:
    """Link an image whose `eg_reset` is `body`, with the interrupt handler that the tool looks for."""
    source = image.with_suffix(".c")
    source.write_text(f"void timer_interrupt(void) {{}}\n{body}\n")
    options = [
        "-mcpu=cortex-m3",
        "-mthumb",
        "-Os",
        "-nostdlib",
        "-fno-optimize-sibling-calls",
        "-Wl,-e,eg_reset",
    ]
    subprocess.run(
        ["arm-none-eabi-gcc", *options, f"-Wl,-Map={image}.map", "-o", str(image), str(source)], check=True
    )
    return image


@pytest.mark.parametrize("target", ["qemu", "netduino"])
def test_firmware_fits_its_room_and_its_stack_has_a_bound(program: Program, target: str) -> None:
    done = judge(build(program, target))
    assert done.returncode == 0, done.stdout
    size, stack = (re.findall(f"{what}: ([0-9]+) bytes", done.stdout) for what in ("link", "stack"))
    assert int(size[0]) > 2000
    assert int(stack[0]) > 300


def test_bound_takes_no_frame_for_smaller_than_the_compiler_says(program: Program) -> None:
    image = build(program, "qemu")
    tool = sys.modules["firmware_size"] = ModuleType("firmware_size")  # its dataclass looks there
    tool.__file__ = str(TOOL)
    exec(compile(TOOL.read_text(), str(TOOL), "exec"), tool.__dict__)  # noqa: S102 - a script without a suffix
    functions = tool.disassemble(image)
    del sys.modules["firmware_size"]
    seen = 0
    for told in image.parent.rglob("*.su"):
        for line in told.read_text().splitlines():
            where, size, kind = line.split("\t")
            name = where.rpartition(":")[2]
            assert kind in ("static", "ignoring_inline_asm"), line
            if name in functions:
                seen += 1
                assert functions[name].own >= int(size), line
    assert seen > 40


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(
            "int f(int n) { return n ? f(n - 1) + f(n - 2) : 1; } int eg_reset(void) { return f(3); }",
            "recursion: f -> f",
            id="recursion",
        ),
        pytest.param(
            "int g(int); int (*volatile p)(int); int eg_reset(void) { return p(3) + 1; }",
            "calls through a pointer",
            id="pointer",
        ),
        pytest.param(
            "int use(char *a) { return *(volatile char *)a; }"
            "int eg_reset(volatile int n) { char a[n]; a[0] = 1; return use(a); }",
            "moves the stack by an unknown amount",
            id="array-of-any-size",
        ),
    ],
)
def test_stack_without_a_bound_is_refused(body: str, reason: str, tmp_path: Path) -> None:
    done = judge(compiled(body, tmp_path / "image.elf"))
    assert done.returncode == 1
    assert reason in done.stdout


def test_stack_above_its_limit_is_refused(tmp_path: Path) -> None:
    body = "int eg_reset(void) { volatile char a[2100]; a[0] = 1; return a[0]; }"
    done = judge(compiled(body, tmp_path / "image.elf"))
    assert done.returncode == 1
    assert "limit 2048: 2" in done.stdout
