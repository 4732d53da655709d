"""The results of test cases as JUnit XML, as continuous integration servers read it. Text only; writes no file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET  # only written here, never read

from edgeguard.desk.cases import Result
from edgeguard.desk.findings import Finding

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(policy: str, results: Sequence[Result], others: Sequence[Finding] = ()) -> str:
    """One suite for `policy` with a case each, and one failed case for each of `others`: what no case alone shows."""
    failed = sum(not result.passed for result in results) + len(others)
    counts = {"tests": str(len(results) + len(others)), "failures": str(failed), "errors": "0"}
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": _text(policy), **counts})
    for result in results:
        place = {"file": _text(result.case.source.file), "line": str(result.case.line)}
        case = _case(suite, policy, result.case.name, place)
        for finding in result.findings:
            _failure(case, finding, result.words)
    for finding in others:
        place = {"file": _text(finding.file), "line": str(finding.line)}
        _failure(_case(suite, policy, finding.message, place), finding, "")
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, policy: str, name: str, place: dict[str, str]) -> ET.Element:
    return ET.SubElement(suite, "testcase", {"classname": _text(policy), "name": _text(name), **place})


def _failure(case: ET.Element, finding: Finding, words: str) -> None:
    failure = ET.SubElement(case, "failure", {"type": finding.code, "message": _text(finding.message)})
    failure.text = _text(f"{finding}\n{words}".strip())


def _text(text: str) -> str:
    """Without the characters that XML cannot hold, however they are written."""
    return _NOT_XML.sub("?", text)
