"""session.json against the firmware in virtual time, the Python host and the Python operator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeguard.link import wire
from edgeguard.link.messages import LATCHES, REASONS, REFUSALS, SCALE
from edgeguard.link.operator import OperatorSession
from edgeguard.link.session import HostSession
from edgeguard.program import ActuatorLimit
from edgeguard.types import Authority
from hil.mcu import VirtualMcu

SESSION = json.loads(
    (Path(__file__).parents[1] / "vectors" / "link" / "session.json").read_text(encoding="ascii")
)
KEYS = {name: bytes.fromhex(key) for name, key in SESSION["keys"].items()}
NAMES = {
    wire.HELLO: "HELLO",
    wire.OPEN: "OPEN",
    wire.COMMAND: "COMMAND",
    wire.STATUS: "STATUS",
    wire.OFFER: "OFFER",
}
HOST_NONCES = tuple(bytes.fromhex(nonce) for nonce in SESSION["host_nonces"])

Step = dict[str, Any]


def each(role: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", SESSION[role], ids=lambda vector: vector["name"])


def decoded(frame: wire.RawFrame, fields: Callable[[str, bytes], dict[str, Any]]) -> Step:
    name = NAMES[frame.message]
    return {
        "message": name,
        "system": frame.system,
        "component": frame.component,
        "link": frame.link,
        "fields": fields(name, frame.payload),
    }


# ---- the microcontroller ---------------------------------------------------------------------------------------------


class Played:
    """A firmware that is taken through one vector, and everything it said since the last step."""

    def __init__(self, mcu: VirtualMcu, fields: Callable[[str, bytes], dict[str, Any]]) -> None:
        self.mcu = mcu
        self._fields = fields
        self._parser = wire.Parser(KEYS["host"], KEYS["operator"])
        self.said: list[Step] = []

    def until(self, at_ms: int) -> None:
        now_ms = round(self.mcu.now * 1000)
        self.said = []
        for ms in range(now_ms + 1, at_ms + 1):
            self.mcu.advance(ms / 1000)
            self.said += [decoded(frame, self._fields) for frame in self._parser.feed(self.mcu.take())]

    def do(self, step: Step) -> None:
        kind = step["do"]
        if kind == "receive":
            before = self.mcu.facts
            self.mcu.feed(bytes.fromhex(step["bytes"]))
            after = self.mcu.facts
            refused = after.rejected - before.rejected
            told = after.refusal if refused else ""
            assert (refused, told) == (int(step["refusal"] != 0), REFUSALS[step["refusal"]])
            assert after.crc_errors - before.crc_errors == step.get("crc_errors", 0)
        elif kind == "reset":
            self.mcu.reset(seed=bytes.fromhex(step["seed"]))
        elif kind == "damage":
            self.mcu.corrupt_output("steer", 7.0)
        elif kind == "press-stop":
            self.mcu.press_stop()
        elif kind == "let-go-of-stop":
            self.mcu.release_stop()
        else:
            assert kind == "wait"

    def expect(self, step: Step) -> None:
        facts = self.mcu.facts
        if "mode" in step:
            assert facts.mode == step["mode"]
        if "reason" in step:
            assert facts.reason == REASONS[step["reason"]]
        if "latches" in step:
            assert facts.latches == tuple(
                name for bit, name in enumerate(LATCHES) if step["latches"] >> bit & 1
            )
        if "ready" in step:
            assert facts.ready == step["ready"]
        for wanted in step.get("sent", ()):
            assert any(_within(wanted, said) for said in self.said), (wanted, self.said)
        names = [said["message"] for said in self.said]
        assert not set(names) & set(step.get("not_sent", ()))
        for name, (least, most) in step.get("counts", {}).items():
            assert least <= names.count(name) <= most


def _within(wanted: Step, said: Step) -> bool:
    fields = {k: said["fields"].get(k) for k in wanted["fields"]} == wanted["fields"]
    return fields and all(said[k] == v for k, v in wanted.items() if k != "fields")


@each("microcontroller")
def test_firmware_agrees(
    make_vector_mcu: Callable[..., VirtualMcu],
    vector_fields: Callable[[str, bytes], dict[str, Any]],
    vector: Step,
) -> None:
    first, *steps = vector["steps"]
    assert first["do"] == "reset"
    mcu = make_vector_mcu(seed=bytes.fromhex(first["seed"]), now=first["at_ms"] / 1000)
    played = Played(mcu, vector_fields)
    for step in steps:
        played.until(step["at_ms"])
        played.do(step)
        played.expect(step)


def test_vectors_name_every_refusal_that_the_line_can_show() -> None:
    found = {step.get("refusal") for vector in SESSION["microcontroller"] for step in vector["steps"]}
    assert found - {None} == set(REFUSALS) - {9}  # it cannot be reached over the line


# ---- the host and the operator ---------------------------------------------------------------------------------------


def make_host(envelope: tuple[ActuatorLimit, ...], policy: bytes) -> HostSession:
    nonces = iter(HOST_NONCES)
    return HostSession(KEYS["host"], policy, envelope, lambda: next(nonces))


def counts_of(end: HostSession | OperatorSession) -> tuple[int, int]:
    """What arrived and was refused, and bad checksums."""
    relay = end._relay.rejected if isinstance(end, HostSession) else 0
    return end.rejected + end._parser.signature_errors + relay, end._parser.crc_errors


def expect_counts(end: HostSession | OperatorSession, before: tuple[int, int], step: Step) -> None:
    if "accepted" in step:
        refused, bad = (after - was for after, was in zip(counts_of(end), before))
        assert (refused, bad) == (int(not step["accepted"]), step.get("crc_errors", 0))


def do_host(host: HostSession, step: Step, now: float) -> bytes:
    kind = step["do"]
    if kind == "receive":
        return host.receive(bytes.fromhex(step["bytes"]), now)
    if kind == "command":
        values = {limit.name: value / SCALE for limit, value in zip(host.actuators, step["values"])}
        return host.command(values, Authority(step["source"]), now)
    if kind == "disarm":
        return host.disarm(now)
    if kind == "count":
        host._counter = step["counter"]
    elif kind == "relay":
        assert host.relay(bytes.fromhex(step["bytes"])).hex() == step["relayed"]
    else:
        assert kind == "wait"
    return b""


@each("host")
def test_host_agrees(
    vectors_program: Any, vector_fields: Callable[[str, bytes], dict[str, Any]], vector: Step
) -> None:
    host = make_host(vectors_program.envelope, bytes.fromhex(vectors_program.digest))
    for step in vector["steps"]:
        now = step["at_ms"] / 1000
        host.tick(now)
        before = counts_of(host)
        data = do_host(host, step, now)
        found = [decoded(frame, vector_fields) for frame in wire.Parser(KEYS["host"]).feed(data)]
        assert found == step.get("sent", [])
        expect_counts(host, before, step)
        if "state" in step:
            assert host.state.value == step["state"]
        if "handed_on" in step:
            assert host.take_offers().hex() == "".join(step["handed_on"])


@each("operator")
def test_operator_agrees(
    vectors_program: Any, vector_fields: Callable[[str, bytes], dict[str, Any]], vector: Step
) -> None:
    operator = OperatorSession(KEYS["operator"], bytes.fromhex(vectors_program.digest))
    for step in vector["steps"]:
        now = step["at_ms"] / 1000
        operator.tick(now)
        before, data = counts_of(operator), b""
        if step["do"] == "receive":
            data = operator.receive(bytes.fromhex(step["bytes"]), now)
        elif step["do"] != "wait":
            {"arm": operator.arm, "release": operator.release, "disarm": operator.disarm}[step["do"]](now)
        found = [decoded(frame, vector_fields) for frame in wire.Parser(None, KEYS["operator"]).feed(data)]
        assert found == step.get("sent", [])
        expect_counts(operator, before, step)
