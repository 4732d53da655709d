"""Break the core of admission in every small way, and list the changes that no test notices: `tools/mutate-admission`.

One session of the tests shows which test reaches which function; then a fork of it for each change, until one fails.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

import pytest

from bench.mutant import HOUSE, Mutant, mutants_of

if TYPE_CHECKING:
    from typing import TextIO

MODULES = "fields,reasons,trust,strictjson,loading,bundle,statement,envelope,certificates,x509"
TESTS = (
    "tests/admission/test_authorities.py",
    "tests/admission/test_certificates.py",
    "tests/admission/test_core.py",
    "tests/admission/test_core_mutants.py",
    "tests/admission/test_core_mutants_bundle.py",
    "tests/admission/test_core_mutants_certificates.py",
    "tests/admission/test_core_mutants_envelope.py",
    "tests/admission/test_core_mutants_loading.py",
    "tests/admission/test_core_mutants_statement.py",
    "tests/admission/test_decryption.py",
    "tests/admission/test_decryption_claims.py",
    "tests/admission/test_demands.py",
    "tests/admission/test_digests.py",
    "tests/admission/test_interop.py",
    "tests/admission/test_keyless.py",
    "tests/admission/test_keyless_issuers.py",
    "tests/admission/test_keyless_library.py",
    "tests/admission/test_loading.py",
    "tests/admission/test_manifest.py",
    "tests/admission/test_manifest_claims.py",
    "tests/admission/test_manifest_reports.py",
    "tests/admission/test_manifest_words.py",
    "tests/admission/test_origin.py",
    "tests/admission/test_origin_edges.py",
    "tests/admission/test_pinning.py",
    "tests/admission/test_post_quantum.py",
    "tests/admission/test_post_quantum_words.py",
    "tests/admission/test_protobuf_wire.py",
    "tests/admission/test_reading.py",
    "tests/admission/test_sign.py",
    "tests/admission/test_streaming.py",
    "tests/hostile/bundles/test_hostile_certificate_bytes.py",
    "tests/hostile/bundles/test_hostile_certificates.py",
    "tests/hostile/bundles/test_hostile_ciphertexts.py",
    "tests/hostile/bundles/test_hostile_contracts.py",
    "tests/hostile/bundles/test_hostile_demands.py",
    "tests/hostile/bundles/test_hostile_envelopes.py",
    "tests/hostile/bundles/test_hostile_files.py",
    "tests/hostile/bundles/test_hostile_second_signatures.py",
    "tests/hostile/bundles/test_hostile_statements.py",
)
CPU_SECONDS, WALL_SECONDS = 40, 400
"""What one change may take, after which it counts as one that never ends."""


class Reach:
    """Which test reaches which code of admission, and how much CPU time each takes (s)."""

    def __init__(self) -> None:
        self.took: dict[int, float] = {}
        self._codes: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._names: dict[str, set[int]] = defaultdict(set)

    def add(self, item: int, took: float, codes: set[CodeType]) -> None:
        """Note what a test that passes took and reached."""
        self.took[item] = took
        for code in codes:
            if code.co_filename.startswith(str(HOUSE)):
                self._codes[Path(code.co_filename).stem, code.co_name].add(item)
                for name in _names_in(code):
                    self._names[name].add(item)

    def of(self, mutant: Mutant) -> set[int]:
        """The tests that could notice a change."""
        if mutant.kind == "field":
            return set(self.took)
        if mutant.kind == "constant":
            return self._names[mutant.where]
        return self._codes[mutant.module, mutant.where.rpartition(".")[2]]


class Runner:
    """The plugin that runs in place of pytest's own loop."""

    def __init__(self, mutants: Sequence[Mutant], out: TextIO, slowest: float, budget: float) -> None:
        self.mutants, self.out, self.slowest, self.budget = mutants, out, slowest, budget
        self.items: list[pytest.Item] = []
        self.reports: list[pytest.TestReport] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test said."""
        self.reports.append(report)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run every test once, then those that matter for each change."""
        self.items = session.items
        reach = self._reached()
        gc.collect()
        gc.freeze()
        print("\nwithout a change:", self._judged(None, sorted(reach.took, key=reach.took.__getitem__))[0])
        here: dict[str, Counter[int]] = defaultdict(Counter)
        begin, left = time.time(), 0
        for at, mutant in enumerate(self.mutants, 1):
            near, far, took = here[f"{mutant.module}.{mutant.where}"], here[mutant.module], reach.took
            known = {i: (-near[i], -far[i] * (took[i] < 0.1), took[i]) for i in reach.of(mutant)}
            verdict, by = self._judged(mutant, self._cut(sorted(known, key=known.__getitem__), took))
            if by is not None:
                near[by] += 1
                far[by] += 1
            test = "" if by is None else self.items[by].nodeid
            row = {
                "name": mutant.name,
                "line": mutant.line,
                "what": mutant.what,
                "verdict": verdict,
                "by": test,
            }
            print(json.dumps(row), file=self.out, flush=True)
            if verdict != "killed":
                left += 1
                print(f"\n{verdict}: {mutant.name}, line {mutant.line}: {mutant.what}", flush=True)
            if at % 100 == 0:
                print(f"\n{at} of {len(self.mutants)}, {time.time() - begin:.0f} s", flush=True)
        print(f"\n{len(self.mutants)} changes, {left} that no test failed on, {time.time() - begin:.0f} s")
        return True

    def _reached(self) -> Reach:
        reach = Reach()
        for i, item in enumerate(self.items):
            codes: set[CodeType] = set()

            def look(frame: FrameType, event: str, _: object, codes: set[CodeType] = codes) -> None:
                if event == "call":
                    codes.add(frame.f_code)

            begin = time.process_time()
            sys.setprofile(look)
            try:
                passed = self._run(item, self.items[i + 1] if i + 1 < len(self.items) else None)
            finally:
                sys.setprofile(None)
            took = time.process_time() - begin
            if not passed:
                print("\nleft out, does not pass as it is:", item.nodeid)
            elif took > self.slowest:
                print(f"\nleft out, takes {took:.1f} s:", item.nodeid)
            else:
                reach.add(i, took, codes)
        return reach

    def _run(self, item: pytest.Item, following: pytest.Item | None) -> bool:
        self.reports.clear()
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        return all(report.passed for report in self.reports)

    def _cut(self, order: Sequence[int], took: dict[int, float]) -> list[int]:
        """The first of them, for so many seconds of CPU."""
        chosen: list[int] = []
        spent = 0.0
        for i in order:
            spent += took[i]
            if chosen and spent > self.budget:
                break
            chosen.append(i)
        return chosen

    def _judged(self, mutant: Mutant | None, order: Sequence[int]) -> tuple[str, int | None]:
        """`killed` and by which test, `LEFT`, or `never ends`."""
        base = tempfile.mkdtemp(prefix="mutant-")
        out, into = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.close(out)
            os._exit(self._child(mutant, order, base, into))
        os.close(into)
        with os.fdopen(out, "rb") as pipe:
            said = pipe.read().decode()
        _, status = os.waitpid(pid, 0)
        shutil.rmtree(base, ignore_errors=True)
        if os.WIFSIGNALED(status):
            return "never ends", None
        return ("LEFT", None) if os.WEXITSTATUS(status) == 0 else ("killed", int(said) if said else None)

    def _child(self, mutant: Mutant | None, order: Sequence[int], base: str, into: int) -> int:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
        signal.alarm(WALL_SECONDS)
        config: Any = self.items[0].config
        config._tmp_path_factory._basetemp = Path(base)  # noqa: SLF001 - a folder of its own for each change
        try:
            if mutant is not None:
                mutant.apply()
            for at, i in enumerate(order):
                following = self.items[order[at + 1]] if at + 1 < len(order) else None
                if not self._run(self.items[i], following):
                    os.write(into, str(i).encode())
                    return 1
        except BaseException:  # noqa: BLE001 - a change that does not even load
            return 3
        return 0


def _names_in(code: CodeType) -> set[str]:
    found = set(code.co_names)
    for below in code.co_consts:
        if isinstance(below, CodeType):
            found |= _names_in(below)
    return found


def main() -> int:
    """Run it. Returns 0 even if changes are left: whether they mean anything is for people."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", default=MODULES, help="of edgeguard.admission, with commas between them")
    parser.add_argument(
        "--slowest", type=float, default=0.5, help="tests that take more CPU (s) are left out"
    )
    parser.add_argument("--budget", type=float, default=1.0, help="CPU (s) of tests for one change at most")
    parser.add_argument("--only", type=Path, help="a file with names of changes, one a line: no others")
    parser.add_argument(
        "--out", type=Path, default=Path(os.devnull), help="where verdicts are written, as JSON lines"
    )
    options = parser.parse_args()
    os.environ["CI"] = "1"  # the same examples for every change
    made: list[Mutant] = []
    for module in options.modules.split(","):
        found, words = mutants_of(module)
        print(f"{module}: {len(found)} changes, {words} of words left out")
        made += found
    if options.only:
        chosen = set(options.only.read_text().split())
        made = [mutant for mutant in made if mutant.name in chosen]
    with options.out.open("a") as out:
        runner = Runner(made, out, options.slowest, options.budget)
        return int(
            pytest.main(["-q", "-s", "-p", "no:xdist", "-p", "no:cacheprovider", *TESTS], plugins=[runner])
        )


if __name__ == "__main__":
    raise SystemExit(main())
