"""What `edgeguard run` was told about its cameras: a name, a source, a line and a log for each.

Names and paths only: nothing here opens anything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeguard.errors import UsageError

_NAMED = re.compile(r"([a-z][a-z0-9_-]{0,31})=(.+)", re.DOTALL)
_LONGEST = 24


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """One camera as asked for. `log`, `link`, `panel`: None: none."""

    name: str
    source: str
    link: str | None = None
    log: Path | None = None
    panel: str | None = None


def plan_cameras(
    sources: Sequence[str], links: Sequence[str] = (), log: Path | None = None, panels: Sequence[str] = ()
) -> tuple[CameraPlan, ...]:
    """Give each source its name, its line and its log; with several, a log's name gets the camera's.

    Raises: UsageError for a name twice, or lines that are not one for each camera.
    """
    if not sources:
        raise UsageError("give at least one `--source`")
    if links and len(links) != len(sources):
        raise UsageError(
            f"{len(sources)} cameras and {len(links)} lines: give one `--link` for each `--source`, or none"
        )
    if panels and len(panels) != len(links):
        raise UsageError(
            f"{len(links)} lines and {len(panels)} panels: give one `--panel` for each `--link`, or none"
        )
    several = len(sources) > 1
    if several and (len(set(links)) < len(links) or "auto" in links):
        raise UsageError("each camera has a line of its own: name a different port in every `--link`")
    split = [_split(source) for source in sources]
    names = _names(split)
    nothing = [None] * len(sources)
    ports: Sequence[str | None] = links or nothing
    return tuple(
        CameraPlan(name, source, port, _log_of(log, name) if several else log, panel)
        for name, (_, source), port, panel in zip(names, split, ports, panels or nothing)
    )


def _split(source: str) -> tuple[str, str]:
    """`front=camera:0` as its name and its source; the name is empty where none is given."""
    found = _NAMED.fullmatch(source)
    if found is None or Path(source).exists():
        return "", source
    return found[1], found[2]


def _names(split: Sequence[tuple[str, str]]) -> list[str]:
    """Names as given; for the others one from the source. Raises: UsageError for a name that is given twice."""
    given = Counter(name for name, _ in split if name)
    twice = [name for name, times in given.items() if times > 1]
    if twice:
        raise UsageError(f"two cameras are called `{twice[0]}`: give each a name of its own")
    names: list[str] = []
    for name, source in split:
        short, number = name or _short(source), 1
        chosen = short
        while not name and (chosen in given or chosen in names):
            number += 1
            chosen = f"{short}-{number}"
        names.append(chosen)
    return names


def _short(source: str) -> str:
    """A word for a source that may stand in a file's name: nothing of an address but its host and path."""
    if source.startswith("gst:"):
        return "pipeline"
    if "://" in source:
        source = source.split("://", 1)[1].split("?", 1)[0].rsplit("@", 1)[-1]
    elif source.startswith("/"):
        source = Path(source).name
    word = re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-")
    return word[-_LONGEST:].strip("-") or "camera"


def _log_of(log: Path | None, name: str) -> Path | None:
    return None if log is None else log.with_name(f"{log.stem}.{name}{log.suffix}")
