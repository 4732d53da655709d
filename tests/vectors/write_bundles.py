"""Writes tests/vectors/bundles, the same bytes each time; `--check` says whether they are what it writes.

ML-DSA-65 signatures are made anew each time by the library: one that is there is kept.
"""

from __future__ import annotations

import json
import shutil
import sys

from tests.vectors.bundle_cases_inside import every
from tests.vectors.bundle_makers import FOLDER, key_files

RANDOM = ".ml-dsa-65"
"""The end of the names of files that are not the same each time."""


def wanted() -> dict[str, bytes]:
    """Every file by its path below the folder."""
    vectors = every()
    found = {f"{one.name}/{name}": data for one in vectors for name, data in one.files.items()}
    rows = ",\n".join(json.dumps(one.row()) for one in vectors)
    return {**key_files(), **found, "vectors.json": f"[\n{rows}\n]\n".encode()}


def stale(files: dict[str, bytes]) -> list[str]:
    """The paths whose file is missing, another one, or there for nothing."""
    different = [
        name
        for name, data in files.items()
        if not (FOLDER / name).is_file()
        or ((FOLDER / name).read_bytes() != data and not (name.endswith(RANDOM) and len(data) > 3000))
    ]
    return different + [name for name in present() if name not in files]


def present() -> list[str]:
    """The paths of the files in the folder that this tool answers for."""
    paths = (path for path in FOLDER.rglob("*") if path.is_file() and path.parent != FOLDER)
    return sorted({path.relative_to(FOLDER).as_posix() for path in paths} - {"keys/README.md"})


def write(files: dict[str, bytes]) -> None:
    """Write what is stale, remove what is there for nothing."""
    for name in stale(files):
        path = FOLDER / name
        if name not in files:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[name])
    for folder in FOLDER.iterdir():
        if folder.is_dir() and not any(path.is_file() for path in folder.rglob("*")):
            shutil.rmtree(folder)


def main(arguments: list[str]) -> int:
    """Write, or with `--check` compare; returns the exit code."""
    files = wanted()
    if arguments == ["--check"]:
        found = stale(files)
        if found:
            print(
                f"{', '.join(found)}: not what tools/bundle-vectors writes; run it and look at what changed"
            )
        return 5 if found else 0
    write(files)
    print(
        f"{sum(name.endswith('model.sig') for name in files)} signatures, {sum(map(len, files.values()))} bytes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
