"""Random policies as text: signals of every source and type, names, rules, relations, rows and an envelope."""

from __future__ import annotations

import json
import random
from typing import Any

CONTEXT = ("load", "speed", "wheel", "door", "seat", "cargo", "weather")
MEASURED = {
    "certainty": ["primary"],
    "disagreement": ["primary", "redundant"],
    "reconstruction": ["primary", "filter"],
    "novelty": ["primary"],
    "answer": ["primary"],
    "votes": ["primary", "redundant"],
    "frame_age": "frame",
    "frozen_for": "frame",
    "contrast": "frame",
    "latency": "runtime",
    "log_failures": "runtime",
    "workers_down": "runtime",
    "link_age": "link",
    "link_rejected": "link",
    "link_latency": "link",
    "link_drops": "link",
    "link_crc_errors": "link",
    "mcu_fallback": "link",
    "mcu_latched": "link",
}
TRUTHS = ("mcu_fallback", "mcu_latched")
RANGES = ([0, 1], [0, 1], [-1, 2], [-2, 2], [0, "inf"], ["-inf", "inf"])
GRID = ("-1.0", "-0.0", "0.0", "0.25", "0.5", "0.75", "1.0", "2.0")
SPANS = ("1 frame", "2 frames", "3 frames", "5 frames", "50ms", "125ms", "250ms", "300ms", "1s")
BUDGETS = ("100ms", "250ms", "300ms", "1s", "3s")
AGES = ("100ms", "125ms", "300ms", "1s", "3s", "60s", "60s", "60s")
THRESHOLDS = {"load": 0.5, "speed": 0.25, "certainty": 0.75, "contrast": 0.0}


class Writer:
    """Writes one policy."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.numbers: list[str] = []
        self.truths: list[str] = []
        self.classes: dict[str, list[str]] = {}
        self.answers: dict[str, str] = {}
        self.divisors = ["2.0", "0.1", "3.0"]
        self.calibrated: list[str] = []

    def one(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def maybe(self, share: float) -> bool:
        return self.rng.random() < share

    def signals(self) -> dict[str, Any]:
        measured = self.rng.sample(sorted(MEASURED), self.one(0, 0, 1, 2, 3))
        given = self.rng.sample(CONTEXT, self.rng.randint(0 if measured else 1, 4))
        names = self.rng.sample([*measured, *given], len(measured) + len(given))
        return {name: self.signal(name) for name in names}

    def signal(self, name: str) -> dict[str, Any]:
        source = MEASURED.get(name, "context")
        found: dict[str, Any] = {"from" if isinstance(source, str) else "of": source}
        kind = self.one("number", "number", "bool", "class") if source == "context" else "number"
        if name == "answer":
            kind = "class"
        if name in TRUTHS:
            kind = self.one("number", "bool")
        if kind != "number":
            found["type"] = kind
        if kind == "class":
            found["labels"] = self.classes[name] = ["owner", "guest", "thief"][: self.rng.randint(1, 3)]
            self.answers[name] = name
        elif kind == "bool":
            self.truths.append(name)
        else:
            found["range"] = (
                [0, self.one(1, "inf", "inf")] if name.endswith("_age") else self.rng.choice(RANGES)
            )
            if name == "votes":
                found["range"] = [0, self.one(1, 2)]
            self.numbers.append(name)
            if name in THRESHOLDS:
                self.calibrated.append(name)
        found["max_age"] = self.rng.choice(AGES)
        found.update(self.reaction("on_fault"))
        return found

    def reaction(self, key: str) -> dict[str, Any]:
        if key == "on_fault" and self.maybe(0.15):
            return {}
        found = {key: self.one("rules", "rules", "human", "human", "safe_state")}
        if found[key] == "human":
            found["within"] = self.rng.choice(BUDGETS)
            if self.maybe(0.6):
                found["otherwise"] = self.one("rules", "safe_state")
        return found

    def text(self, *choices: str) -> str:
        return self.rng.choice(choices)

    def number(self, depth: int) -> str:
        if depth <= 0 or self.maybe(0.4):
            if self.maybe(0.03):
                return self.text("1e308", "5e-324")
            if self.calibrated and self.maybe(0.15):
                return f"calibrated.{self.rng.choice(self.calibrated)}"
            return self.rng.choice(self.numbers if self.numbers and self.maybe(0.7) else GRID)
        a, b = self.number(depth - 1), self.number(depth - 1)
        if self.maybe(0.15):
            return f"({self.truth(depth - 1)} ? {a} : {b})"
        if self.maybe(0.15):
            return f"({a} / {self.rng.choice(self.divisors)})"
        return f"(-{a})" if self.maybe(0.1) else f"({a} {self.one('+', '-', '*')} {b})"

    def truth(self, depth: int) -> str:
        if depth <= 0 or self.maybe(0.35):
            return self.atom(depth)
        a, b = self.truth(depth - 1), self.truth(depth - 1)
        return self.text(
            f"({a} && {b})",
            f"({a} && {b})",
            f"({a} || {b})",
            f"!({a})",
            f"({a} ? {b} : {self.truth(depth - 1)})",
            f"(({a}) {self.text('==', '!=')} ({b}))",
        )

    def atom(self, depth: int) -> str:
        if self.truths and self.maybe(0.2):
            return self.rng.choice(self.truths)
        if self.classes and self.maybe(0.2):
            said = self.rng.choice(sorted(self.answers))
            name = self.answers[said]
            return f"({said} {self.text('==', '!=')} {name}.{self.rng.choice(self.classes[name])})"
        if self.maybe(0.1):
            listed = ", ".join(self.rng.sample(GRID, 3))
            return f"({self.number(depth - 1)} in [{listed}])"
        operator = self.one("<", "<=", ">", ">=", ">", "<", "==", "!=")
        return f"({self.number(depth - 1)} {operator} {self.number(0)})"

    def names(self) -> dict[str, Any]:
        """Names for constants, numbers, truths and classes; what follows may use them."""
        found: dict[str, Any] = {}
        for i in range(self.one(0, 0, 1, 2, 3)):
            name = f"named_{i}"
            kind = self.one("constant", "number", "truth", "class" if self.classes else "truth")
            if kind == "class":
                found[name] = self.rng.choice(sorted(self.classes))
                self.answers[name] = found[name]
                continue
            if kind == "constant":
                found[name] = self.one({"is": 0.5}, 0.25)
                self.divisors.append(name)
            else:
                found[name] = self.number(2) if kind == "number" else self.truth(2)
            (self.truths if kind == "truth" else self.numbers).append(name)
        return found

    def entry(self, name: str) -> dict[str, Any]:
        """What rules and relations have in common."""
        found = {"id": name, **self.reaction("then")}
        if self.maybe(0.6):
            found["for"] = self.rng.choice(SPANS)
        if self.maybe(0.4):
            found["clear"] = {"when": self.truth(1)}
            if self.maybe(0.6):
                found["clear"]["for"] = self.rng.choice(SPANS)
        if self.maybe(0.35):
            found["latch"] = True
        if self.maybe(0.4):
            found["mode"] = self.one("enforce", "warn", "audit")
        return found

    def relation(self, name: str, plain: list[str]) -> dict[str, Any]:
        found = self.entry(name)
        if len(plain) >= 2 and self.maybe(0.7):
            return {**found, "agree": self.rng.sample(plain, 2), "tolerance": self.one(0.0, 0.25, 1.0)}
        alike = [(a, b) for a in self.classes for b in self.classes if a < b and self.same(a, b)]
        if alike and self.maybe(0.7):
            return {**found, "agree": self.rng.choice(alike)}
        return {**found, "if": self.truth(1), "expect": self.truth(1)}

    def same(self, one: str, other: str) -> bool:
        return self.classes[one] == self.classes[other]

    def rows(self, envelope: dict[str, Any]) -> list[dict[str, Any]]:
        def command() -> dict[str, float]:
            return {name: self.one(a["min"], a["max"], a["safe"], 0.5) for name, a in envelope.items()}

        found: list[dict[str, Any]] = [
            {"when": self.truth(2), "command": command()} for _ in range(self.one(0, 1, 1, 2, 3))
        ]
        return [*found, {"command": command()}] if self.maybe(0.5) else found

    def actuator(self) -> dict[str, Any]:
        found: dict[str, Any] = {"min": self.one(0.0, -1.0), "max": self.one(1.0, 0.75)}
        found["safe"] = self.one(found["min"], found["max"], 0.25)
        for key in ("rise", "fall"):
            if self.maybe(0.5):
                found[key] = self.one("0.5/s", "4/s", "20/s", "1000/s")
        if self.maybe(0.3):
            found["authority"] = self.one("model", "rules", "human")
        return found

    def policy(self) -> dict[str, Any]:
        signals = self.signals()
        plain = list(self.numbers)
        envelope = {name: self.actuator() for name in ("brake", "light")[: self.one(1, 1, 2)]}
        found: dict[str, Any] = {"edgeguard": 1, "policy": {"name": "random", "version": 1}}
        found |= {"signals": signals, "let": self.names(), "envelope": envelope}
        found["rules"] = [
            {**self.entry(f"rule-{i}"), "when": self.truth(3)} for i in range(self.one(0, 1, 2, 3))
        ]
        found["redundancy"] = [self.relation(f"relation-{i}", plain) for i in range(self.one(0, 0, 1, 2))]
        found["fallback"] = self.rows(envelope)
        found["lockout_after"] = self.one(0, 0, 1, 2, 3)
        if self.maybe(0.5):
            found["frame"] = {"period": self.one("20ms", "33ms", "125ms")}
        if self.maybe(0.5):
            ladder = ({"after": "20ms", "alert": "visual"}, {"after": "75ms", "alert": "audible"})
            found["handover"] = {"escalate": ladder[: self.one(1, 2)]}
        self.models(found)
        return found

    def models(self, found: dict[str, Any]) -> None:
        """The models and the calibration that the signals need."""
        needed = {role for s in found["signals"].values() for role in s.get("of", ())}
        if needed:
            roles = ("primary", "redundant") if "redundant" in needed else ("primary",)
            found["models"] = {role: {"bundle": f"models/{role}"} for role in roles}
        if "filter" in needed:
            found["filter"] = {"bundle": "models/filter"}
        if self.calibrated:
            found["calibration"] = "random.json"
        found["admission"] = {"signers": [{"key": "keys/some.pub", "sha256": "0" * 64}]}


def random_policy(rng: random.Random) -> str:
    """A policy file's text; every one should be accepted, but for the few that say too much (`play.REFUSED`)."""
    return json.dumps(Writer(rng).policy())
