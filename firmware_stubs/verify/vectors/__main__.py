"""Writes tests/vectors/link/*.json, the same bytes on every machine; `--check` says whether they are what it writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import derive
import frames
import session

FOLDER = Path(__file__).resolve().parents[3] / "tests" / "vectors" / "link"
DOCUMENTS = {"derive.json": derive.document, "frames.json": frames.document, "session.json": session.document}


def main(arguments: list[str]) -> int:
    """Write, or with `--check` compare; returns the exit code."""
    stale = []
    for name, document in DOCUMENTS.items():
        text = json.dumps(document(), indent=1, ensure_ascii=True) + "\n"
        path = FOLDER / name
        if arguments == ["--check"]:
            stale += [name] if not path.exists() or path.read_text(encoding="ascii") != text else []
        else:
            path.write_text(text, encoding="ascii")
    if stale:
        print(f"{', '.join(stale)}: not what tools/link-vectors writes; run it and look at what changed")
    return 5 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
