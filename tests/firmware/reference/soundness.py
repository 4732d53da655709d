"""Which states and which tables the core trusts, a second time, from its text. Pure; decides nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.firmware.reference.layout import Records
from tests.firmware.reference.words import ALL_LATCHES, Mask, Mode, Reason, Source, Table


def sound(table: Table, state: Records) -> Mask:
    """Whether a state could have come about without damage."""
    channel, limits = state["channel"], table["actuator"]
    per_actuator = (
        within(channel["output"], limits)
        & within(channel["target"], limits)
        & (channel["source"] <= Source.SAFE_STATE)
        & (channel["in_time"] <= table["arm_commands"])
        & (channel["spare"] == 0).all(axis=2)
        & (channel["heard_us"] <= state["stepped_us"][:, None])
    )
    return np.asarray(
        per_actuator.all(axis=1)
        & (state["mode"] <= Mode.LOCKOUT)
        & (state["reason"] <= Reason.RESET)
        & (state["latches"] <= ALL_LATCHES)
        & (state["session"] <= 1)
        & (state["spare"] == 0).all(axis=1)
        & (state["slewed_us"] <= state["stepped_us"])
        & ((state["mode"] != Mode.ENABLED) | ((state["session"] == 1) & (state["latches"] == 0)))
    )


def within(value: Any, limits: Any) -> Mask:
    return np.asarray((limits["min"] <= value) & (value <= limits["max"]))


def sound_table(table: Table) -> bool:
    """Whether a table is one that the generator could have printed."""
    limits, sensors, rules = table["actuator"], table["sensor"], table["rule"]
    if int(table["sensors"]) > len(sensors) or int(table["rules"]) > len(rules):
        return False
    whole = int(table["arm_commands"]) > 0 and 0 < int(table["degraded_us"]) <= int(table["lost_us"])
    whole = whole and int(table["stop"]) <= 1
    actuators = (
        (limits["min"] <= limits["safe"])
        & (limits["safe"] <= limits["max"])
        & (limits["rise"] > 0)
        & (limits["fall"] > 0)
        & (limits["lead"] >= 0)
        & (limits["authority"] <= Source.SAFE_STATE)
    )
    return bool(
        whole and actuators.all() and all(_sound_rule(table, rule) for rule in rules[: int(table["rules"])])
    )


def _sound_rule(table: Table, rule: Any) -> bool:
    if int(rule["terms"]) > len(rule["term"]):
        return False
    terms = rule["term"][: int(rule["terms"])]
    return bool(
        (terms["sensor"] < table["sensors"]).all()
        and (terms["relation"] <= 3).all()
        and within(rule["value"], table["actuator"]).all()
    )
