"""Workers over tiny models, ended after every test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from edgeguard.inference.looks import Reply
from edgeguard.inference.member import HostMember, parts_for, scoring_for
from edgeguard.isolation import WorkerMember
from edgeguard.program import WorkerSpec
from tests.inference.conftest import tiny

__all__ = ["tiny"]

EYES = ("primary", "plain", "squeezed")


class Shop:
    """Makes workers of the tiny primary, filter and redundant model."""

    def __init__(self, tiny: Any) -> None:
        self.models = {
            "primary": tiny.classifier(novelty=True),
            "filter": tiny.filter(gain=0.9),
            "redundant": tiny.classifier(seed=1, role="redundant", probabilities=True),
        }
        self.made: list[WorkerMember] = []

    def start(
        self,
        looks: Sequence[str] = EYES,
        *,
        models: Mapping[str, Any] | None = None,
        program: str = "",
        wait: bool = True,
        clock: Callable[[], float] = time.monotonic,
        **spec: Any,
    ) -> WorkerMember:
        admitted = self.models if models is None else models
        parts = parts_for(looks, admitted, {})
        given = WorkerSpec("eyes", tuple(looks), **({"deadline": 5.0} | spec))
        member = WorkerMember(
            given,
            parts,
            {role: admitted[role].model for role in parts},
            scoring_for(parts, admitted),
            clock=clock,
            program=program,
        )
        self.made.append(member)
        if wait:
            member.wait_until_ready()
        return member

    def here(self, looks: Sequence[str] = EYES) -> HostMember:
        return HostMember.load(looks, self.models, {})


@pytest.fixture
def shop(tiny: Any) -> Iterator[Shop]:
    made = Shop(tiny)
    yield made
    for member in made.made:
        member.close()


def ask(member: Any, number: int, looks: Sequence[str] = EYES) -> Reply | None:
    """One frame of noise; None: it takes none."""
    rooms = member.begin(number)
    if rooms is None:
        return None
    for room in rooms:
        room[...] = np.random.default_rng(number).random(room.shape, np.float32)
    member.submit(looks)
    reply: Reply = member.collect()
    return reply


def back(member: WorkerMember, limit: float = 30.0) -> bool:
    """Tend it until it answers again."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        member.tend(time.monotonic())
        if member.answering:
            return True
        time.sleep(0.01)
    return False
