"""`edgeguard policy ...`: what an engineer does with a policy file, one module a verb."""

from __future__ import annotations

import typer

from edgeguard.cli.policy import (
    analyze,
    check,
    compare,
    doc,
    explain,
    fmt,
    lint,
    prove,
    schema,
    table,
    test,
)

group = typer.Typer(
    help="Check, test, explain, prove and compare policies.", no_args_is_help=True, rich_markup_mode=None
)
for _verb in (check, lint, fmt, test, explain, prove, analyze, compare, schema, doc, table):
    _verb.register(group)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(group, name="policy")
