"""A second engine for policies, slow and plain, written from `docs/reference/policy-semantics.md` alone.

It shares the checked text of a policy with the first engine, and nothing that decides: tests and desk tools compare the
two. Nothing that drives an actuator may use it. Every function names the clauses that it carries out.
"""

from edgeguard.desk.reference.causes import Reason
from edgeguard.desk.reference.conditions import Truth
from edgeguard.desk.reference.engine import Inputs, Outcome, Reference, State
from edgeguard.desk.reference.runtime import Runtime

__all__ = ["Inputs", "Outcome", "Reason", "Reference", "Runtime", "State", "Truth"]
