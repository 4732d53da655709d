"""The gate: deny by default, nothing leaves the envelope, values dense at the limits."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.gate.gate import Gated, gate, hold, is_command, safe_command
from edgeguard.program import ActuatorLimit, FallbackRow
from edgeguard.types import Authority, Command, GateDecision, Mode

BRAKE = ActuatorLimit("brake", 0.0, 1.0, rise=4.0, fall=2.0, safe=1.0)
THROTTLE = ActuatorLimit("throttle", 0.0, 0.6, rise=1.0, fall=math.inf, safe=0.0)
ENVELOPE = (BRAKE, THROTTLE)
FALLBACK = (FallbackRow(1, "speed > 8", Command({"brake": 0.4, "throttle": 0.0})),)
CRUISE = {"brake": 0.0, "throttle": 0.3}
REST = Command({"brake": 0.0, "throttle": 0.3})


def ask(
    mode: Mode = Mode.NOMINAL,
    authority: Authority = Authority.MODEL,
    suggested: dict[str, float] | None = None,
    manual: dict[str, float] | None = None,
    chosen: int = 0,
    previous: Command = REST,
    elapsed: float = 10.0,
) -> Gated:
    return gate(
        ENVELOPE, FALLBACK, mode=mode, authority=authority, suggested=suggested, manual=manual,
        chosen=chosen, previous=previous, elapsed=elapsed,
    )  # fmt: skip


def test_an_authorised_suggestion_passes() -> None:
    assert ask(suggested=CRUISE) == Gated(Command(CRUISE), GateDecision.ALLOW, Authority.MODEL)


@pytest.mark.parametrize(
    ("least", "by_model", "by_rules", "by_human"),
    [
        (Authority.MODEL, 0.3, 0.2, 0.1),
        (Authority.RULES, 0.0, 0.2, 0.1),
        (Authority.HUMAN, 0.0, 0.0, 0.1),
        (Authority.SAFE_STATE, 0.0, 0.0, 0.0),
    ],
)
def test_an_actuator_that_a_source_may_not_act_on_gets_its_safe_value(
    least: Authority, by_model: float, by_rules: float, by_human: float
) -> None:
    envelope = (BRAKE, replace(THROTTLE, authority=least))
    fallback = (FallbackRow(1, "", Command({"brake": 0.4, "throttle": 0.2})),)

    def throttle(mode: Mode, authority: Authority) -> tuple[float, GateDecision]:
        gated = gate(
            envelope, fallback, mode=mode, authority=authority, suggested=CRUISE, chosen=0,
            manual={"brake": 0.0, "throttle": 0.1}, previous=REST, elapsed=10.0,
        )  # fmt: skip
        return gated.command.values["throttle"], gated.decision

    said = GateDecision.ALLOW if least is Authority.MODEL else GateDecision.LIMIT
    assert throttle(Mode.NOMINAL, Authority.MODEL) == (by_model, said)
    assert throttle(Mode.DEGRADED, Authority.RULES) == (by_rules, GateDecision.SUBSTITUTE)
    assert throttle(Mode.MANUAL, Authority.HUMAN) == (by_human, GateDecision.SUBSTITUTE)


def test_a_suggestion_beyond_the_envelope_is_limited() -> None:
    gated = ask(suggested={"brake": -1.0, "throttle": 5.0})
    assert gated == Gated(Command({"brake": 0.0, "throttle": 0.6}), GateDecision.LIMIT, Authority.MODEL)


@pytest.mark.parametrize(
    "bad",
    [
        None, {}, {"brake": 0.1}, {"brake": 0.1, "throttle": 0.1, "steer": 0.0}, {"brake": 0.1, "steer": 0.1},
        {"brake": math.nan, "throttle": 0.1}, {"brake": math.inf, "throttle": 0.1}, {"brake": "1", "throttle": 0.1},
        {"brake": None, "throttle": 0.1}, {"brake": True, "throttle": 0.1},
        {"brake": 10**400, "throttle": 0.1}, {"brake": -(2**62), "throttle": 0.1},
    ],
)  # fmt: skip
def test_what_is_not_a_command_is_replaced_by_the_fallback_rules(bad: dict[str, float] | None) -> None:
    gated = ask(suggested=bad)
    assert gated == Gated(FALLBACK[0].command, GateDecision.SUBSTITUTE, Authority.RULES)
    assert ask(Mode.MANUAL, Authority.HUMAN, manual=bad) == gated


@pytest.mark.parametrize("chosen", [-1, 1, 99])
def test_without_a_fallback_rule_the_safe_command_goes_out(chosen: int) -> None:
    gated = ask(chosen=chosen)
    assert gated == Gated(safe_command(ENVELOPE), GateDecision.SUBSTITUTE, Authority.SAFE_STATE)


def test_a_fallback_rule_that_is_no_command_is_not_sent() -> None:
    broken = (FallbackRow(1, "true", Command({"brake": math.nan, "throttle": 0.0})),)
    gated = gate(
        ENVELOPE, broken, mode=Mode.DEGRADED, authority=Authority.RULES, suggested=CRUISE, manual=None,
        chosen=0, previous=REST, elapsed=10.0,
    )  # fmt: skip
    assert gated.command == safe_command(ENVELOPE)


@pytest.mark.parametrize("mode", [m for m in Mode if m is not Mode.NOMINAL])
def test_the_suggestion_never_acts_without_authority(mode: Mode) -> None:
    for authority in (Authority.RULES, Authority.HUMAN, Authority.SAFE_STATE):
        assert ask(mode, authority, suggested=CRUISE, manual=None).source is not Authority.MODEL


def test_the_human_acts_only_after_taking_over() -> None:
    mine = {"brake": 0.2, "throttle": 0.0}
    assert ask(Mode.MANUAL, Authority.HUMAN, manual=mine) == Gated(
        Command(mine), GateDecision.SUBSTITUTE, Authority.HUMAN
    )
    for mode in (Mode.NOMINAL, Mode.DEGRADED, Mode.TAKEOVER_REQUEST):
        assert ask(mode, Authority.HUMAN, manual=mine).command == FALLBACK[0].command


def test_the_safe_state_commands_the_safe_values() -> None:
    gated = ask(Mode.SAFE_STATE, Authority.SAFE_STATE, suggested=CRUISE, manual=CRUISE)
    assert gated == Gated(safe_command(ENVELOPE), GateDecision.BLOCK, Authority.SAFE_STATE)


def test_the_first_command_starts_from_the_safe_value() -> None:
    gated = ask(suggested=CRUISE, previous=Command(), elapsed=0.1)
    assert gated.command.values == {"brake": pytest.approx(0.8), "throttle": pytest.approx(0.1)}


def test_an_empty_envelope_carries_an_empty_command() -> None:
    gated = gate(
        (), (), mode=Mode.NOMINAL, authority=Authority.MODEL, suggested={}, manual=None, chosen=-1,
        previous=Command(), elapsed=1.0,
    )  # fmt: skip
    assert gated == Gated(Command({}), GateDecision.ALLOW, Authority.MODEL)


def around(value: float) -> list[float]:
    return [math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf)]


@pytest.mark.parametrize(
    ("value", "previous"),
    list(itertools.product([*around(0.0), *around(1.0), -1e300, 0.5, 1e300], [-5.0, 0.0, 0.5, 1.0, 7.0])),
)
def test_values_dense_at_the_limits_stay_inside(value: float, previous: float) -> None:
    for elapsed in (0.0, 0.01, 0.25, 1e9):
        assert 0.0 <= hold(BRAKE, value, previous, elapsed) <= 1.0


@pytest.mark.parametrize("elapsed", [0.0, -1.0, math.nan, -math.inf])
def test_no_time_no_movement(elapsed: float) -> None:
    assert hold(BRAKE, 1.0, 0.5, elapsed) == 0.5
    assert hold(THROTTLE, 0.0, 0.5, elapsed) == 0.5


def test_an_unlimited_rate_moves_at_once() -> None:
    assert hold(THROTTLE, 0.0, 0.6, 0.001) == 0.0


def test_a_complete_finite_command_is_one() -> None:
    assert is_command(ENVELOPE, CRUISE)
    assert not is_command(ENVELOPE, None)


floats = st.floats(allow_nan=True, allow_infinity=True)
values = st.one_of(
    st.none(), st.dictionaries(st.sampled_from(["brake", "throttle", "steer"]), floats, max_size=3)
)


@given(
    st.sampled_from(Mode), st.sampled_from(Authority), values, values, st.integers(-2, 3),
    st.floats(0, 1), st.floats(0, 0.6), floats,
)  # fmt: skip
def test_nothing_leaves_the_envelope_or_its_slew(
    mode: Mode, authority: Authority, suggested: dict[str, float] | None, manual: dict[str, float] | None,
    chosen: int, brake: float, throttle: float, elapsed: float,
) -> None:  # fmt: skip
    before = Command({"brake": brake, "throttle": throttle})
    gated = ask(mode, authority, suggested, manual, chosen, before, elapsed)
    time = elapsed if elapsed > 0 else 0.0
    for limit in ENVELOPE:
        value, was = gated.command.values[limit.name], before.values[limit.name]
        assert limit.low <= value <= limit.high
        assert value <= was + limit.rise * time + 1e-12
        assert value >= was - (limit.fall * time if time else 0.0) - 1e-12
    if authority is not Authority.MODEL:
        assert gated.source is not Authority.MODEL


def test_the_safe_command_is_every_declared_safe_value() -> None:
    assert safe_command(ENVELOPE) == Command({"brake": 1.0, "throttle": 0.0})


@pytest.mark.parametrize("mode", list(Mode))
def test_with_the_authority_of_the_safe_state_no_mode_lets_anything_else_through(mode: Mode) -> None:
    gated = ask(mode, Authority.SAFE_STATE, suggested=CRUISE, manual=CRUISE)
    assert gated == Gated(safe_command(ENVELOPE), GateDecision.BLOCK, Authority.SAFE_STATE)


def test_a_substitute_that_the_slew_holds_back_is_still_a_substitute() -> None:
    gated = ask(Mode.DEGRADED, Authority.RULES, elapsed=0.01)
    assert (gated.decision, gated.source) == (GateDecision.SUBSTITUTE, Authority.RULES)
    assert gated.command != FALLBACK[0].command
    assert ask(Mode.SAFE_STATE, Authority.SAFE_STATE, elapsed=0.01).decision is GateDecision.BLOCK
