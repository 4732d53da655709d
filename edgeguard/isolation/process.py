"""One run of a worker's process, from its start to its end, without ever waiting for it but where a caller says so.

`advance` reads what it reports while it loads; `wait` sleeps until it rings or ends. A new run is a new object.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from edgeguard.isolation import spawn as spawning
from edgeguard.isolation import witness
from edgeguard.isolation.channel import Suggestions
from edgeguard.isolation.sandbox.levels import Level, Reached
from edgeguard.isolation.worker import LONGEST_REPORT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

    from edgeguard.isolation.layout import Layout
    from edgeguard.program import WorkerSpec

_EPOLL_ENTRIES = 4
_NOT_YET = Reached(Level.OFF, {})


class Phase(Enum):
    """How far a run is."""

    STARTING = "starting"
    READY = "ready"
    ENDED = "ended"


class Recipe(NamedTuple):
    """What every run of one worker is started from. The descriptors stay their owner's."""

    spec: WorkerSpec
    layout: Layout
    load: int
    """Its order and its models."""
    frames: int
    front: Sequence[str] = ()
    """A command that starts what follows it."""
    program: str = ""
    """Another program than a worker's; only in tests."""
    least: Level = Level.OFF
    """What a run before it reached."""


class Process:
    """A worker's process and the host's ends of everything it holds."""

    def __init__(self, recipe: Recipe) -> None:
        """Start it.

        Raises:
            ContractError: the system has no sealable memory.
            OSError: the system has no room for a process or a descriptor.
        """
        self.phase = Phase.STARTING
        self.why = ""
        """Why it ended, in words for the operator."""
        self.reached: Reached = _NOT_YET
        self.facts: Mapping[str, str] = {}
        """What it says runs its models: told, not checked."""
        self._sandbox = recipe.spec.sandbox
        self._perhaps = (
            "" if recipe.spec.memory is None else "; perhaps its `memory` in the policy is too small"
        )
        self._least = recipe.least
        self._entered: Mapping[str, str] | None = None
        self._text = b""
        self._epoll = select.epoll(_EPOLL_ENTRIES)
        self._report = self._life = self._watched = -1
        self.suggestions = Suggestions(recipe.layout)
        try:
            self._process = self._spawn(recipe)
            self._watched = os.pidfd_open(self._process.pid)
            self._epoll.register(self._watched, select.EPOLLIN)
            self._epoll.register(self._report, select.EPOLLIN)
            # Edges: the host need not read what both hold, so the worker can neither keep it waiting nor keep it awake.
            self._epoll.register(self.suggestions.bell, select.EPOLLIN | select.EPOLLET)
        except BaseException:
            self._close()  # with the end of the pipe on whose closing the kernel ends what was started
            raise

    @property
    def pid(self) -> int:
        """Its number, also after its end; that of the tool in front of it, where there is one."""
        return self._process.pid

    def words(self) -> dict[str, str]:
        """Where it runs and what holds it."""
        layers = {f"sandbox {layer}": state for layer, state in self.reached.layers.items()}
        return {"runs in": f"process {self.pid}", "sandbox": self.reached.level.name.lower(), **layers}

    def advance(self) -> Phase:
        """Take notice of what it reported, and of its end. Does not wait."""
        ended = self.phase is not Phase.ENDED and self._process.poll() is not None
        if self.phase is Phase.STARTING:
            self._read_report()  # its last words count, so they are read after its end is known
        if ended:
            self.end("has ended")
        return self.phase

    def wait(self, seconds: float) -> None:
        """Sleep until it rings, reports or ends, or for so long."""
        if self.phase is Phase.ENDED:
            return
        with contextlib.suppress(InterruptedError):
            for descriptor, _ in self._epoll.poll(seconds):
                if descriptor == self._watched:
                    self.advance()
                    self.end("has ended")
                    return

    def end(self, why: str) -> None:
        """Kill it and take everything back: from now on it is nobody. Does not wait for the kernel."""
        if self.phase is Phase.ENDED:
            return
        self.phase = Phase.ENDED
        self.why = why
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._watched, signal.SIGKILL)
        self._close()

    def reap(self, *, wait: bool = False) -> bool:
        """Whether the kernel has let go of it; with `wait`, once it has."""
        if wait:
            self._process.wait()
        return self._process.poll() is not None

    def _spawn(self, recipe: Recipe) -> subprocess.Popen[bytes]:
        """Hand over what the channels of the policy allow, and nothing else."""
        ends = [-1, -1]
        try:
            ends[0], self._life = os.pipe2(os.O_CLOEXEC)
            self._report, ends[1] = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self._report, False)
            handed = spawning.Handed(
                life=ends[0],
                load=recipe.load,
                report=ends[1],
                frames=recipe.frames if recipe.spec.hears else -1,
                suggestions=self.suggestions.descriptor if recipe.spec.speaks else -1,
                bell=self.suggestions.bell if recipe.spec.speaks else -1,
            )
            return spawning.spawn(handed, recipe.front, recipe.program)
        finally:
            for end in ends:
                if end >= 0:
                    os.close(end)

    def _read_report(self) -> None:
        """Take all that is there."""
        while self._report >= 0:  # until it is ready, or ended
            try:
                part = os.read(self._report, LONGEST_REPORT)
            except BlockingIOError:
                return
            *lines, self._text = (self._text + part).split(b"\n")
            for line in lines:
                self._take(witness.parse(line))
            if self._report >= 0 and not part:
                self.end(f"ended while it was loading; EDGEGUARD_DEBUG=1 shows its messages{self._perhaps}")
            elif len(self._text) > LONGEST_REPORT:
                self.end("reports more than any worker does")

    def _take(self, message: Mapping[str, object]) -> None:
        """One line of its report, unless it said enough before."""
        if self._report < 0:
            return
        if "entered" in message and self._entered is None:
            self._entered = witness.layers(message["entered"])
        elif "ready" in message and self._entered is not None:
            self._ready(message, self._entered)
        elif isinstance(message.get("error"), str):
            said = witness.plain(str(message["error"]))
            self.end(f"cannot start: {said}{self._perhaps if 'alloc' in said else ''}")
        else:
            self.end("reports what no worker does")

    def _ready(self, message: Mapping[str, object], entered: Mapping[str, str]) -> None:
        self.reached = witness.judged(entered, witness.layers(message["ready"]), witness.innermost(self.pid))
        short = witness.shortfall(self.reached, self._sandbox, self._least)
        if short:
            self.end(short)
            return
        facts = message.get("facts")
        if isinstance(facts, dict):
            said = {str(k): v for k, v in facts.items() if isinstance(v, str)}
            self.facts = {witness.plain(k)[:80]: witness.plain(v)[:400] for k, v in said.items()}
        self._epoll.unregister(self._report)
        os.close(self._report)
        self._report = -1
        self.phase = Phase.READY

    def _close(self) -> None:
        self._epoll.close()
        self.suggestions.close()
        for descriptor in (self._report, self._life, self._watched):
            if descriptor >= 0:
                os.close(descriptor)
        self._report = self._life = self._watched = -1
