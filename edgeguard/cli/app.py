"""Every verb under its name, and the one place where an error becomes a message and an exit code.

Verb modules import what they need when they are called, so that `--help` stays quick. No verb catches errors by itself.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from edgeguard import __version__
from edgeguard.cli import (
    build,
    calibrate,
    encrypt,
    explain,
    floor,
    init,
    inspect,
    keys,
    link,
    log,
    policy,
    probe,
    publish,
    pull,
    qualify,
    rollback,
    run,
    sign,
    verify,
)
from edgeguard.errors import EdgeguardError, PolicyError, first_line

DEBUG = "EDGEGUARD_DEBUG"
"""Set to `1`: show the traceback of an internal error."""

app = typer.Typer(
    name="edgeguard",
    help="Decide, for every frame, who may act: the model, rules, a human or nobody.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 good, 1 internal error, 2 usage, 3 policy invalid, 4 admission denied, 5 findings.",
)
init.register(app)
keys.register(app)
encrypt.register(app)
sign.register(app)
verify.register(app)
inspect.register(app)
floor.register(app)
build.register(app)
publish.register(app)
pull.register(app)
calibrate.register(app)
qualify.register(app)
policy.register(app)
run.register(app)
rollback.register(app)
explain.register(app)
log.register(app)
link.register(app)
probe.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edgeguard {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def invoke(args: Sequence[str]) -> int:
    """Run one command line; return its exit code. Errors are on stderr, never as a traceback."""
    try:
        app(args=list(args), prog_name="edgeguard")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except EdgeguardError as error:
        complain(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: one line instead of a traceback
        if os.environ.get(DEBUG) == "1":
            traceback.print_exc()
        sys.stderr.write(
            f"error: internal: {first_line(error)} (set {DEBUG}=1 for the traceback, and please report it)\n"
        )
        return 1
    return 0


def complain(error: EdgeguardError) -> None:
    """Write an error to stderr: a policy's findings one a line, anything else as one message."""
    findings = error.diagnostics if isinstance(error, PolicyError) else (error,)
    for finding in findings:
        sys.stderr.write(f"error: {finding}\n")
