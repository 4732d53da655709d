"""The core in C, behind the same calls as the reference: a shared library that takes many traces at once.

`compile_core` builds the core alone, from any copy of its sources; nothing here decides.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from edgeguard.errors import LinkError
from edgeguard.policy.emit_c import emit
from edgeguard.program import Program
from tests.firmware.reference.layout import Layout, Records

SOURCES = Path(__file__).resolve().parents[3] / "firmware_stubs"
LIBRARY = "libedgeguard_core.so"
NUMBERS = 96
"""Room that `eg_traces_layout` asks for."""


def compile_core(program: Program, folder: Path, *, core: Path = SOURCES / "core") -> Path:
    """Build the core in `core` for a policy, in `folder`.

    Raises:
        PolicyError: the policy does not fit the microcontroller.
        LinkError: there is no compiler, or it fails; its output is in the message.
    """
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        raise LinkError(
            f"the core is built with `{compiler}`, which is not installed: on Debian or Ubuntu "
            "`apt-get install gcc libc6-dev`"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy_table.h").write_text(emit(program), encoding="ascii")
    sources = [*sorted(core.glob("*.c")), SOURCES / "board" / "lib" / "eg_lib_traces.c"]
    command = [compiler, "-std=c11", "-O2", "-fPIC", "-shared", f"-I{folder}", f"-I{core}"]
    done = subprocess.run(
        [*command, "-o", str(folder / LIBRARY), *map(str, sources)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LinkError(f"building the core failed: {done.stderr.strip()}")
    return folder / LIBRARY


class Machine:
    """A library built with `eg_lib_traces.c`. Raises LinkError where its structs lie otherwise than ours."""

    def __init__(self, path: Path) -> None:
        self._lib = ctypes.CDLL(str(path))
        self._lib.eg_traces_table.restype = ctypes.c_void_p
        self._lib.eg_traces_run.restype = ctypes.c_size_t
        numbers = np.zeros(NUMBERS, np.uint32)
        count = self._lib.eg_traces_layout(_at(numbers))
        actuators, sensors, rules, terms = (int(n) for n in numbers[:4])
        self.layout = Layout(actuators, sensors, rules, terms)
        if self.layout.numbers() != numbers[:count].tolist():
            raise LinkError(f"the structs of `{path}` do not lie as `reference/layout.py` says")

    def table(self) -> Any:
        """The table that the library was built with: one record of `layout.table`."""
        raw = ctypes.string_at(self._lib.eg_traces_table(), self.layout.table.itemsize)
        return np.frombuffer(raw, self.layout.table)[0]

    def begin(self, table: Any, retained: Records | None, now: Records) -> Records:
        """States after a reset. `now`: (N,) us; `retained`: (N,) of `layout.retained`, or nothing at all."""
        states = np.zeros(len(now), self.layout.state)
        kept = None if retained is None else _at(retained)
        self._lib.eg_traces_init(_at(table), _count(now), _at(states), kept, _at(now))
        return states

    def retain(self, states: Records, retained: Records) -> Records:
        """What would be left in retained memory: (N,)."""
        after: Records = retained.copy()
        self._lib.eg_traces_retain(_count(states), _at(states), _at(after))
        return after

    def lock(self, states: Records, reasons: Records, latches: Records) -> Records:
        """The states locked from outside."""
        after: Records = states.copy()
        self._lib.eg_traces_lock(_count(states), _at(after), _at(reasons), _at(latches))
        return after

    def run(self, table: Any, states: Records, inputs: Records, now: Records) -> tuple[Records, Records]:
        """T steps of N traces. `inputs`, `now`: (N, T). Returns states (N,) and outputs (N, T).

        Raises:
            LinkError: the core and its pair, the two copies that boards run, were not the same in a step.
        """
        after = states.copy()
        outputs = np.zeros(inputs.shape, self.layout.outputs)
        traces, steps = inputs.shape
        inputs, now = np.ascontiguousarray(inputs), np.ascontiguousarray(now)
        unlike = self._lib.eg_traces_run(
            _at(table),
            ctypes.c_size_t(traces),
            ctypes.c_size_t(steps),
            _at(after),
            _at(inputs),
            _at(now),
            _at(outputs),
        )
        if unlike:
            raise LinkError(f"the core and its pair differ in {unlike} steps of {outputs.size}")
        return after, outputs

    def step(self, table: Any, states: Records, inputs: Records, now: Records) -> tuple[Records, Records]:
        """One step of N traces: (states, outputs), as the reference's `step`."""
        after, outputs = self.run(table, states, inputs[:, None], now[:, None])
        return after, outputs[:, 0]


def _at(records: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(np.asarray(records).ctypes.data)


def _count(records: Records) -> ctypes.c_size_t:
    return ctypes.c_size_t(len(records))
