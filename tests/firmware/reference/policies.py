"""Random policies that the microcontroller takes, dense at what it can just hold; and the policies of the repository.

The same generator gives the same policies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np

from edgeguard.policy.fits import objections
from edgeguard.policy.load import compile_draft
from edgeguard.program import (
    ActuatorLimit,
    Feedback,
    LinkSettings,
    LocalRule,
    Microcontroller,
    Program,
    Relation,
    SensorSpec,
    Term,
)
from edgeguard.types import Authority, Command
from hil.firmware import bare_program

ROOT = Path(__file__).resolve().parents[3]
MOST_ACTUATORS = 16
LARGEST = 2_000.0
FINEST = 1e-6
FAST_LINE = 100_000_000
"""Baud: no line, so that it is the core and not the line that limits the number of actuators here."""
T = TypeVar("T")


def repository_policies() -> Iterator[Program]:
    """Every policy of `policies/`, compiled, that the microcontroller can hold; one without a `link` need not."""
    for path in sorted((ROOT / "policies").glob("*.yaml")):
        program = compile_draft(path).program
        if program.link is not None or not objections(program):
            yield program


def random_policy(rng: np.random.Generator, *, actuators: int, name: str) -> Program:
    """A policy with so many actuators, everything else drawn."""
    envelope = tuple(_actuator(rng, index) for index in range(actuators))
    sensors = tuple(_sensor(rng, index) for index in range(int(rng.integers(0, 9))))
    rules = tuple(_rule(rng, envelope, sensors, line) for line in range(int(rng.integers(0, 9))))
    digest = sha256(rng.bytes(16)).hexdigest()
    program = bare_program(
        name,
        envelope,
        link=LinkSettings(
            lost_after=_one_of(rng, (0.010, 0.060, 0.150, 0.5, 10.0, round(rng.uniform(0.01, 1.0), 6))),
            baud=FAST_LINE,
        ),
        microcontroller=Microcontroller(stop=bool(rng.random() < 0.5), sensors=sensors, rules=rules),
    )
    return replace(program, digest=digest, period=0.001)


def _actuator(rng: np.random.Generator, index: int) -> ActuatorLimit:
    low, high = sorted((_value(rng), _value(rng)))
    feedback = None
    if rng.random() < 0.4:
        leads = (FINEST, 0.01, 8.0, LARGEST, round(rng.uniform(0.1, 50.0), 6))
        feedback = Feedback(lead=_one_of(rng, leads), max_age=_one_of(rng, (0.001, 0.02, 0.05, 10.0)))
    return ActuatorLimit(
        f"a{index}",
        low,
        high,
        _rate(rng),
        _rate(rng),
        _one_of(rng, (low, high, _inside(rng, low, high))),
        feedback,
        _one_of(rng, (Authority.MODEL, Authority.MODEL, Authority.RULES, Authority.HUMAN)),
    )


def _sensor(rng: np.random.Generator, index: int) -> SensorSpec:
    low, high = sorted((_value(rng), _value(rng)))
    if low == high:
        low, high = (
            0.0,
            _one_of(rng, (FINEST, FINEST / 4)),
        )  # as close as two different numbers can be, and closer
    return SensorSpec(f"s{index}", low, high, _one_of(rng, (0.001, 0.05, 0.1, 10.0)))


def _rule(
    rng: np.random.Generator,
    envelope: Sequence[ActuatorLimit],
    sensors: Sequence[SensorSpec],
    line: int,
) -> LocalRule:
    count = int(rng.integers(0 if rng.random() < 0.1 else 1, 5)) if sensors else 0
    command = {a.name: _one_of(rng, (a.low, a.high, _inside(rng, a.low, a.high))) for a in envelope}
    return LocalRule(line, "", tuple(_term(rng, sensors) for _ in range(count)), Command(command))


def _term(rng: np.random.Generator, sensors: Sequence[SensorSpec]) -> Term:
    index = int(rng.integers(len(sensors)))
    sensor = sensors[index]
    limit = _one_of(rng, (sensor.low, sensor.high, _inside(rng, sensor.low, sensor.high), _value(rng)))
    return Term(index, _one_of(rng, tuple(Relation)), limit)


def _value(rng: np.random.Generator) -> float:
    near = (-LARGEST, LARGEST, 0.0, FINEST, -FINEST, 1.0, -1.0)
    return _one_of(rng, (*near, round(rng.uniform(-2, 2), 6), round(rng.uniform(-LARGEST, LARGEST), 6)))


def _inside(rng: np.random.Generator, low: float, high: float) -> float:
    return min(max(round(float(rng.uniform(low, high)), 6), low), high)


def _rate(rng: np.random.Generator) -> float:
    return _one_of(rng, (0.001, LARGEST, math.inf, 1.0, round(10 ** rng.uniform(-3, 3.3), 6)))


def _one_of(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]
