"""The one place that imports z3, so that a missing one is said in the user's words. Nothing else happens here."""

from __future__ import annotations

from typing import Any, TypeAlias

from edgeguard.errors import UsageError

try:
    import z3
except ImportError:
    raise UsageError(
        "this needs z3, which is not installed: install it with `pip install edgeguard-runtime[verify]`"
    ) from None

__all__ = ["Formula", "Term", "z3"]

Formula: TypeAlias = Any
"""A z3 truth: z3 publishes no types."""
Term: TypeAlias = Any
"""A z3 number (or, of a signal of type `bool`, a truth)."""
