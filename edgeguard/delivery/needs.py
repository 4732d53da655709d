"""The packages that only delivery needs: extra `tuf`. Called before any other module of this room is imported."""

from __future__ import annotations

import importlib

from edgeguard.errors import UsageError


def need_tuf() -> None:
    """Make sure that python-tuf is there.

    Raises:
        UsageError: it is not installed.
    """
    try:
        importlib.import_module("tuf.ngclient")
    except ImportError:
        raise UsageError("delivery needs the `tuf` package: install `edgeguard-runtime[tuf]`") from None
