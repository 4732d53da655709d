"""The firmware against MISRA C:2012 by cppcheck's add-on, and against gcc's analyzer: `tools/misra`.

Every finding is either gone or explained in deviations.txt, and every explanation explains a finding. Changes nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from firmware_stubs.verify.prove import tables

HERE = Path(__file__).resolve().parent
FIRMWARE = HERE.parents[1]
DEVIATIONS = HERE / "deviations.txt"
FOLDERS = ("core", "link")
SEEDED = """
static uint32_t seeded(uint32_t n) {
    return (n > 0u) ? seeded(n - 1u) : 0u;
}
"""
"""A violation that must be found: rule 17.2, recursion."""
SEEDED_RULE = "17.2"
NOT_A_FINDING = ("missingInclude", "missingIncludeSystem", "information", "toomanyconfigs")
LINE = re.compile(r"(?P<file>[^|]+)\|(?P<line>\d+)\|(?P<rule>[^|]+)\|(?P<text>.*)")


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; `near`: the text of its line and of the one before."""

    rule: str
    file: str
    line: int
    near: str
    message: str


@dataclass(frozen=True, slots=True)
class Deviation:
    """One line of deviations.txt."""

    rule: str
    file: str
    text: str
    reason: str

    def explains(self, finding: Finding) -> bool:
        """Whether the finding is of this rule, in such a file, at such a text."""
        same = self.rule == finding.rule and fnmatch(finding.file, self.file)
        return same and (self.text == "*" or self.text in finding.near)


def main() -> int:
    """Check, print what is unexplained, and return the exit code: 0 nothing, 1 something, 2 a tool is missing."""
    for tool in ("cppcheck", "gcc"):
        if shutil.which(tool) is None:
            print(f"misra: `{tool}` is not here: run `make firmware-tools`", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        table = tables.write_extremes(work / "tables")["extreme-rules"]
        names = '#define EG_ACTUATOR_NAMES {"a", "b"}\n#define EG_SENSOR_NAMES {"s"}\n'
        header = table / "policy_table.h"
        header.write_text(header.read_text(encoding="ascii") + names, encoding="ascii")
        findings = check(FIRMWARE, table)
        seeded = _seeded(work / "seeded")
        control = any(found.rule == SEEDED_RULE for found in check(seeded, table))
        analyzed = analyze(table)
    return _say(findings, read_deviations(), control=control, analyzed=analyzed)


def read_deviations() -> tuple[Deviation, ...]:
    """The deviations, in the file's order."""
    lines = DEVIATIONS.read_text(encoding="ascii").splitlines()
    kept = [line for line in lines if line and not line.startswith("#")]
    return tuple(Deviation(*(part.strip() for part in line.split(" | "))) for line in kept)


def check(firmware: Path, table: Path) -> tuple[Finding, ...]:
    """What cppcheck and its add-on find in the core and the link under `firmware`, with the table in folder `table`."""
    sources = [str(path) for folder in FOLDERS for path in sorted((firmware / folder).glob("*.c"))]
    includes = [f"-I{folder}" for folder in (table, *(firmware / folder for folder in FOLDERS))]
    command = [
        "cppcheck",
        "--quiet",
        "--addon=misra",
        "--std=c11",
        "--platform=unix64",
        "--enable=all",
        *includes,
    ]
    command += [
        "--suppress=missingIncludeSystem",
        "--inline-suppr",
        "--template={file}|{line}|{id}|{message}",
        *sources,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {match.group(0): match for match in map(LINE.match, done.stderr.splitlines()) if match}
    return tuple(_finding(match, firmware) for match in found.values() if match["rule"] not in NOT_A_FINDING)


def _finding(match: re.Match[str], firmware: Path) -> Finding:
    path, line = Path(match["file"]), int(match["line"])
    text = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    near = "\n".join(text[max(0, line - 2) : line])
    short = str(path.relative_to(firmware)) if path.is_relative_to(firmware) else path.name
    return Finding(match["rule"].replace("misra-c2012-", ""), short, line, near, match["text"])


def analyze(table: Path) -> str:
    """What gcc's analyzer says of the same sources: nothing, or its words."""
    includes = [f"-I{folder}" for folder in (table, *(FIRMWARE / folder for folder in FOLDERS))]
    said = ""
    for path in sorted(path for folder in FOLDERS for path in (FIRMWARE / folder).glob("*.c")):
        command = [
            "gcc",
            "-std=c11",
            "-O2",
            "-fanalyzer",
            "-Wall",
            "-Wextra",
            "-S",
            "-o",
            "/dev/null",
            *includes,
            str(path),
        ]
        said += subprocess.run(command, capture_output=True, text=True, check=False).stderr
    return said


def _seeded(where: Path) -> Path:
    for folder in FOLDERS:
        shutil.copytree(FIRMWARE / folder, where / folder)
    source = where / "core" / "eg_core.c"
    source.write_text(source.read_text(encoding="ascii") + SEEDED, encoding="ascii")
    return where


def _say(
    findings: tuple[Finding, ...], deviations: tuple[Deviation, ...], *, control: bool, analyzed: str
) -> int:
    used: Counter[Deviation] = Counter()
    bad = 0
    for found in findings:
        why = next((deviation for deviation in deviations if deviation.explains(found)), None)
        if why is None:
            bad += 1
            print(f"{found.file}:{found.line}: {found.rule}: {found.near.splitlines()[-1:] or found.message}")
        else:
            used[why] += 1
    for deviation in deviations:
        print(f"{used[deviation]:4} x {deviation.rule:24} {deviation.file:22} {deviation.reason}")
    gone = [deviation for deviation in deviations if not used[deviation]]
    for deviation in gone:
        print(f"explains nothing any more: {deviation.rule} | {deviation.file} | {deviation.text}")
    if analyzed:
        print(analyzed)
    if not control:
        print("the seeded violation was not found: the check does not check")
    says = "found something" if analyzed else "silent"
    print(f"misra: {len(findings)} findings, {bad} unexplained; gcc -fanalyzer {says}")
    return 0 if control and not (bad or gone or analyzed) else 1
