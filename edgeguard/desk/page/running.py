"""Who runs what, where and how often, as tables for a reviewer: models, workers, channels, schedule, qualification.

Reads a compiled policy and its document, as `facts` does; formats nothing for any medium.
"""

from __future__ import annotations

from edgeguard.desk.page.facts import Cell, Code, Sheet, number
from edgeguard.policy import DraftPolicy
from edgeguard.policy.channels import lines
from edgeguard.policy.looks import FILTER, homes
from edgeguard.policy.pace import oldest
from edgeguard.policy.units import duration_text, frames_text, memory_text
from edgeguard.program import ModelRef, Program, Realtime, WorkerSpec


def sheets(draft: DraftPolicy) -> tuple[Sheet, ...]:
    """Those tables that the policy has rows for."""
    program = draft.program
    found = (
        models(program),
        workers(draft),
        channels(draft),
        schedule(draft),
        qualification(draft),
        realtime(program),
    )
    return tuple(sheet for sheet in found if sheet.rows)


def models(program: Program) -> Sheet:
    """Every bundle."""
    turns = program.switch
    about = "Only admitted bundles run: signed by somebody whom the policy trusts, or pinned by the policy."
    if turns is not None:
        seed = "a seed drawn at the start" if turns.seed is None else f"the seed {turns.seed}"
        about += f" The primary and its alternates take turns every {frames_text(turns.every)}, by {seed}."
    columns: tuple[str, ...] = ("model", "bundle", "backend", "parts left to the CPU")
    if any(ref.pin for ref in program.models):
        columns += ("pin", "manifest")
    return Sheet(
        "models",
        "Models",
        about,
        columns,
        tuple(_model(ref)[: len(columns)] for ref in program.models),
    )


def _model(ref: ModelRef) -> tuple[Cell, ...]:
    return (
        Code(ref.role),
        Code(ref.path.rpartition("/")[2]),
        ref.backend,
        "allowed" if ref.cpu_fallback else "",
        Code(ref.pin) if ref.pin else "",
        Code(ref.manifest.rpartition("/")[2]) if ref.manifest else "",
    )


def workers(draft: DraftPolicy) -> Sheet:
    """Every process that is not the host's own."""
    cleans = homes(draft.document.policy).get(FILTER)
    return Sheet(
        "isolation",
        "Isolation",
        "Each worker is a process that can do nothing but answer. What no worker runs, the host runs.",
        (
            "worker",
            "runs",
            "sandbox",
            "memory",
            "cores",
            "priority",
            "devices",
            "deadline",
            "restarts",
            "after them",
        ),
        tuple(_worker(spec, filters=cleans == spec.name) for spec in draft.program.workers),
    )


def _worker(spec: WorkerSpec, *, filters: bool) -> tuple[Cell, ...]:
    return (
        Code(spec.name),
        Code(", ".join((*((FILTER,) if filters else ()), *spec.looks))),
        spec.sandbox,
        "" if spec.memory is None else memory_text(spec.memory),
        ", ".join(map(str, spec.cpus)) or "any",
        "" if spec.fifo is None else f"SCHED_FIFO {spec.fifo}",
        "gpu" if spec.gpu else "none",
        duration_text(spec.deadline),
        f"{spec.restarts_most} within {duration_text(spec.restarts_within)}",
        "lockout" if spec.lockout else "stays down",
    )


def channels(draft: DraftPolicy) -> Sheet:
    """Every line that leads into a worker or out of it."""
    return Sheet(
        "channels",
        "Channels",
        "No other line exists: nothing else is handed to a worker.",
        ("from", "to", "carries"),
        tuple((Code(start), Code(end), what) for start, end, what in lines(draft.document.policy)),
    )


def schedule(draft: DraftPolicy) -> Sheet:
    """What is not computed on every frame."""
    policy = draft.document.policy
    rows = []
    for entry in draft.program.schedule:
        asked = policy.schedule[entry.name].or_when
        rows.append(
            (
                Code(entry.name),
                "in the background"
                if entry.background
                else f"every {frames_text(entry.every)}, from {entry.offset}",
                Code(asked) if asked else "",
                duration_text(oldest(policy, entry.name)),
                duration_text(policy.signals[entry.name].max_age),
            )
        )
    return Sheet(
        "schedule",
        "Schedule",
        "What is not computed is not updated: its value is held and ages. Every other signal comes with every frame.",
        ("signal", "computed", "or when", "oldest while all is well", "at fault beyond"),
        tuple(rows),
    )


def qualification(draft: DraftPolicy) -> Sheet:
    """What the calibration must have measured."""
    return Sheet(
        "qualification",
        "Qualification",
        "What the signed calibration must have measured of a model, with confidence, for the policy to load.",
        ("model", "right answers it costs at most", "share of the primary's failures that it shares at most"),
        tuple(
            (Code(role), _share(asked.accuracy_loss), _share(asked.common_mode))
            for role, asked in draft.document.policy.qualification.items()
        ),
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{number(value * 100)} %"


def realtime(program: Program) -> Sheet:
    """What the host's process asks of the operating system."""
    about = "What the guard's own process asks of the operating system. What it cannot have is reported."
    if program.realtime is not None and program.realtime.required:
        about = "The guard's own process refuses to start without all of this."
    return Sheet("realtime", "Real time", about, ("asked", "value"), _asked(program.realtime))


def _asked(given: Realtime | None) -> tuple[tuple[Cell, ...], ...]:
    if given is None:
        return ()
    rows = (
        ("priority", "" if given.fifo is None else f"SCHED_FIFO {given.fifo}"),
        ("cores", ", ".join(map(str, given.cpus))),
        ("memory", "locked" if given.lock_memory else ""),
        ("garbage collection", "what exists after the start is never collected" if given.freeze_gc else ""),
    )
    return tuple(row for row in rows if row[1])
