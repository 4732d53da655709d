"""Models in processes of their own that can do nothing but answer. The host believes nothing they say.

Importing this room costs nothing: a worker does so before its sandbox closes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeguard.isolation.member import WorkerMember, start_worker

__all__ = ["WorkerMember", "start_worker"]

if not TYPE_CHECKING:  # hidden from type checkers, so that a misspelt name stays an error there

    def __getattr__(name: str) -> object:
        """Import a public name on first use (PEP 562)."""
        if name not in __all__:
            message = f"module `{__name__}` has no attribute `{name}`"
            raise AttributeError(message)
        return getattr(importlib.import_module("edgeguard.isolation.member"), name)
