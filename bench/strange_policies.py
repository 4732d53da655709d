"""Strange policies for the fuzzer: broken, spliced, swollen or generated ones, the same for the same seed.

Makes bytes and judges nothing; `bench.fuzz_policy` does.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from edgeguard.policy.reader import MOST_BYTES

ROOT = Path(__file__).resolve().parent.parent
SEEDS = ("policies/*.yaml", "hil/*.yaml", "tests/hostile/policies/*.yaml", "tests/desk/**/*.yaml")
TOKEN = re.compile(
    rb"[A-Za-z_][A-Za-z0-9_-]*|[0-9][0-9.eE+-]*[a-z]*|&&|\|\||[<>=!]=|[^\sA-Za-z0-9]|\n[ ]*|[ ]+"
)
NUMBERS = (
    b"1e308", b"1e309", b"-1e308", b"9" * 400, b"0", b"-0.0", b"1e-320", b".inf", b"-.inf", b".nan", b"0x10",
    b"010", b"1_000", b"12:30:45", b"4294967296", b"999999999s", b"999999 frames", b"0.000000001", b"1e-7",
)  # fmt: skip
STRANGE = (
    "\ufeff", "\u202e", "\u200b", "\u0085", "\u2028", "\u0663", "\uff11", "\U0001f6d1", "e\u0301", "\x00", "\x7f",
    "\ud7ff", "\U0010ffff", "\u0430", "\t", "\r", "\xa0",
)  # fmt: skip
WORDS = (
    b"let", b"signals", b"rules", b"redundancy", b"fallback", b"invariants", b"tests", b"envelope", b"when", b"clear",
    b"for", b"latch: true", b"then", b"human", b"rules", b"within: 4s", b"mode: audit", b"nominal: 0", b"type: bool",
    b"type: class", b"labels: [a, b]", b"worse: lower", b"agree", b"tolerance", b"expect", b"if", b"given", b"missing",
    b"calibrated.certainty", b"command.brake", b"authority == model", b"risk", b"each", b"steps", b"null", b"~", b"<<",
    b"&a", b"*a", b"!!str", b"|", b">", b"---", b"...", b"? ", b"- ", b"{", b"}", b"[", b"]", b"'", b'"', b"#",
)  # fmt: skip
NESTS = ((b"[", b"]"), (b"{a: ", b"}"), (b"(", b")"), (b"!", b""), (b"- ", b""), (b"-", b""))
UNITS = ("m/s", "m", "s", "km/h", "m/s2", "deg", "1/s", "nonsense")
DEMANDS = ("rules", "safe_state", "human, within: 4s", "safe_state, latch: true", "rules, mode: warn")
CALIBRATED = ("calibration: c.json", f"admission: {{signers: [{{key: k.pub, sha256: '{'0' * 64}'}}]}}")


class Maker:
    """Makes inputs from a corpus that grows with every input of a new kind."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.corpus = [path.read_bytes() for pattern in SEEDS for path in sorted(ROOT.glob(pattern))]
        self.kinds: set[str] = set()
        self.changes: tuple[Callable[[bytes], bytes], ...] = (
            self.flip, self.cut, self.insert, self.number, self.strange, self.word, self.splice, self.tokens,
            self.lines, self.lines, self.nest, self.repeat, self.expression, self.expression,
        )  # fmt: skip

    def make(self) -> bytes:
        """The next input."""
        pick = self.random
        data = self.generated() if pick.random() < 0.3 else pick.choice(self.corpus)
        for _ in range(pick.choice((0, 0, 1, 1, 1, 2, 2, 3, 5, 12))):
            data = pick.choice(self.changes)(data)
        return data[: MOST_BYTES + 2]

    def learn(self, data: bytes, outcome: str) -> None:
        """Start from this input, too, when what became of it is new."""
        if outcome not in self.kinds and len(data) < 20_000:
            self.kinds.add(outcome)
            self.corpus.append(data)

    def spot(self, data: bytes) -> int:
        """A place in the bytes."""
        return self.random.randrange(len(data) + 1)

    def flip(self, data: bytes) -> bytes:
        """Another byte, or one more."""
        at = self.spot(data)
        return data[:at] + bytes([self.random.randrange(256)]) + data[at + self.random.randrange(2) :]

    def cut(self, data: bytes) -> bytes:
        """Some bytes less, or the head alone."""
        at = self.spot(data)
        if self.random.random() < 0.1:
            return data[:at]
        return data[:at] + data[at + self.random.randrange(1, 20) :]

    def insert(self, data: bytes) -> bytes:
        """Some bytes of another policy."""
        other = self.random.choice(self.corpus)
        start = self.spot(other)
        at = self.spot(data)
        return data[:at] + other[start : start + self.random.randrange(60)] + data[at:]

    def number(self, data: bytes) -> bytes:
        """A number of another size or kind."""
        return self.swap(data, rb"-?[0-9]+(\.[0-9]+)?(ms|s| frames)?", self.random.choice(NUMBERS))

    def swap(self, data: bytes, pattern: bytes, new: bytes) -> bytes:
        """Something else in place of one match of `pattern`."""
        found = list(re.finditer(pattern, data))
        if not found:
            return data + new
        match = self.random.choice(found)
        return data[: match.start()] + new + data[match.end() :]

    def strange(self, data: bytes) -> bytes:
        """A character that few expect."""
        at = self.spot(data)
        return data[:at] + self.random.choice(STRANGE).encode("utf-8", "surrogatepass") + data[at:]

    def word(self, data: bytes) -> bytes:
        """A word of the language in place of another."""
        return self.swap(data, rb"[A-Za-z_]+", self.random.choice(WORDS))

    def tokens(self, data: bytes) -> bytes:
        """Swap two tokens, drop one, or double one."""
        cut = TOKEN.findall(data)
        if len(cut) < 2:
            return data
        one, other = (self.random.randrange(len(cut)) for _ in range(2))
        how = self.random.randrange(3)
        if how == 0:
            cut[one], cut[other] = cut[other], cut[one]
        elif how == 1:
            del cut[one]
        else:
            cut.insert(other, cut[one])
        return b"".join(cut)

    def splice(self, data: bytes) -> bytes:
        """A run of tokens of another policy in place of one here."""
        other = TOKEN.findall(self.random.choice(self.corpus))
        cut = TOKEN.findall(data)
        if not other or not cut:
            return data
        start, at = self.random.randrange(len(other)), self.random.randrange(len(cut))
        run = other[start : start + self.random.randrange(1, 12)]
        return b"".join(cut[:at] + run + cut[at + self.random.randrange(4) :])

    def lines(self, data: bytes) -> bytes:
        """Double, drop, move or indent lines, or bring in lines of another policy."""
        rows = data.split(b"\n")
        at, how = self.random.randrange(len(rows)), self.random.randrange(5)
        if how == 0:
            rows.insert(at, rows[at])
        elif how == 1:
            del rows[at : at + self.random.randrange(1, 4)]
        elif how == 2:
            rows.insert(self.random.randrange(len(rows)), rows.pop(at))
        elif how == 3:
            rows[at] = b" " * self.random.randrange(9) + rows[at].lstrip()
        else:
            other = self.random.choice(self.corpus).split(b"\n")
            start = self.random.randrange(len(other))
            rows[at:at] = other[start : start + self.random.randrange(1, 9)]
        return b"\n".join(rows)

    def nest(self, data: bytes) -> bytes:
        """Brackets around something, far too many."""
        depth = self.random.choice((3, 15, 16, 17, 40, 300, 5000))
        left, right = self.random.choice(NESTS)
        at = self.spot(data)
        stop = data.find(b"\n", at) if b"\n" in data[at:] else len(data)
        return data[:at] + left * depth + data[at:stop] + right * depth + data[stop:]

    def repeat(self, data: bytes) -> bytes:
        """A few lines, or one token, very often: up to what a file may hold."""
        pieces = data.split(b"\n") if self.random.random() < 0.5 else TOKEN.findall(data)
        if not pieces:
            return data
        at = self.random.randrange(len(pieces))
        run = pieces[at : at + self.random.randrange(1, 4)]
        joint = b"\n" if self.random.random() < 0.5 else b" "
        count = self.random.choice((2, 2, 3, 10, 10, 30, 100, 100, 1000, 20_000))
        room = MOST_BYTES - len(data)
        block = joint.join(run) + joint
        return data.replace(joint.join(run), block * max(1, min(count, room // len(block))), 1)

    def expression(self, data: bytes) -> bytes:
        """Another condition."""
        names = [m.decode() for m in re.findall(rb"^  ([a-z_]+):", data, re.MULTILINE)] or ["speed"]
        written = self.truth(names, self.random.randrange(5)).encode()
        return self.swap(data, rb"(?<=(?:when|ever|pect): )[^,}\n]+", written)

    def amount(self, names: list[str], depth: int) -> str:
        """A random number expression."""
        pick = self.random
        if depth == 0 or pick.random() < 0.3:
            limit = f"calibrated.{pick.choice(names)}"
            return pick.choice((*names, *names, "1.0", "0.5", "100.0", "1e300", limit))
        one, how = self.amount(names, depth - 1), pick.randrange(5)
        if how == 0:
            return f"({self.truth(names, depth - 1)} ? {one} : {self.amount(names, depth - 1)})"
        if how < 3:
            return f"{one} {pick.choice('+-*')} {self.amount(names, depth - 1)}"
        return pick.choice((f"({one})", f"-{one}", f"{one} / 2.0"))

    def truth(self, names: list[str], depth: int, flags: Sequence[str] = ("true",)) -> str:
        """A random condition."""
        pick = self.random
        if depth == 0 or pick.random() < 0.2:
            how = pick.randrange(6)
            if how == 0:
                return f"{pick.choice(names)} in [0, 1]"
            if how < 3:
                return pick.choice(flags)
            deep = min(depth, 1)
            sign = pick.choice(("<", "<=", ">", ">=", "==", "!="))
            return f"{self.amount(names, deep)} {sign} {self.amount(names, deep)}"
        one, other = (self.truth(names, depth - 1, flags) for _ in range(2))
        joined = (f"{one} && {other}", f"{one} || {other}", f"({one}) && ({other})", f"({one}) || ({other})")
        return pick.choice((*joined, f"!({one})", f"(({one}) ? {other} : {one})"))

    def generated(self) -> bytes:
        """A policy that loads more often than not."""
        pick = self.random
        numbers = [f"s{i}" for i in range(pick.choice((1, 2, 3, 8)))]
        rows = ["edgeguard: 1", "policy: {name: p, version: 1}", *CALIBRATED, "signals:"]
        for name in numbers:
            low, high = sorted((pick.choice((-50, -1, 0, 0.5)), pick.choice((1, 60, 500, 1e9))))
            unit = f", unit: {pick.choice(UNITS)}" if pick.random() < 0.1 else ""
            rows.append(f"  {name}: {{from: context, range: [{low}, {high}], max_age: 100ms{unit}}}")
        rows.append("  door: {from: context, type: bool, max_age: 100ms}")
        rows.append("  reply: {from: context, type: class, labels: [stop, yield, none], max_age: 100ms}")
        flags = ["door", "!door", "reply == reply.stop", "reply != reply.none"]
        if pick.random() < 0.6:
            rows.append("let:")
            for i in range(pick.choice((1, 3, 30))):
                rows.append(f"  m{i}: '{self.truth(numbers, pick.randrange(4), flags)}'")
                flags += [f"m{i}"] * 3
        rows.append("rules:")
        for i in range(pick.choice((1, 1, 2, 2, 5, 5, 30) + (300,) * (pick.random() < 0.02))):
            clear, when = self.truth(numbers, 1, flags), self.truth(numbers, pick.randrange(5), flags)
            hysteresis = f" clear: {{when: '{clear}', for: 3 frames}}," if pick.random() < 0.5 else ""
            rows.append(f"  - {{id: r{i}, when: '{when}',{hysteresis} then: {pick.choice(DEMANDS)}}}")
        if len(numbers) > 1 and pick.random() < 0.5:
            most = pick.choice((0, 0.5, 100))
            rows += ["redundancy:", f"  - {{id: two, agree: [s0, s1], tolerance: {most}, then: rules}}"]
        rows.append("fallback:")
        for _ in range(pick.randrange(4)):
            rows.append(f"  - {{when: '{self.truth(numbers, 1, flags)}', command: {{brake: 1}}}}")
        rows += ["  - {command: {brake: 0.5}}", "envelope: {brake: {min: 0, max: 1, safe: 1}}", ""]
        return "\n".join(rows).encode()
