"""The jail of a worker: what its process gives up before it loads a model, and what is left once it answers.

Pure standard library and quick to import: it runs before anything else does. It holds no policy; the host decides.
"""

from __future__ import annotations

from edgeguard.isolation.sandbox.jail import enter, seal
from edgeguard.isolation.sandbox.levels import Jail, Level, Reached
from edgeguard.isolation.sandbox.paths import loader_paths

__all__ = ["Jail", "Level", "Reached", "enter", "loader_paths", "seal"]
