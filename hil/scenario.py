"""Scenario files: what stands beside the road, what goes wrong and when, and what the vehicle must then do.

Strict: an unknown key, a wrong type or a doubled key is an error with file, line and what is allowed. Drives are not
run here; a scenario and a seed only say how one starts.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import numpy as np
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from edgeguard.errors import UsageError

FOLDER: Final = Path(__file__).parent / "scenarios"
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")

Position: TypeAlias = tuple["str | int", ...]
Lines: TypeAlias = dict[Position, int]


def _seconds(value: object) -> object:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a duration such as `800ms` or `1.5s`")
    return float(match[1]) * (0.001 if match[2] == "ms" else 1.0)


def _pair(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _many(value: object) -> object:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


Seconds = Annotated[float, BeforeValidator(_seconds)]
Interval = Annotated[tuple[float, float], BeforeValidator(_pair)]
Signs = Annotated[tuple[str, ...], BeforeValidator(_many), Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Start(_Part):
    """Where a drive begins: drawn evenly from these intervals by the drive's seed."""

    distance: Interval = (50.0, 57.0)
    """Metres to the stop line."""
    speed: Interval = (8.0, 13.0)
    """Metres a second."""

    @model_validator(mode="after")
    def _ordered(self) -> Start:
        for low, high in (self.distance, self.speed):
            if not 0.0 < low <= high:
                raise ValueError("an interval is [low, high] with 0 < low <= high")
        return self


class CameraSetting(_Part):
    """What the camera suffers from the first frame on; the fields are those of the camera's condition."""

    light: float = 1.0
    noise: float = 0.0
    blur: float = 0.0
    patch: bool = False
    attack: Literal["pgd"] | None = None


class Fault(_Part):
    """One thing that breaks: what, and how long after the drive has begun."""

    kind: Literal["freeze-camera", "kill-redundant", "kill-host", "hang-host", "tamper-model"]
    after: Seconds = 0.0


class Operator(_Part):
    """A person beside the machine, who answers a takeover request by driving. Absent: nobody is there."""

    responds_after: Seconds


class Scenario(_Part):
    """One line of the result table."""

    scenario: str = Field(pattern=r"[a-z][a-z0-9-]*")
    title: str
    story: str
    """What happens, in a sentence for the report."""
    rig: Literal["virtual", "process"] = "virtual"
    clean: bool = False
    """Nothing is wrong: a handover here is a false one."""
    sign: Signs
    """The sign beside the road; of several, the seeds take turns. `none` is an empty road."""
    must_stop: bool
    start: Start = Start()
    camera: CameraSetting = CameraSetting()
    fault: Fault | None = None
    operator: Operator | None = None
    limit: Seconds = 14.0

    @model_validator(mode="after")
    def _rig_fits(self) -> Scenario:
        real = self.fault is not None and self.fault.kind in ("kill-host", "hang-host")
        if real != (self.rig == "process"):
            raise ValueError("`kill-host` and `hang-host` need `rig: process`, and only they do")
        return self


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a seed makes of a scenario: the same for both arms."""

    seed: int
    sign: str
    distance: float
    speed: float
    camera_seed: int


def draw(scenario: Scenario, seed: int) -> Drawn:
    """Return the start of one drive; the same scenario and seed always give the same."""
    name = zlib.crc32(scenario.scenario.encode())
    rng = np.random.default_rng((name, seed))
    return Drawn(
        seed=seed,
        sign=scenario.sign[seed % len(scenario.sign)],
        distance=float(rng.uniform(*scenario.start.distance)),
        speed=float(rng.uniform(*scenario.start.speed)),
        camera_seed=int(rng.integers(1 << 31)),
    )


def load_scenario(path: Path) -> Scenario:
    """Return the scenario in a file. Raises: UsageError naming file, line, the key and what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"scenario `{path}` cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"
        ) from error
    data, lines = _parse(text, path)
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise UsageError("\n".join(_complaints(error, lines, path))) from error


def load_all(folder: Path = FOLDER) -> tuple[Scenario, ...]:
    """Return every scenario of a folder, in order of file name. Raises: UsageError as `load_scenario`."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise UsageError(f"no scenario files (`*.yaml`) in `{folder}`")
    scenarios = tuple(load_scenario(file) for file in files)
    names = [s.scenario for s in scenarios]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise UsageError(f"two files in `{folder}` describe the scenario `{twice[0]}`: rename one")
    return scenarios


def _parse(text: str, path: Path) -> tuple[object, Lines]:
    lines: Lines = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise UsageError(
                f"{path}:1: the file is empty: write a scenario, see docs/how-to/write-a-scenario.md"
            )
        _walk(node, (), lines, path)
        return yaml.safe_load(text), lines
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}:{line}: not YAML: {error.problem}") from error


def _walk(node: yaml.Node, at: Position, lines: Lines, path: Path) -> None:
    lines[at] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*at, index), lines, path)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            if here in lines:
                raise UsageError(f"{path}:{key.start_mark.line + 1}: the key `{key.value}` is written twice")
            _walk(value, here, lines, path)
            lines[here] = key.start_mark.line + 1


def _complaints(error: ValidationError, lines: Lines, path: Path) -> Iterator[str]:
    for item in error.errors(include_url=False):
        at: Position = tuple(item["loc"])
        while at not in lines and at:
            at = at[:-1]
        key = ".".join(str(part) for part in item["loc"])
        yield f"{path}:{lines.get(at, 1)}: {_say(item['type'], key, item['msg'], item.get('ctx', {}))}"


def _say(kind: str, key: str, message: str, context: Mapping[str, object]) -> str:
    if kind == "extra_forbidden":
        return f"unknown key `{key}`: see docs/how-to/write-a-scenario.md for the keys there are"
    if kind == "missing":
        return f"the key `{key}` is missing"
    if kind == "literal_error":
        return f"`{key}` is one of {context.get('expected')}"
    said = message.removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    return f"`{key}`: {said}" if key else said
