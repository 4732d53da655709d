"""Settings for every test: no clock in a property test, no display, the same examples on every machine in CI.

Fixtures live beside the tests that use them, never here.
"""

from __future__ import annotations

import os
import sys

from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("NO_COLOR", "1")
os.environ.setdefault("COLUMNS", "200")

if os.environ.get("MUTANT_UNDER_TEST"):
    sys.setrecursionlimit(20_000)  # the mutation runner puts a call of its own around every call

settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
