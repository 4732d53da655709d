"""Small changes to C source: text in, mutants out, each with its place. Pure: opens nothing, runs nothing.

Works on tokens, not on a syntax tree: what a change makes of the program is for the compiler to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<skip>//[^\n]*|/\*.*?\*/|\s+)
      | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<number>0[xX][0-9a-fA-F]+[uUlL]*|[0-9]+[uUlL]*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<sign><<=|>>=|->|\+\+|--|&&|\|\||[-+*/%&|^=<>!]=|<<|>>|[-+*/%&|^~!=<>?:;,.(){}\[\]#])
    """,
    re.VERBOSE | re.DOTALL,
)

_SWAPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "<": ("relation", ("<=", ">=", "!=")),
    "<=": ("relation", ("<", ">", "==")),
    ">": ("relation", (">=", "<=", "!=")),
    ">=": ("relation", (">", "<", "==")),
    "==": ("relation", ("!=", "<=", ">=")),
    "!=": ("relation", ("==",)),
    "+": ("arithmetic", ("-",)),
    "-": ("arithmetic", ("+",)),
    "*": ("arithmetic", ("/", "+")),
    "/": ("arithmetic", ("*", "-")),
    "%": ("arithmetic", ("*", "/")),
    "++": ("arithmetic", ("--",)),
    "--": ("arithmetic", ("++",)),
    "+=": ("arithmetic", ("-=", "=")),
    "-=": ("arithmetic", ("+=", "=")),
    "&&": ("logic", ("||",)),
    "||": ("logic", ("&&",)),
    "&": ("bits", ("|", "^")),
    "|": ("bits", ("&", "^")),
    "^": ("bits", ("&", "|")),
    "<<": ("bits", (">>",)),
    ">>": ("bits", ("<<",)),
    "|=": ("bits", ("&=", "=")),
    "&=": ("bits", ("|=", "=")),
    "^=": ("bits", ("=", "|=")),
}
_BINARY_ONLY = frozenset({"+", "-", "*", "&"})
_PAIRS = (
    ("min", "max"),
    ("rise", "fall"),
    ("target", "output"),
    ("stepped_us", "slewed_us"),
    ("low", "high"),
    ("degraded_us", "lost_us"),
    ("up", "down"),
    ("mode", "reason"),
    ("age_ms", "valid_ms"),
    ("first", "second"),
)
_FELLOWS = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}
_WORDS = {"true": "false", "false": "true", "INT32_MAX": "INT32_MIN", "UINT16_MAX": "0u", "UINT32_MAX": "0u"}


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `start` and `end` are offsets in the text."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: bytes `start` to `end` of the text become `new`. `line` and `column` count from 1."""

    operator: str
    start: int
    end: int
    new: str
    line: int
    column: int
    old: str

    def applied(self, text: str) -> str:
        """Return the changed text."""
        return text[: self.start] + self.new + text[self.end :]

    def __str__(self) -> str:
        old, new = (" ".join(part.split()) for part in (self.old, self.new))
        return f"{self.line}:{self.column} {self.operator}: `{old[:70]}` -> `{new[:90] or '(nothing)'}`"


def tokens(text: str) -> list[Token]:
    """Split C source; comments, spaces and preprocessor lines other than `#define NAME number` are left out.

    Raises:
        ValueError: a character that no token begins with.

    """
    found: list[Token] = []
    at, code = 0, _without_directives(text)
    while at < len(code):
        match = _TOKEN.match(code, at)
        if match is None:
            raise ValueError(f"no token at offset {at}: `{code[at : at + 20]}`")
        if match.lastgroup != "skip":
            found.append(Token(str(match.lastgroup), match.group(), match.start(), match.end()))
        at = match.end()
    return found


def enumerations(header: str) -> list[tuple[str, ...]]:
    """Names that stand for one another: every `typedef enum`, and every family `#define EG_x_... number`."""
    groups = [
        tuple(re.findall(r"(EG_\w+)\s*=", body)) for body in re.findall(r"enum \{(.*?)\}", header, re.DOTALL)
    ]
    families: dict[str, list[str]] = {}
    for name in re.findall(r"#define (EG_[A-Z]+_[A-Z]+) 0x", header):
        families.setdefault(name.rsplit("_", 1)[0], []).append(name)
    return [group for group in [*groups, *map(tuple, families.values())] if len(group) > 1]


def mutants(text: str, groups: Sequence[tuple[str, ...]]) -> list[Mutant]:
    """Every change of one file, in the order of the text, no two alike. `groups`: from `enumerations`."""
    maker = _Maker(text, groups)
    unique = {(m.start, m.end, m.new): m for m in maker.all() if m.new != text[m.start : m.end]}
    return sorted(unique.values(), key=lambda m: (m.start, m.end, m.new))


def _without_directives(text: str) -> str:
    """Blank out preprocessor lines but for the number of a plain constant."""

    def blank(match: re.Match[str]) -> str:
        line = match.group()
        constant = re.match(r"#define \w+ +(\(?-?\w+\)?)[ ]*(/\*.*)?$", line)
        if constant is None:
            return re.sub(r"[^\n]", " ", line)
        return " " * constant.start(1) + constant.group(1) + " " * (len(line) - constant.end(1))

    return re.sub(r"^#(?:[^\n\\]|\\\n|\\.)*", blank, text, flags=re.MULTILINE)


class _Maker:
    def __init__(self, text: str, groups: Sequence[tuple[str, ...]]) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.groups = {name: group for group in groups for name in group}
        self.match = self._brackets()

    def _brackets(self) -> dict[int, int]:
        """Index of each bracket's partner, both ways."""
        found: dict[int, int] = {}
        waiting: list[int] = []
        for index, token in enumerate(self.tokens):
            if token.text in ("(", "[", "{"):
                waiting.append(index)
            elif token.text in (")", "]", "}"):
                other = waiting.pop()
                found[index], found[other] = other, index
        return found

    def all(self) -> Iterator[Mutant]:
        for index, token in enumerate(self.tokens):
            if token.kind == "number":
                yield from self.number(token)
            elif token.kind == "name":
                yield from self.name(index, token)
            elif token.kind == "sign":
                yield from self.sign(index, token)

    def make(self, operator: str, first: int, last: int, new: str) -> Mutant:
        """Replace the tokens `first` to `last`, both included."""
        start, end = self.tokens[first].start, self.tokens[last].end
        line = self.text.count("\n", 0, start) + 1
        column = start - (self.text.rfind("\n", 0, start) + 1) + 1
        return Mutant(operator, start, end, new, line, column, self.text[start:end])

    def source(self, first: int, last: int) -> str:
        return self.text[self.tokens[first].start : self.tokens[last].end]

    # ---- one token ---------------------------------------------------------------------------------------------------

    def number(self, token: Token) -> Iterator[Mutant]:
        index = self.tokens.index(token)
        digits = token.text.rstrip("uUlL")
        suffix = token.text[len(digits) :]
        value = int(digits, 0)
        for other in dict.fromkeys((value + 1, value - 1, 0)):
            if other not in (value, -1):
                yield self.make("constant", index, index, f"{other}{suffix}")

    def name(self, index: int, token: Token) -> Iterator[Mutant]:
        if token.text in _WORDS:
            yield self.make("constant", index, index, _WORDS[token.text])
        if token.text in _FELLOWS:
            yield self.make("field", index, index, _FELLOWS[token.text])
        if token.text in self.groups:
            group = self.groups[token.text]
            place = group.index(token.text)
            for other in dict.fromkeys((group[(place + 1) % len(group)], group[place - 1])):
                yield self.make("name", index, index, other)
        yield from self.statement(index, token.text)

    def sign(self, index: int, token: Token) -> Iterator[Mutant]:
        before = self.tokens[index - 1] if index else token
        binary = (before.kind in ("name", "number") and before.text != "return") or before.text in (")", "]")
        if token.text in _SWAPS and (binary or token.text not in _BINARY_ONLY):
            operator, others = _SWAPS[token.text]
            for other in others:
                yield self.make(operator, index, index, other)
        elif token.text in ("!", "~", "-"):
            yield self.make("negation", index, index, "")
        if token.text in ("&&", "||"):
            yield self.make("operand", index, self.after(index), "")
            yield self.make("operand", self.before(index), index, "")
        if token.text == "?":
            yield self.make("choice", index, index, "|| true ?")
            yield self.make("choice", index, index, "&& false ?")
        if token.text == ";":
            yield from self.deletion(index)

    # ---- operands of && and || ---------------------------------------------------------------------------------------

    def after(self, index: int) -> int:
        """Last token of the operand that begins behind `index`."""
        at = index + 1
        while self.tokens[at].text in ("!", "-", "~", "&", "*"):
            at += 1
        at = self.match.get(at, at)
        while self.tokens[at + 1].text in ("->", ".", "(", "["):
            at = self.match[at + 1] if self.tokens[at + 1].text in ("(", "[") else at + 2
        return at

    def before(self, index: int) -> int:
        """First token of the operand that ends before `index`."""
        at = index - 1
        while True:
            if self.tokens[at].text in (")", "]"):
                at = self.match[at]
                called = self.tokens[at - 1]
                if called.kind == "name" and called.text not in ("if", "while", "return", "for"):
                    at -= 1
                elif self.tokens[at - 1].text in (")", "]"):
                    at -= 1
                    continue
            if self.tokens[at - 1].text not in ("->", "."):
                break
            at -= 2
        while self.tokens[at - 1].text in ("!", "~"):
            at -= 1
        return at

    # ---- statements --------------------------------------------------------------------------------------------------

    def statement(self, index: int, word: str) -> Iterator[Mutant]:
        if word in ("if", "while"):
            close = self.match[index + 1]
            condition = self.source(index + 1, close)
            yield self.make("condition", index + 1, close, f"(!{condition})")
            yield self.make("condition", index + 1, close, "(false)")
            if word == "if":
                yield self.make("condition", index + 1, close, "(true)")
        elif word == "return" and self.tokens[index + 1].text != ";":
            end = self.end_of(index) - 1
            value = self.source(index + 1, end)
            for other in (f"!({value})", "0", "1", f"({value}) + 1"):
                yield self.make("return", index + 1, end, other)
        elif word == "eg_clamp" and self.tokens[index + 1].text == "(" and self.inside(index):
            yield from self.clamp(index)
        elif word in ("break", "continue"):
            yield self.make("statement", index, index, "")

    def clamp(self, index: int) -> Iterator[Mutant]:
        """Drop each end of a clamp, and swap them."""
        close = self.match[index + 1]
        commas = [
            at
            for at in range(index + 2, close)
            if self.tokens[at].text == "," and self.depth(index + 1, at) == 0
        ]
        value = self.source(index + 2, commas[0] - 1)
        low, high = self.source(commas[0] + 1, commas[1] - 1), self.source(commas[1] + 1, close - 1)
        for new in (
            f"({value})",
            f"eg_clamp({value}, INT32_MIN, {high})",
            f"eg_clamp({value}, {low}, INT32_MAX)",
            f"eg_clamp({value}, {high}, {low})",
        ):
            yield self.make("clamp", index, close, new)

    def depth(self, opening: int, at: int) -> int:
        inner = self.tokens[opening + 1 : at]
        return sum(t.text in ("(", "[", "{") for t in inner) - sum(t.text in (")", "]", "}") for t in inner)

    def inside(self, index: int) -> bool:
        """Whether a token stands in a function's body, not in its head."""
        return any(self.tokens[a].text == "{" and a < index < b for a, b in self.match.items())

    def end_of(self, index: int) -> int:
        """The `;` that ends the statement of token `index`."""
        while self.tokens[index].text != ";":
            index = (
                self.match.get(index, index) + 1 if self.tokens[index].text in ("(", "[", "{") else index + 1
            )
        return index

    def deletion(self, index: int) -> Iterator[Mutant]:
        """Delete the statement that ends at `index`, unless it declares or returns."""
        first = index
        while self.tokens[first - 1].text not in (";", "{", "}", ":") or self.is_initialiser(first - 1):
            first -= 1
            if self.tokens[first].text == "}":
                first = self.match[first]
            if first == 0:
                return
        if (
            first < index
            and self.inside(index)
            and self.tokens[first].text not in ("return", "for", "break", "const")
        ):
            yield self.make("statement", first, index - 1, "")

    def is_initialiser(self, index: int) -> bool:
        """Whether this brace belongs to an initialiser: `= {` or `){` of a compound literal."""
        opening = self.match.get(index, index)
        return self.tokens[index].text in ("{", "}") and self.tokens[min(opening, index) - 1].text in (
            "=",
            ",",
        )
