"""`edgeguard policy table`: a policy's form for the microcontroller."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from edgeguard.cli.output import PolicyArgument, write_text
from edgeguard.errors import PolicyError


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command(epilog="Example: edgeguard policy table policies/sign_gate.yaml -o policy_table.h")(table)


def table(
    file: PolicyArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", "--c", metavar="FILE", help="The C header to write.")
    ],
) -> None:
    """Write the microcontroller's table of a calibrated policy as a C header; the same bytes every time."""
    from edgeguard.policy import compile_draft
    from edgeguard.policy.emit_c import emit

    program = compile_draft(file).program
    try:
        header = emit(program)
    except PolicyError as bad:  # of a compiled policy, which does not know its file
        raise PolicyError(tuple(replace(found, file=str(file)) for found in bad.diagnostics)) from None
    write_text(output, header, source=file)
    typer.echo(f"{output}: table of {program.name} version {program.version}, policy {program.digest[:16]}")
