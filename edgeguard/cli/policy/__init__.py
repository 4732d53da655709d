"""`edgeguard policy ...`: what an engineer does with a policy file, one module a verb."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import typer

VERBS = (
    "check", "lint", "fmt", "test", "explain", "prove", "analyze", "compare", "schema", "doc", "table",
)  # fmt: skip

group = typer.Typer(
    help="Check, test, explain, prove and compare policies.", no_args_is_help=True, rich_markup_mode=None
)
for _verb in VERBS:
    if find_spec(f"{__name__}.{_verb}"):
        import_module(f"{__name__}.{_verb}").register(group)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(group, name="policy")
