"""The program of a worker: closes its sandbox, loads its models from memory, seals itself, answers until it is ended.

It owns nothing but the descriptors it was handed. Nothing heavy is imported before the sandbox is entered, and nothing
at all after it is sealed. Only `spawn` starts it; its host believes nothing it says.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import select
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgeguard.errors import EdgeguardError
from edgeguard.isolation import load
from edgeguard.isolation.sandbox import Jail, Level, Reached, enter, seal
from edgeguard.isolation.spawn import Handed, debugging

if TYPE_CHECKING:
    from edgeguard.inference.looks import Part
    from edgeguard.inference.runner import Load, Runner
    from edgeguard.isolation.serve import Desk

LONGEST_REPORT = 16_384
"""Most bytes of a report that the host reads."""

Loader = Callable[[Mapping[str, bytes]], "Load"]
"""From models' bytes, by role, to what makes their sessions."""


def main(descriptors: str, loader: Loader | None = None) -> None:
    """Run. `descriptors`: the fields of `Handed`, with commas. `loader`: another one only in tests."""
    handed = Handed(*map(int, descriptors.split(",")))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the host's to handle
    die_with_host(handed.life)
    order = load.read(handed.load)
    keep = (handed.life, *handed.open[2:], *((2,) if debugging() else ()))
    jail = Jail(level=Level(order.level), keep=keep, **order.jail)
    entered = enter(jail)
    _tell(handed.report, {"entered": _shown(entered)})
    try:
        runner, desk, facts = prepare(order, handed, loader)
    except EdgeguardError as error:
        _tell(handed.report, {"error": str(error)[:4000]})
        return
    del order  # and the models' bytes with it
    gc.collect()
    gc.freeze()
    sealed = seal(jail)
    _tell(handed.report, {"ready": _shown(sealed), "facts": facts})
    os.close(handed.report)
    if desk is None:
        os.read(handed.life, 1)  # it hears or says nothing: it waits for its end
    else:
        desk.serve(runner)


def die_with_host(life: int) -> None:
    """Have the kernel end this process when the host's end of the pipe closes, whatever this process does then."""
    # Unlike the kernel's death signal this does not follow the thread that started the process.
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, 10, int(signal.SIGKILL))  # F_SETSIG, which the standard library does not name
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    already = select.poll()
    already.register(life, 0)
    if already.poll(0):
        raise SystemExit  # it ended before the kernel was asked


def prepare(
    order: load.Order, handed: Handed, loader: Loader | None
) -> tuple[Runner, Desk | None, Mapping[str, str]]:
    """Load and warm up everything that an answer needs; with what runs the models, in words.

    Raises:
        EdgeguardError: a model cannot be loaded, or the models do not fit one another.
    """
    # Not before the sandbox is entered: these bring numpy and a model runtime.
    from edgeguard.inference.member import described  # noqa: PLC0415
    from edgeguard.inference.runner import Runner, load_part  # noqa: PLC0415
    from edgeguard.isolation.layout import Layout  # noqa: PLC0415
    from edgeguard.isolation.serve import Desk  # noqa: PLC0415

    parts = {told["role"]: load.part(told) for told in order.parts}
    runner = Runner.load(order.looks, parts, (loader or load_part)(order.models))
    warm_up(runner, parts)
    if -1 in (handed.frames, handed.suggestions, handed.bell):
        return runner, None, described(parts, runner)
    return runner, Desk(Layout(order.looks, parts), handed), described(parts, runner)


def warm_up(runner: Runner, parts: Mapping[str, Part]) -> None:
    """Answer grey pictures in every combination of views that a frame may ask for.

    Raises:
        EdgeguardError: a model gives no answer.
    """
    from edgeguard.errors import ContractError  # noqa: PLC0415
    from edgeguard.inference.runner import role_of  # noqa: PLC0415

    pictures = [kind.blank() + 0.5 for kind in runner.kinds]
    for looks in _combinations(runner.looks):
        raws = runner.run(pictures, looks)
        silent = [role for role in map(role_of, looks) if role not in raws]
        if silent:
            raise ContractError(
                f"bundle `{parts[silent[0]].contract.bundle}` gives no answer for a grey picture in its worker"
            )


def _combinations(looks: Sequence[str]) -> list[tuple[str, ...]]:
    """Each look alone, and every size of a batch that will be met."""
    return [*((look,) for look in looks), *(tuple(looks[:count]) for count in range(2, len(looks) + 1))]


def _shown(reached: Reached) -> dict[str, Any]:
    return {"level": int(reached.level), "layers": dict(reached.layers)}


def _tell(descriptor: int, message: Mapping[str, Any]) -> None:
    """One line of JSON to the host."""
    os.write(descriptor, json.dumps(message).encode() + b"\n")
