"""edgeguard: who may act, decided for every frame by one signed policy file.

These are the public names; everything else may move between releases. Each is imported when it is first asked for, so
that `import edgeguard` costs milliseconds and the frame path never pays for YAML, pydantic or a command line.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING

from edgeguard.errors import (
    AdmissionError,
    ContractError,
    EdgeguardError,
    LinkError,
    PolicyError,
    SourceError,
    UsageError,
)
from edgeguard.types import Answer, Authority, Command, Event, Frame, Mode, Signal, Verdict

if TYPE_CHECKING:
    from edgeguard.admission import trust_keys
    from edgeguard.guard import Guard
    from edgeguard.link import open_link
    from edgeguard.log import DecisionLog
    from edgeguard.policy.load import LoadedPolicy, load_policy

__version__ = "0.1.0"

__all__ = [
    "AdmissionError",
    "Answer",
    "Authority",
    "Command",
    "ContractError",
    "DecisionLog",
    "EdgeguardError",
    "Event",
    "Frame",
    "Guard",
    "LinkError",
    "LoadedPolicy",
    "Mode",
    "PolicyError",
    "Signal",
    "SourceError",
    "UsageError",
    "Verdict",
    "load_policy",
    "open_link",
    "trust_keys",
]

_HOMES = MappingProxyType(
    {
        "DecisionLog": "edgeguard.log",
        "Guard": "edgeguard.guard",
        "LoadedPolicy": "edgeguard.policy.load",
        "load_policy": "edgeguard.policy.load",
        "trust_keys": "edgeguard.admission",
        "open_link": "edgeguard.link",
    }
)

if not TYPE_CHECKING:  # hidden from type checkers, so that a misspelt name stays an error there

    def __getattr__(name: str) -> object:
        """Import a public name from its room on first use (PEP 562)."""
        home = _HOMES.get(name)
        if home is None:
            message = f"module `{__name__}` has no attribute `{name}`"
            raise AttributeError(message)
        value = getattr(importlib.import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """The public names, and nothing that was imported to build them."""
    return [*__all__, "__version__"]
