"""The policy language as JSON Schema, for completion and checking in editors.

An editor's help only: what a policy may say is decided by `policy check` alone. The same bytes every time.
"""

from __future__ import annotations

import json
from pathlib import Path

from edgeguard.desk.schema.values import Schema
from edgeguard.desk.schema.walk import Walk
from edgeguard.desk.schema.wording import SIGNALS
from edgeguard.policy.schema import Policy
from edgeguard.policy.shape import LANGUAGE

SHIPPED = Path(__file__).parents[2] / "policy" / "schema.json"
"""The schema as a file of the package, for editors to read."""

_SIGNAL_MAPS = ("signals", "given", "each")


def policy_schema() -> Schema:
    """The JSON Schema (2020-12) of a policy file."""
    walk = Walk()
    policy = walk.section(Policy)
    _language(policy)
    for section in (policy, *walk.definitions.values()):
        _suggest_signals(section)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:edgeguard:policy:{LANGUAGE}",
        "title": "edgeguard policy",
        **policy,
        "$defs": dict(sorted(walk.definitions.items())),
    }


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(policy_schema(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def modeline(path: Path) -> str:
    """The comment that tells an editor's YAML language server where a policy's schema lies."""
    return f"# yaml-language-server: $schema={path.as_posix()}"


def _language(policy: Schema) -> None:
    properties = policy["properties"]
    if isinstance(properties, dict):
        properties["edgeguard"] = {"description": properties["edgeguard"]["description"], "const": LANGUAGE}


def _suggest_signals(section: Schema) -> None:
    """Name the guard's own signals wherever signals are named, so that an editor offers them."""
    properties = section.get("properties")
    for key in _SIGNAL_MAPS:
        found = properties.get(key) if isinstance(properties, dict) else None
        if not isinstance(found, dict):
            continue
        named = found.get("items", found)
        value = named["additionalProperties"]
        named["properties"] = {name: {"description": text, **value} for name, text in SIGNALS.items()}
