"""What a policy costs: one decision step with 3 to 3,000 rules, other engines beside it, loading, and proving.

`python -m bench.policy [--steps N] [--out out/bench]`. Every variant takes turns in one process; times are over the
bare loop, which does nothing but read the clock. Judges nothing: it prints what it measured.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import io
import json
import platform
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeguard.decision.machine import Inputs, State, initial, step
from edgeguard.policy.compiler import compile_policy
from edgeguard.policy.document import parse
from edgeguard.program import Program
from edgeguard.types import Event, Mode

ROOT = Path(__file__).resolve().parents[1]
POLICIES = ROOT / "policies"
SIGNALS = 12
SIZES = (3, 30, 300, 3000)
LINES = 200
QUANTILES = (50.0, 99.0, 99.9)

Row = dict[str, int | float | str]


def policy(rules: int) -> str:
    """Text of a policy with so many rules on a dozen signals: comparisons, conjunctions, a sum in every fifth."""
    rng = random.Random(rules)
    names = [f"s{i}" for i in range(SIGNALS)]
    text = ["edgeguard: 1", f"policy: {{name: bench-{rules}, version: 1}}", "signals:"]
    text += [f"  {name}: {{from: context, range: [0, 1], max_age: 100ms}}" for name in names]
    text.append("rules:")
    for i in range(rules):
        a, b = rng.sample(names, 2) if i else ("s0", "s1")  # the first rule is the one that `held` holds
        when = (
            f"{a} > 0.9",
            f"{a} < 0.1 && {b} > 0.5",
            f"{a} > 0.8 || {b} < 0.05",
            f"{a} in [0, 1]",
            f"{a} + {b} > 1.8",
        )[i % 5]
        text.append(f"  - {{id: rule-{i}, when: '{when}', for: {1 + i % 3} frames, then: rules}}")
    text += ["fallback:", "  - {when: s0 > 0.5, command: {brake: 0.4}}", "  - {command: {brake: 0.1}}"]
    text += ["envelope: {brake: {min: 0, max: 1, safe: 1}}"]
    return "\n".join(text) + "\n"


def compiled(rules: int) -> tuple[Program, float]:
    """The program and how long parsing, checking and compiling took (s)."""
    data = policy(rules).encode()
    began = time.perf_counter()
    program = compile_policy(parse(data, file="bench.yaml"), base=ROOT)
    return program, time.perf_counter() - began


def armed(program: Program) -> State:
    """A machine in NOMINAL, all signals in the middle of their ranges."""
    values, healthy = calm_input()
    state = initial(program.table)
    for event in (Event.READY, Event.ARM, None):
        events = () if event is None else (event,)
        inputs = Inputs(
            program.when(values, healthy), program.clear(values, healthy), new_frame=True, events=events
        )
        state, _ = step(program.table, state, inputs, 0.0)
    if state.mode is not Mode.NOMINAL:
        raise AssertionError(state)
    return state


def calm_input() -> tuple[tuple[float, ...], tuple[bool, ...]]:
    """Values and health at which no rule holds."""
    return (0.5,) * SIGNALS, (True,) * SIGNALS


def one_step(program: Program, values: Sequence[float]) -> Callable[[], None]:
    """A decision as the guard makes it: conditions, clear conditions while a rule is active, the machine."""
    table, healthy = program.table, (True,) * SIGNALS
    state, now = armed(program), 0.0
    idle, unasked = state.rules, program.clear((0.5,), ())

    def run() -> None:
        nonlocal state, now
        now += 0.02
        when = program.when(values, healthy)
        clear = unasked if state.rules is idle else program.clear(values, healthy)
        state, _ = step(table, state, Inputs(when, clear, new_frame=True), now)

    return run


def measure(variants: Mapping[str, Callable[[], object]], steps: int) -> dict[str, list[float]]:
    """Quantiles (us) of each variant over the bare loop, all taking turns."""
    variants = {"bare loop": lambda: None, **variants}
    times = {name: np.empty(steps) for name in variants}
    clock = time.perf_counter_ns
    gc.collect()
    gc.disable()
    try:
        for i in range(-steps // 10, steps):
            for name, run in variants.items():
                began = clock()
                run()
                times[name][max(i, 0)] = clock() - began
    finally:
        gc.enable()
    base = float(np.median(times.pop("bare loop")))
    return {
        name: [(float(q) - base) / 1e3 for q in np.percentile(taken, QUANTILES)]
        for name, taken in times.items()
    }


def steps_by_size(steps: int) -> list[Row]:
    """One step of policies of every size: while all is well, and while a rule holds in every step."""
    rows: list[Row] = []
    for rules in SIZES:
        program, load = compiled(rules)
        runs = {
            "calm": one_step(program, (0.5,) * SIGNALS),
            "held": one_step(program, (0.95,) + (0.5,) * (SIGNALS - 1)),
        }
        found = measure(runs, max(200, steps * 30 // max(30, rules)))
        for name, (p50, p99, p999) in found.items():
            rows.append(
                {"rules": rules, "input": name, "p50": p50, "p99": p99, "p99.9": p999, "load_ms": load * 1e3}
            )
    return rows


def beside_others(steps: int) -> list[Row]:
    """The 30 conditions alone: compiled here, and in Google's CEL where that is installed."""
    program, _ = compiled(30)
    values, healthy = calm_input()
    variants: dict[str, Callable[[], object]] = {"edgeguard": lambda: program.when(values, healthy)}
    cel = cel_variant(30)
    if cel is not None:
        variants["Google CEL (cel-expr-python)"] = cel
    found = measure(variants, steps // 10)
    return [{"engine": name, "p50": q[0], "p99": q[1], "p99.9": q[2]} for name, q in found.items()]


def cel_variant(rules: int) -> Callable[[], None] | None:
    """The same conditions as CEL programs, one after the other; None without the package."""
    if importlib.util.find_spec("cel_expr_python") is None:
        return None
    from cel_expr_python import cel

    names = [f"s{i}" for i in range(SIGNALS)]
    environment = cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DOUBLE))
    document = parse(policy(rules).encode(), file="bench.yaml")
    texts = [rule.when.replace("[0, 1]", "[0.0, 1.0]") for rule in document.policy.rules]
    programs = [environment.compile(text) for text in texts]
    data = dict.fromkeys(names, 0.5)

    def run() -> None:
        for program in programs:
            program.eval(data=data)

    return run


def loading() -> Row:
    """Load and check of a 200-line policy after import (ms), the median of 21."""
    text = policy(LINES - SIGNALS - 8)
    count = text.count("\n")
    taken = []
    for _ in range(21):
        began = time.perf_counter()
        document = parse(text.encode(), file="bench.yaml")
        checked = time.perf_counter()
        compile_policy(document, base=ROOT)
        taken.append((checked - began, time.perf_counter() - began))
    check, load = (float(np.median(column)) * 1e3 for column in zip(*taken))
    return {"lines": count, "check_ms": check, "load_ms": load}


def proofs() -> list[Row]:
    """How long `policy prove` takes for every example policy (s), where the solver is installed."""
    if importlib.util.find_spec("z3") is None:
        return []
    from edgeguard.cli.app import invoke

    rows: list[Row] = []
    for path in sorted(POLICIES.glob("*.yaml")):
        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            code = invoke(["policy", "prove", str(path), "--format", "json"])
        rows.append({"policy": path.stem, "seconds": time.perf_counter() - began, "exit code": str(code)})
    return rows


def table(rows: Sequence[Row]) -> str:
    """Rows of one shape as a Markdown table."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names)]
    lines += [[f"{v:.2f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.policy", description="What a policy costs.")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--no-proofs", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    options = parser.parse_args(arguments)
    results = {
        "One step, us over the bare loop": steps_by_size(options.steps),
        "30 conditions, us over the bare loop": beside_others(options.steps),
        "Loading, after import": [loading()],
        "Proving, whole command": [] if options.no_proofs else proofs(),
    }
    text = "".join(f"### {title}\n\n{table(rows)}\n" for title, rows in results.items() if rows)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    facts = {"python": platform.python_version(), "machine": platform.machine(), "results": results}
    (options.out / "policy.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    (options.out / "policy.md").write_text(text, encoding="utf-8")
    print(f"written to {options.out / 'policy.json'} and policy.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
