"""The policy room: text -> typed tree -> checked document -> compiled program.

The public names of the room; everything else in it may move.
"""

from __future__ import annotations

from edgeguard.policy.calibration import Calibration, parse_calibration
from edgeguard.policy.compiler import compile_policy, signal_specs
from edgeguard.policy.deployment import admission_terms, model_refs
from edgeguard.policy.describe import describe
from edgeguard.policy.document import PolicyDocument, parse
from edgeguard.policy.load import DraftPolicy, LoadedPolicy, check_policy, compile_draft, load_policy

__all__ = [
    "Calibration",
    "DraftPolicy",
    "LoadedPolicy",
    "PolicyDocument",
    "admission_terms",
    "check_policy",
    "compile_draft",
    "compile_policy",
    "describe",
    "load_policy",
    "model_refs",
    "parse",
    "parse_calibration",
    "signal_specs",
]
