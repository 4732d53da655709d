"""Clause S13 of the page on meaning, against the firmware itself: policy text in, outputs out, in virtual time."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.link import link_over
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY
from edgeguard.link.link import TransportLink
from edgeguard.policy import compile_draft, compile_policy, parse
from edgeguard.program import Program
from edgeguard.types import Authority
from hil.mcu import VirtualMcu

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "policy-semantics.md").read_text(encoding="utf-8")
STEP = 0.02

LANDER = """\
edgeguard: 1
policy: {name: lander, version: 1}
signals: {speed: {from: context, range: [0, 60], max_age: 100ms}}
envelope:
  climb: {min: -1.5, max: 2, safe: -0.7}
microcontroller:
  stop: true
  sensors: {ground: {range: [0, 40], max_age: 100ms}}
  fallback:
    - {when: ground < 0.3, command: {climb: 0}}
    - {when: ground < 3.0, command: {climb: -0.3}}
link: {lost_after: 150ms}
"""


def program(text: str) -> Program:
    return compile_policy(parse(text.encode(), file="p.yaml"), base=Path())


class Bench:
    """A microcontroller under a policy, a host that speaks for the operator, and the time of both."""

    def __init__(self, made: Program) -> None:
        self.program, self.mcu, self.now = made, VirtualMcu(made), 0.0
        self.mcu.release_stop()
        self.link: TransportLink = link_over(
            self.mcu.transport(),
            key=TEST_KEY,
            operator_key=TEST_OPERATOR_KEY,
            policy_hash=bytes.fromhex(made.digest),
            actuators=made.envelope,
        )
        self.always: Callable[[], None] = lambda: None

    def run(
        self, seconds: float, command: dict[str, float] | None = None, source: Authority = Authority.MODEL
    ) -> None:
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            self.always()
            self.link.poll(self.now)
            if command is not None:
                self.link.send(command, source, self.now)

    def arm(self, command: dict[str, float]) -> None:
        self.run(1.0, command)
        self.link.arm(self.now)
        self.run(0.2, command)
        assert self.mcu.facts.mode == "enabled", self.mcu.facts

    def alone(self) -> None:
        """The host falls silent, and the microcontroller acts by itself."""
        self.mcu.advance(self.now + 0.2)
        self.now += 0.2
        assert self.mcu.facts.mode == "fallback_only"


def bring(bench: Bench, mode: str) -> None:
    if mode == "SILENT":
        return
    bench.arm({"climb": 1.0})
    if mode == "LOCKOUT":
        bench.mcu.corrupt_output("climb", 3.0)
        bench.mcu.advance(bench.now + 0.01)
        bench.now += 0.01
        return
    bench.alone()


def worked() -> list[list[str]]:
    section = PAGE.split("\n## S13 ")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (\d+) \| (\w*) ?\| (\S+) \| .* \|$", section, re.MULTILINE)
    return [list(row) for row in rows]


def test_the_page_has_its_table() -> None:
    assert len(worked()) == 11


@pytest.mark.parametrize("row", worked(), ids=lambda row: "-".join(filter(None, row)))
def test_goal_is_the_one_of_the_page(row: list[str]) -> None:
    mode, ground, age, latched, goal = row
    bench = Bench(program(LANDER))
    bring(bench, mode)
    if latched == "stop":
        bench.mcu.press_stop()
        bench.mcu.advance(bench.now + 0.002)
        bench.now += 0.002
        bench.mcu.release_stop()  # the latch alone is what counts
    bench.mcu.sense("ground", float(ground))
    bench.mcu.advance(bench.now + int(age) / 1000)
    assert bench.mcu.facts.mode == mode.lower()
    assert mode == "LOCKOUT" or bench.mcu.facts.latches == ((latched,) if latched else ())
    assert bench.mcu.outputs["climb"] == float(goal)


def test_the_drone_lands_gently_by_itself() -> None:
    bench = Bench(compile_draft(ROOT / "policies" / "drone.yaml").program)
    bench.arm({"climb": 1.5, "forward": 8.0})
    height, sinking, hardest = 30.0, -1.5, 0.0
    bench.alone()
    for _ in range(8_000):
        bench.mcu.sense("ground", height)
        bench.mcu.sense("sinking", sinking)
        bench.now += 0.01
        bench.mcu.advance(bench.now)
        sinking = -bench.mcu.outputs["climb"]
        height = max(0.0, height - sinking * 0.01)
        hardest = max(hardest, sinking) if height < 1.0 else hardest
    assert bench.mcu.outputs == {"climb": 0.0, "forward": 0.0}
    assert height < 0.1
    assert hardest == 0.3


def test_the_drone_without_a_rangefinder_sinks_at_its_safe_value() -> None:
    bench = Bench(compile_draft(ROOT / "policies" / "drone.yaml").program)
    bench.arm({"climb": 1.5, "forward": 8.0})
    bench.run(3.0)
    assert bench.mcu.outputs == {"climb": -0.7, "forward": 0.0}


def robot(speed: float = 0.0) -> Bench:
    bench = Bench(compile_draft(ROOT / "policies" / "robot_cell.yaml").program)
    bench.always = lambda: bench.mcu.measure("tool_speed", speed)
    return bench


def test_the_robot_is_not_armed_without_its_measured_speed() -> None:
    bench = robot()
    bench.always = lambda: None
    bench.run(1.0, {"tool_speed": 0.0, "brake": 1.0})
    bench.link.arm(bench.now)
    bench.run(0.2, {"tool_speed": 0.0, "brake": 1.0})
    assert bench.mcu.facts.mode == "silent"


def test_a_robot_that_does_not_follow_is_not_led() -> None:
    bench = robot(speed=0.0)
    bench.arm({"tool_speed": 1.2, "brake": 0.0})
    bench.run(3.0, {"tool_speed": 1.2, "brake": 0.0})
    assert bench.mcu.outputs == {"tool_speed": 0.3, "brake": 0.0}


@pytest.mark.parametrize(
    ("gap", "moving", "brake"), [(5.0, 1.0, 0.3), (3.9, 1.0, 1.0), (5.0, 0.2, 1.0), (-1.0, 1.0, 1.0)]
)
def test_the_robot_brakes_by_itself_as_gently_as_the_distance_allows(
    gap: float, moving: float, brake: float
) -> None:
    bench = robot(speed=1.2)
    bench.arm({"tool_speed": 1.2, "brake": 0.0})
    bench.alone()
    bench.mcu.sense("gap", gap)
    bench.mcu.sense("moving", moving)
    bench.mcu.advance(bench.now + 0.01)
    assert bench.mcu.outputs == {"tool_speed": 0.0, "brake": brake}


def test_the_emergency_stop_goes_past_the_rules_of_the_robot_until_the_host_is_armed_again() -> None:
    bench = robot(speed=1.2)
    bench.arm({"tool_speed": 1.2, "brake": 0.0})
    measured = bench.always

    def sense() -> None:
        measured()
        bench.mcu.sense("gap", 9.0)
        bench.mcu.sense("moving", 1.0)

    bench.always = sense
    bench.mcu.press_stop()
    bench.run(0.1, {"tool_speed": 1.2, "brake": 0.0})
    assert bench.mcu.outputs == {"tool_speed": 0.0, "brake": 1.0}
    assert bench.mcu.facts.latches == ("stop",)
    bench.mcu.release_stop()
    bench.link.arm(bench.now)
    bench.run(2.5, {"tool_speed": 1.2, "brake": 0.0})  # longer than an arm request is repeated
    assert bench.mcu.facts.mode == "fallback_only"
    bench.link.release(bench.now)
    bench.run(0.5, {"tool_speed": 1.2, "brake": 0.0})
    assert not bench.mcu.facts.latches
    assert bench.mcu.outputs == {"tool_speed": 0.0, "brake": 1.0}  # a release starts nothing
    bench.link.arm(bench.now)
    bench.run(0.2, {"tool_speed": 1.2, "brake": 0.0})
    assert bench.mcu.facts.mode == "enabled"
