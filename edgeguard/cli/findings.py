"""How findings about a policy are printed, for every verb alike: text, JSON, SARIF 2.1.0, GitHub workflow commands.

Prints what it is given, in the order given; whether a finding makes the verb fail is the verb's to say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from edgeguard import __version__
from edgeguard.cli.output import print_json
from edgeguard.errors import Diagnostic, PolicyError

if TYPE_CHECKING:
    from edgeguard.desk.findings import Finding

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
PAGES = "docs/errors"
"""Where each code has its page."""

NO_FACTS: Mapping[str, object] = MappingProxyType({})
_GITHUB = MappingProxyType({"error": "error", "warning": "warning", "note": "notice"})


class FindingsFormat(str, Enum):
    """How a verb tells what it found."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


FindingsFormatOption = Annotated[
    FindingsFormat, typer.Option("--format", help="How to answer: for people, programs, or a code host.")
]


def report(
    findings: Sequence[Finding | Diagnostic],
    output: FindingsFormat,
    *,
    facts: Mapping[str, object] = NO_FACTS,
) -> None:
    """Print findings: as text on stderr, one a line, like every error; otherwise on stdout.

    `facts`: what else the JSON document says, beside its `diagnostics`; the other formats have no place for it.
    """
    found = [_finding(f) for f in findings]
    if output is FindingsFormat.TEXT:
        for finding in found:
            sys.stderr.write(f"{finding.severity}: {finding}\n")
    elif output is FindingsFormat.JSON:
        print_json({**facts, "diagnostics": [_as_json(f) for f in found]})
    elif output is FindingsFormat.SARIF:
        print_json(_sarif(found))
    else:
        for finding in found:
            typer.echo(_workflow_command(finding))


def fails(findings: Sequence[Finding | Diagnostic], *, strict: bool = False) -> bool:
    """Whether a verb should end with exit code 5: for an error, or when `strict` for any finding but a note."""
    grave = ("error", "warning") if strict else ("error",)
    return any(_finding(f).severity in grave for f in findings)


@contextmanager
def policy_errors(output: FindingsFormat, *, facts: Mapping[str, object] = NO_FACTS) -> Iterator[None]:
    """Around the loading of a policy: what is wrong with it is printed in the asked format.

    Raises:
        PolicyError: in text, where the command line prints it like every error.
        typer.Exit: with the same exit code, in the other formats, once it is printed.
    """
    try:
        yield
    except PolicyError as error:
        if output is FindingsFormat.TEXT:
            raise
        report(error.diagnostics, output, facts=facts)
        raise typer.Exit(error.exit_code) from None


def _finding(finding: Finding | Diagnostic) -> Finding:
    from edgeguard.desk.findings import Finding

    if isinstance(finding, Finding):
        return finding
    return Finding(
        finding.code, finding.message, finding.file, finding.line, finding.column, finding.hint, "error"
    )


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "hint": finding.hint,
    }


def _message(finding: Finding) -> str:
    return f"{finding.message} ({finding.hint})" if finding.hint else finding.message


def _sarif(findings: Sequence[Finding]) -> dict[str, object]:
    """One run; each code that occurs is a rule with its title and page. Columns are characters, as SARIF can say."""
    codes = sorted({f.code for f in findings})
    rules = [_sarif_rule(code) for code in codes]
    driver = {"name": "edgeguard", "version": __version__, "rules": rules}
    results = [_sarif_result(f, codes.index(f.code)) for f in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _sarif_rule(code: str) -> dict[str, object]:
    from edgeguard.desk.codes import FINDINGS
    from edgeguard.policy.codes import CODES

    title = CODES.get(code) or FINDINGS[code]
    return {"id": code, "shortDescription": {"text": title}, "helpUri": f"{PAGES}/{code}.md"}


def _sarif_result(finding: Finding, rule: int) -> dict[str, object]:
    place = {
        "artifactLocation": {"uri": _uri(finding.file)},
        "region": {"startLine": finding.line, "startColumn": finding.column},
    }
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": _message(finding)},
        "locations": [{"physicalLocation": place}],
    }


def _uri(file: str) -> str:
    """A relative path stays one: a code host resolves it against the repository."""
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), safe="/")


def _workflow_command(finding: Finding) -> str:
    properties = {
        "file": finding.file,
        "line": str(finding.line),
        "col": str(finding.column),
        "title": finding.code,
    }
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{_GITHUB[finding.severity]} {listed}::{_data(_message(finding))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
