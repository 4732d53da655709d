"""A slice of `make mutation` in every run: what mutmut leaves alone (tables, defaults, cached functions), and the heart
of the machine and of the compiler. Each change is made to the source, which is loaded anew and must be noticed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgeguard.decision.table import RuleRow, Span, Table, Truth
from edgeguard.types import Authority, Event, Mode

ROOT = Path(__file__).parents[2]
MACHINE, CODEGEN = "edgeguard.decision.machine", "edgeguard.policy.expr.codegen"
EMIT, PARSER, INTERPRETER, OPCODES = (
    f"edgeguard.policy.expr.{name}" for name in ("emit", "parser", "interpreter", "opcodes")
)
T, F, X = Truth.TRUE, Truth.FALSE, Truth.FAULT

Load = Callable[[str], Any]


def source_of(module: str) -> str:
    return (ROOT / f"{module.replace('.', '/')}.py").read_text()


def loader(patch: pytest.MonkeyPatch, changed: str, old: str, new: str) -> Load:
    """Loads modules of the guard anew from source, `changed` with the first `old` in it replaced by `new`."""

    def load(name: str) -> ModuleType:
        import_module(name)  # once as it is, so that what it imports is there
        source = source_of(name)
        if name == changed:
            source = source.replace(old, new, 1)
        module = ModuleType(name)
        patch.setitem(sys.modules, name, module)
        exec(compile(source, name, "exec"), vars(module))  # noqa: S102  # the guard's own source
        return module

    return load


# --- what must come out, written by hand ------------------------------------------------------------------------------

SLOW = RuleRow("slow", 1, "x", Authority.RULES, hold=Span(frames=2), clear=Span(frames=2))
ASK = RuleRow("ask", 2, "y", Authority.HUMAN, within=1.0)
HALT = RuleRow("halt", 3, "z", Authority.SAFE_STATE, latch=True)
ROWS = Table((SLOW, ASK, HALT), lockout_after=2)

DAY: tuple[tuple[tuple[Truth, Truth, Truth], Event | None, Mode, Authority, tuple[int, ...]], ...] = (
    ((F, F, F), None, Mode.INIT, Authority.SAFE_STATE, ()),
    ((F, F, F), Event.READY, Mode.STANDBY, Authority.SAFE_STATE, ()),
    ((T, F, F), Event.ARM, Mode.STANDBY, Authority.SAFE_STATE, ()),
    ((F, F, F), Event.ARM, Mode.NOMINAL, Authority.MODEL, ()),
    ((T, F, F), None, Mode.NOMINAL, Authority.MODEL, ()),
    ((X, F, F), None, Mode.DEGRADED, Authority.RULES, (0,)),
    ((F, T, F), None, Mode.TAKEOVER_REQUEST, Authority.HUMAN, (1, 0)),
    ((F, F, F), None, Mode.NOMINAL, Authority.MODEL, ()),
    ((F, T, F), None, Mode.TAKEOVER_REQUEST, Authority.HUMAN, (1,)),
    ((F, T, F), Event.TAKE, Mode.MANUAL, Authority.HUMAN, (1,)),
    ((F, T, F), None, Mode.MANUAL, Authority.HUMAN, (1,)),
    ((F, F, T), None, Mode.SAFE_STATE, Authority.SAFE_STATE, (2,)),
    ((F, F, F), None, Mode.SAFE_STATE, Authority.SAFE_STATE, (2,)),
    ((F, F, F), Event.RESET, Mode.STANDBY, Authority.SAFE_STATE, ()),
    ((F, F, F), Event.ARM, Mode.NOMINAL, Authority.MODEL, ()),
    ((F, F, X), None, Mode.LOCKOUT, Authority.SAFE_STATE, (2,)),
    ((F, F, F), Event.RESET, Mode.LOCKOUT, Authority.SAFE_STATE, (2,)),
)


def day_of_the_machine(load: Load) -> None:
    """One day of a machine with three rules, frame by frame."""
    machine = load(MACHINE)
    state = machine.initial(ROWS)
    assert machine.RuleState() == (False, 0.0, 0, None)
    assert machine.State(Mode.INIT, ()) == (Mode.INIT, (), 0.0, None, (), (), 0)
    assert machine.idle(2) == (machine.RuleState(),) * 2
    for i, (when, event, mode, authority, causes) in enumerate(DAY):
        clear = tuple(T if truth is F else F for truth in when)
        inputs = machine.Inputs(when, clear, True, () if event is None else (event,))
        state, outcome = machine.step(ROWS, state, inputs, i * 0.1)
        found = (outcome.mode, outcome.authority, tuple(cause.rule for cause in outcome.causes))
        assert found == (mode, authority, causes), i


LOW = 0.25
ANSWERS: Mapping[str, Truth] = {
    "a < 1.0": F, "a <= 1.0": T, "a > 1.0": F, "a >= 1.0": T, "a == 1.0": T, "a != 1.0": F, "b < a": T,
    "a + b > 1.4": T, "a - b > 0.4": T, "a * b < 0.6": T, "a / 4.0 == calibrated.low": T, "a - b * 2.0 == 0.0": T,
    "-a < b": T, "!(a < b)": T, "a < b || b < a": T, "a < b && b < a": F, "a < b && b < a || a == 1.0": T,
    "a in [2, 1]": T, "a in [2, 3]": F, "(b < a ? a : b) > 0.9": T, "c < 1.0": X, "a * c < 1.0": X,
    "big * big > 0.0": X, "true || c < 1.0": X, "(a > 2.0 ? big * big : a) < 2.0": X,
}  # fmt: skip
NUMBERS = {"a": 1.0, "b": 0.5, "c": None, "big": 1e300}


def meaning_of_conditions(load: Load) -> None:
    """Small conditions, compiled and by the reference, whose answers anyone can work out."""
    parser = load(PARSER)
    interpreter = load(INTERPRETER)
    emit = load(EMIT)
    load(OPCODES)
    codegen = load(CODEGEN)
    nodes = {text: parser.parse_expression(text) for text in ANSWERS}
    program = codegen.build(tuple(NUMBERS), {"low": LOW}, [codegen.Condition(n) for n in nodes.values()], [])
    values = [0.0 if value is None else value for value in NUMBERS.values()]
    found = program.when(values, [value is not None for value in NUMBERS.values()])
    assert dict(zip(ANSWERS, found)) == ANSWERS
    env = {**NUMBERS, "calibrated.low": LOW}
    assert {text: interpreter.truth(node, env) for text, node in nodes.items()} == ANSWERS
    assert codegen.Condition(nodes["a < 1.0"]).clear is None
    limits = (parser.LONGEST, parser.DEEPEST, parser.MOST_NODES, codegen._SHORT, emit._CHUNK)
    assert limits == (1000, 32, 256, 30, 32)


def calls_are_refused(load: Load) -> None:
    """Code that reaches outside of itself does not pass the last gate."""
    opcodes = load(OPCODES)
    for source in (
        "lambda v: v(1)",
        "lambda v: v.x",
        "lambda v: v[0]",
        "lambda v: print",
        "lambda v: [x for x in v]",
    ):
        assert opcodes.forbidden(eval(source).__code__), source  # noqa: S307  # fixed texts of this test
    assert opcodes.forbidden((lambda v: v < 1.0).__code__) == ()


CHANGES: tuple[tuple[str, str, str], ...] = (
    (MACHINE, "Mode.STANDBY: Authority.SAFE_STATE", "Mode.STANDBY: Authority.MODEL"),
    (MACHINE, "Mode.DEGRADED: Authority.RULES", "Mode.DEGRADED: Authority.MODEL"),
    (MACHINE, "Authority.RULES: Mode.DEGRADED", "Authority.RULES: Mode.NOMINAL"),
    (MACHINE, "Authority.HUMAN: Mode.TAKEOVER_REQUEST", "Authority.HUMAN: Mode.DEGRADED"),
    (MACHINE, "active: bool = False", "active: bool = True"),
    (MACHINE, "safe_entries: int = 0", "safe_entries: int = 1"),
    (MACHINE, "return (_IDLE,) * count", "return (_IDLE,)"),
    (MACHINE, "holds = when is not Truth.FALSE", "holds = when is Truth.TRUE"),
    (MACHINE, "frames >= span.frames and now", "frames > span.frames and now"),
    (MACHINE, "(opened or not row.latch)", "not row.latch"),
    (MACHINE, "demand = max(demand,", "demand = min(demand,"),
    (MACHINE, "entries >= lockout_after", "entries > lockout_after"),
    (MACHINE, "not (summary.active or summary.pending)", "not summary.active"),
    (MACHINE, "if summary.fresh:", "if not summary.fresh:"),
    (MACHINE, "entries += 1", "entries += 0"),
    (EMIT, '"<": ast.Lt', '"<": ast.LtE'),
    (EMIT, '">=": ast.GtE', '">=": ast.Gt'),
    (EMIT, '"==": ast.Eq', '"==": ast.NotEq'),
    (EMIT, '"/": ast.Div', '"/": ast.FloorDiv'),
    (EMIT, '"-": ast.Sub', '"-": ast.Add'),
    (EMIT, "_CHUNK = 32", "_CHUNK = 31"),
    (EMIT, 'ast.And() if node.op == "&&"', 'ast.Or() if node.op == "&&"'),
    (EMIT, "[ast.Lt(), ast.Lt()]", "[ast.LtE(), ast.LtE()]"),
    (EMIT, "self.sums.append(name)", "pass"),
    (CODEGEN, "clear: tree.Node | None = None", "clear: tree.Node | None = False"),
    (CODEGEN, "_SHORT = 30", "_SHORT = 31"),
    (CODEGEN, "if reads else inner", "if not reads else inner"),
    (CODEGEN, "load(_TRUTHS[truth])", "load(_TRUTHS[Truth.TRUE])"),
    (PARSER, '    frozenset({"||"}),\n    frozenset({"&&"}),', '    frozenset({"&&"}),\n    frozenset({"||"}),'),
    (PARSER, 'frozenset({"+", "-"}),', 'frozenset({"+"}),'),
    (PARSER, "DEEPEST = 32", "DEEPEST = 33"),
    (INTERPRETER, '"<=": operator.le', '"<=": operator.lt'),
    (INTERPRETER, '"-": operator.sub', '"-": operator.add'),
    (OPCODES, '"RETURN_CONST"', '"RETURN_CONST", "CALL", "PRECALL", "CALL_FUNCTION", "PUSH_NULL"'),
    (OPCODES, "sorted(set(code.co_code[::2]))", "sorted(set(code.co_code[:2:2]))"),
)  # fmt: skip


def oracle(module: str) -> Callable[[Load], None]:
    return {MACHINE: day_of_the_machine, OPCODES: calls_are_refused}.get(module, meaning_of_conditions)


@pytest.mark.parametrize("module", [MACHINE, EMIT, OPCODES])
def test_the_source_as_it_is_passes(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle(module)(loader(monkeypatch, "", "", ""))


NOTICED = (AssertionError, AttributeError, KeyError, TypeError, ValueError)
"""Wrong, or broken."""


@pytest.mark.parametrize(
    ("module", "old", "new"), CHANGES, ids=[f"{c[0].rpartition('.')[2]}-{i}" for i, c in enumerate(CHANGES)]
)
def test_a_changed_source_is_noticed(
    module: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert old in source_of(module), "the source has moved on: write another change"
    check, load = oracle(module), loader(monkeypatch, module, old, new)
    with pytest.raises(NOTICED):
        check(load)
