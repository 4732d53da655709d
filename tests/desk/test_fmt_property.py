"""Random policies in every style YAML has, with comments and blank lines anywhere: formatting keeps all they say.

The text is written here, by hand and at random, so that nothing of the formatter's own reading is trusted.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from edgeguard.desk.fmt import format_policy
from edgeguard.policy.diagnostics import Report
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.parser import parse_expression
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.reader import read
from edgeguard.policy.source import Value

NUMBERS = ("0", "1", "-0.50", "1e-3", "0.20", "true", "false")
TEXTS = (
    "rules", "2 frames", "signal:certainty", "a: b", "x # y", "yes", "010", "", " padded ", "don't", 'say "so"',
    "back\\slash", "two\nlines", "two\nlines\n", "ünïcode", "*star", "- dash", "[list", "1.0", "0" * 64, "a,b", "?",
    "tab\there", "word " * 40, "-5x", "~", "null", "a  b", "!not", "\u00a0", "trailing \nspace", "\n\n", "#no",
)  # fmt: skip
EXPRESSIONS = (
    "certainty<0.20", "(a > 1)&&b<2", "a>1||b>1&&c>1", "near ? calibrated.certainty:0.5", "x in [1,2]", "!door",
    " && ".join(["disagreement > calibrated.disagreement"] * 5), "broken <", "-speed > 1.0", "a<1\n",
)  # fmt: skip
KEYS = (
    "when",
    "id",
    "then",
    "clear",
    "name",
    "given",
    "range",
    "brake",
    "safe_state",
    "1",
    "true",
    "<<",
    "a b",
    "x:y",
    "",
    "two\nlines",
)
PLAIN = re.compile(r"[A-Za-z(][A-Za-z0-9 _.<>=()&|*+-]*(?<! )")


@dataclass
class Messy:
    """Writes values as YAML in a style of its own at every place, and remembers the comments it strewed in."""

    random: random.Random
    comments: int = 0

    def comment(self) -> str:
        self.comments += 1
        return f"# {self.comments}" + self.random.choice(
            ("", " why: {a: 1} # again", " 'quoted", " -" + "-" * 40)
        )

    def behind(self) -> str:
        return self.random.choice((" ", "   ")) + self.comment() if self.random.random() < 0.15 else ""

    def between(self, indent: int) -> str:
        text = ""
        while self.random.random() < 0.25:
            column = self.random.choice((0, indent, indent, indent + 3))
            text += self.random.choice(("\n", "   \n", " " * column + self.comment() + "\n"))
        return text

    def scalar(self, value: str, indent: int, *, block: bool) -> str:
        if value.startswith("="):
            return value[1:]
        style = self.random.randrange(4)
        if block and style == 0 and value.strip() and "\n" not in value and value == value.strip():
            return ">-" + self.behind() + "\n" + " " * (indent + 6) + value
        if style == 1 and value.isprintable():
            return "'" + value.replace("'", "''") + "'"
        if style == 2 and block and PLAIN.fullmatch(value) and value not in ("yes", "null"):
            return value.replace(" ", "\n" + " " * (indent + 2), self.random.choice((0, 0, 1)))
        inside = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{inside}"'

    def flow(self, value: object, indent: int) -> str:
        if isinstance(value, str):
            return self.scalar(value, indent, block=False)
        if isinstance(value, dict):
            inside = [
                f"{self.key(k)}: {self._gap(indent)}{self.flow(v, indent)}{self._gap(indent)}"
                for k, v in value.items()
            ]
            return (
                "{" + self._gap(indent) + ("," + self._gap(indent)).join(inside) + self._gap(indent) + "}"
                if inside
                else "{}"
            )
        assert isinstance(value, list)
        inside = [f"{self.flow(v, indent)}{self._gap(indent)}" for v in value]
        return "[" + self._gap(indent) + ("," + self._gap(indent)).join(inside) + "]" if inside else "[]"

    def _gap(self, indent: int) -> str:
        kind = self.random.random()
        if kind > 0.06:
            return self.random.choice(("", " ", "  "))
        start = " " + self.comment() if kind < 0.03 else ""
        return f"{start}\n" + " " * (indent + 2)

    def key(self, key: str) -> str:
        if PLAIN.fullmatch(key) and key != "true" and self.random.random() < 0.9:
            return key
        escaped = key.replace("\n", "\\n")
        return f'"{escaped}"'

    def node(self, value: object, indent: int) -> str:
        """What stands behind `key:` or `-`, with its line breaks."""
        if isinstance(value, str):
            text = self.scalar(value, indent, block=True)
            return f" {text}{'' if text.startswith('>') else self.behind()}\n"
        if not value or self.random.random() < 0.4:
            return " " + self.flow(value, indent) + self.behind() + "\n"
        deeper = indent + self.random.randrange(1, 5)
        return self.behind() + "\n" + self.block(value, deeper)

    def block(self, value: object, indent: int) -> str:
        text = ""
        lead = " " * indent
        if isinstance(value, dict):
            for key, item in value.items():
                text += self.between(indent) + f"{lead}{self.key(key)}:" + self.node(item, indent)
            return text
        assert isinstance(value, list)
        for item in value:
            text += self.between(indent)
            if isinstance(item, dict) and item and self.random.random() < 0.6:
                first = self.block(item, indent + 2)
                head, rest = self._first_entry(first)
                text += head + f"{lead}- " + rest
            else:
                text += f"{lead}-" + self.node(item, indent)
        return text

    @staticmethod
    def _first_entry(block: str) -> tuple[str, str]:
        """The comments before a block's first entry, and the block without its first indentation."""
        lines = block.splitlines(keepends=True)
        at = next(i for i, line in enumerate(lines) if line.strip() and not line.strip().startswith("#"))
        return "".join(lines[:at]), "".join(lines[at:]).lstrip(" ")


def values() -> st.SearchStrategy[object]:
    """Values as this module writes them: `=` before a text that is to stand as it is."""
    scalars = st.sampled_from((*(f"={n}" for n in NUMBERS), *TEXTS, *EXPRESSIONS))

    def grown(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
        return st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)

    return st.recursive(scalars, grown, max_leaves=12)


RULE = st.fixed_dictionaries(
    {"id": st.sampled_from(("a", "b-c")), "when": st.sampled_from(EXPRESSIONS)},
    optional={
        "clear": st.fixed_dictionaries({"when": st.sampled_from(EXPRESSIONS), "for": st.just("2 frames")}),
        "then": st.just("rules"),
        "cause": st.sampled_from(TEXTS),
    },
)
POLICIES = st.fixed_dictionaries(
    {"edgeguard": st.just("=1")},
    optional={
        "let": st.dictionaries(
            st.sampled_from(("near", "far", "hard")), st.sampled_from(EXPRESSIONS), max_size=3
        ),
        "signals": st.dictionaries(st.sampled_from(("speed", "distance")), values(), max_size=2),
        "rules": st.lists(RULE, max_size=4),
        "tests": st.lists(values(), max_size=3),
        "envelope": values(),
    },
)


def plain(text: str) -> Value:
    report = Report("x")
    found, _ = read(text.encode(), report)
    assert report.found == [], (text, report.found)
    return found


def says(value: Value, key: str = "") -> object:
    """A value, its expressions as trees; of mappings the order counts too."""
    if isinstance(value, Mapping):
        return [(k, says(v, "let" if key == "let" else k)) for k, v in value.items()]
    if isinstance(value, tuple):
        return tuple(says(v, key) for v in value)
    if isinstance(value, str) and key in ("when", "let"):
        node = parse_expression(value)
        return value.strip() if isinstance(node, Problem) else tree.skeleton(node)
    return (type(value), value)


@given(POLICIES, st.integers(min_value=0))
def test_a_formatted_policy_says_the_same_with_every_comment_and_stays_as_it_is(
    value: object, seed: int
) -> None:
    messy = Messy(random.Random(seed))
    text = messy.between(0) + messy.block(value, 0) + messy.between(0)
    before = plain(text)
    once = format_policy(text.encode(), file="x")
    after = plain(once)
    assert says(after) == says(before), (text, once)
    assert re.findall(r"# \d+.*", once) == re.findall(r"# \d+.*", text), (text, once)
    assert format_policy(once.encode(), file="x") == once, text
    assert not re.search(r"\n\n\n|\A\n|\n\n\Z|(?m:[ \t]+$)", once), once
    assert once.endswith("\n")
    assert not re.search(r"(?m)\t", once.replace("\\t", "")), once
