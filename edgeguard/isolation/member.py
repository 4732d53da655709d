"""A member whose models run in a process of their own: asks it, checks it, and starts it again within its budget.

Nothing here raises on a frame, and nothing waits but `collect`, until the deadline. While the process is down its looks
are missing, so the verdict fails closed. Reads a clock: a real process answers in real time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from edgeguard.errors import ContractError
from edgeguard.inference.looks import Canonical, Part, Reply
from edgeguard.isolation import load, memory, witness
from edgeguard.isolation.budget import Budget
from edgeguard.isolation.channel import Asked, Heard, Pictures
from edgeguard.isolation.layout import Layout
from edgeguard.isolation.process import Phase, Process, Recipe
from edgeguard.isolation.sandbox import Jail, Level, wrap
from edgeguard.isolation.sandbox.privileges import undumpable

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.inference.scoring import Raw, Scoring
    from edgeguard.inference.session import Tensor
    from edgeguard.program import WorkerSpec

_START_WITHIN = 60.0
"""Most time (s) to start, import the runtime, load the models and warm them up."""
_GLANCE = 0.5
_PATIENCE_DEADLINES = 5.0
_PATIENCE_LEAST = 1.0
"""A worker that gives no answer at all for five deadlines, and for a second, hangs: it is killed."""


def start_worker(
    spec: WorkerSpec,
    parts: Mapping[str, Part],
    models: Mapping[str, AdmittedModel],
    scoring: Scoring,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> WorkerMember:
    """Start a worker, and wait until it is loaded, warm and sealed.

    `parts`: what its looks need, by role, as `parts_for` gives them; `models`: at least those, by role. `scoring`: of
    these parts. `clock`: real seconds, for deadlines.

    Raises:
        ContractError: models that do not load or fit, or a sandbox below the policy's demand; names what is missing.
    """
    member = WorkerMember(spec, parts, {role: models[role].model for role in parts}, scoring, clock=clock)
    try:
        member.wait_until_ready()
    except BaseException:
        member.close()
        raise
    return member


class WorkerMember:
    """Looks through a worker. Used by one thread. `start_worker` makes it."""

    def __init__(
        self,
        spec: WorkerSpec,
        parts: Mapping[str, Part],
        models: Mapping[str, bytes],
        scoring: Scoring,
        *,
        clock: Callable[[], float] = time.monotonic,
        program: str = "",
    ) -> None:
        """Start the process and do not wait for it. `program`: another one only in tests.

        Raises:
            ContractError: this system cannot have workers.
        """
        self.spec = spec
        self.scoring = scoring
        self._parts = parts
        self._clock = clock
        self._connected = spec.hears and spec.speaks
        self._layout = Layout(spec.looks, parts)
        self._patience = max(_PATIENCE_DEADLINES * spec.deadline, _PATIENCE_LEAST)
        self._load: int | None = None
        self._process: Process | None = None
        self._ended: list[Process] = []
        self._why: str
        self._asked: Asked
        self._asked_at: float
        self._open: Asked | None = None
        """The request that an answer is still wanted to."""
        self._lost: Asked | None = None
        """The request that was open when its process ended, until it is told."""
        self._kept: Mapping[str, Raw] | None
        self._silent_since: float | None = None
        """When the first request was sent that nothing came for, not even late."""
        self._timely: bool
        self._budget = Budget(spec.restarts_most, spec.restarts_within)
        level = witness.tried(spec.sandbox)
        if level is not Level.OFF:
            # Where a worker runs as the host's user, it could read the host's keys in its memory while it loads.
            undumpable()
        # Tried once: a restart must not wait for a trial.
        self._wrapped = wrap((), Jail(level, memory=spec.memory, gpu=spec.gpu))
        self._pictures = Pictures(self._layout)
        try:
            self._load = memory.sealed_bytes("load", *load.pack(spec, level, parts, models))
            frames, front = self._pictures.descriptor, self._wrapped.command
            self._recipe = Recipe(spec, self._layout, self._load, frames, front, program)
            self._start()
        except OSError as error:
            self.close()
            raise ContractError(f"worker `{spec.name}` cannot be started: {error}") from error
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The worker's name in the policy."""
        return self.spec.name

    @property
    def looks(self) -> tuple[str, ...]:
        """What it can be asked for."""
        return self._layout.looks

    @property
    def kinds(self) -> tuple[Canonical, ...]:
        """The canonical pictures it wants."""
        return self._layout.kinds

    @property
    def pid(self) -> int | None:
        """Its process; None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def restarted(self) -> int:
        """How often it was started again."""
        return self._budget.count

    @property
    def answering(self) -> bool:
        """Whether it is up, and answered in time when it was asked last."""
        return self._ready is not None and self._connected and self._timely

    def begin(self, number: int) -> Sequence[Tensor] | None:
        """Rooms for the pictures of frame `number`; None: it cannot take a frame now."""
        self._pictures.begun = False
        if self._ready is None or not self._connected:
            return None
        return self._pictures.begin(number, self._open)

    def submit(self, looks: Sequence[str]) -> None:
        """Ask for `looks`. An earlier request that is still open is given up: its answer will be dropped."""
        wanted = self._layout.mask([look for look in looks if look in self._layout.bits])
        if self._ready is None or not self._pictures.begun or not wanted:
            return
        self._open = self._asked = self._pictures.ask(wanted)
        self._lost = self._kept = None
        self._asked_at = self._clock()
        if self._silent_since is None:
            self._silent_since = self._asked_at

    def collect(self) -> Reply:
        """The answer to the last submit. Waits until the deadline after it, and no longer. -1: nothing is open."""
        asked = self._open
        if asked is None:
            return Reply(-1, {})
        until = self._asked_at + self.spec.deadline
        while (process := self._ready) is not None:
            raws = self._hear(process, asked)
            if raws is not None:
                return self._answered(asked, raws)
            left = until - self._clock()
            if left <= 0.0:
                self._timely = False
                break
            process.wait(left)
        self._open = None
        return Reply(asked.number, {})

    def poll(self) -> Reply | None:
        """The answer to the last submit if it is there by now; an empty one where it ended with its process."""
        lost, self._lost = self._lost, None
        if lost is not None:
            return Reply(lost.number, {})
        asked, process = self._open, self._ready
        if asked is None or process is None:
            return None
        raws = self._hear(process, asked) if self._kept is None else self._kept
        return None if raws is None else self._answered(asked, raws)

    def tend(self, now: float) -> bool:
        """Notice what ended or hangs, start it again within its budget. False: the policy says to lock out."""
        self._ended = [process for process in self._ended if not process.reap()]
        process = self._process
        if process is not None:
            process.advance()
            self._notice(process)
        if self._process is None and self._budget.take(now):
            self._restart()
        return not (self._budget.spent and self.spec.lockout)

    def describe(self) -> Mapping[str, str]:
        """Where it runs, its sandbox, how often it fell, and by role what runs its model (as the worker says)."""
        process = self._process
        if process is None:
            return {"runs in": "no process", "why": self._why}
        tools = {f"sandbox {tool}": state for tool, state in self._wrapped.tools.items()}
        models = {r: f"{p.contract.bundle} {p.contract.digest[:12]}" for r, p in self._parts.items()}
        models |= {r: s for r, s in process.facts.items() if r in models and s.startswith(f"{models[r]} on ")}
        often = f"{self.restarted} time{'s' * (self.restarted != 1)}"
        again = {"started again": f"{often}, last as it {self._why}"} if self.restarted else {}
        return {
            **models,
            **tools,
            **again,
            **process.words(),
        }  # what the host knows stands over what it was told

    def wait_until_ready(self) -> None:
        """Wait for the end of its start.

        Raises:
            ContractError: it could not start; carries its own words.
        """
        while (process := self._process) is not None:
            if process.advance() is Phase.READY:
                return
            process.wait(_GLANCE)
            self._notice(process)
        raise ContractError(f"worker `{self.name}` {self._why}")

    def close(self) -> None:
        """End its process, wait for that, and free everything. May be called twice."""
        self._budget.spent = True
        if self._process is not None:
            self._process.end("was closed")
            self._let_go(self._process)
        for process in self._ended:
            process.reap(wait=True)
        self._ended = []
        self._pictures.close()
        if self._load is not None:
            os.close(self._load)
            self._load = None

    @property
    def _ready(self) -> Process | None:
        process = self._process
        return process if process is not None and process.phase is Phase.READY else None

    def _hear(self, process: Process, asked: Asked) -> Mapping[str, Raw] | None:
        """The checked answer to `asked`, if it is there. What breaks the protocol costs the worker its life."""
        heard = process.suggestions.read(asked)
        if heard is Heard.BROKEN:
            process.end("broke the protocol")
        if isinstance(heard, Heard):
            if heard is Heard.LATE and self._silent_since is not None:
                self._silent_since = self._clock()  # slow, and alive
            return None
        self._silent_since = None
        return heard

    def _answered(self, asked: Asked, raws: Mapping[str, Raw]) -> Reply:
        self._open = None
        self._timely = True
        return self.scoring.reply(asked.number, raws)

    def _notice(self, process: Process) -> None:
        """Let go of a process that ended, hangs, or does not get ready."""
        if process.phase is Phase.STARTING and self._clock() - self._started_at > _START_WITHIN:
            process.end(f"was not ready after {_START_WITHIN:g} s")
        elif process.phase is Phase.READY:
            if self._silent_since is not None:
                # It shows life, also when nobody fetches it; and what did that cannot be taken back.
                self._kept = self._hear(process, self._asked)
            since = self._silent_since
            if since is not None and self._clock() - since > self._patience:
                process.end(f"gave no answer for {self._patience:g} s")
        if process.phase is Phase.ENDED:
            self._let_go(process)

    def _let_go(self, process: Process) -> None:
        """Of a process that has ended: from now on there is none."""
        self._process = None
        self._why = process.why
        self._ended.append(process)
        # It was logged, and believed, to be that shut in: another one does not start with less.
        self._recipe = self._recipe._replace(least=max(self._recipe.least, process.reached.level))
        self._lost, self._open = self._open, None
        self._silent_since = None

    def _restart(self) -> None:
        try:
            self._start()
        except (ContractError, OSError) as error:
            self._why = f"could not be started again: {error}"

    def _start(self) -> None:
        """Start a process; `advance` will see it through.

        Raises:
            ContractError: this system cannot have workers.
            OSError: it has no room for one now.
        """
        self._started_at = self._clock()
        self._timely = True
        self._process = Process(self._recipe)
