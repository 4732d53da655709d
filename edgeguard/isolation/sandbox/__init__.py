"""The jail of a worker: what its process gives up before it loads a model, and what is left once it answers.

Pure standard library and quick to import: it runs before anything else does. It holds no policy; the host decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeguard.isolation.sandbox.jail import enter, seal
from edgeguard.isolation.sandbox.levels import Jail, Level, Reached
from edgeguard.isolation.sandbox.paths import loader_paths

if TYPE_CHECKING:
    from edgeguard.isolation.sandbox.probing import probe
    from edgeguard.isolation.sandbox.wrapping import Wrapped, wrap

__all__ = ["Jail", "Level", "Reached", "Wrapped", "enter", "loader_paths", "probe", "seal", "wrap"]


def __getattr__(name: str) -> object:
    """The host's side, when it is asked for: a worker loads none of it."""
    if name == "probe":
        from edgeguard.isolation.sandbox.probing import probe

        return probe
    if name in ("wrap", "Wrapped"):
        from edgeguard.isolation.sandbox import wrapping as module

        return getattr(module, name)
    raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
