"""The command line. `main` is what the `edgeguard` command runs.

Only this room turns errors into exit codes and prints. Verbs hold no logic of their own: they call the other rooms.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line with the process's arguments and exit with its code."""
    from edgeguard.cli.app import invoke

    sys.exit(invoke(sys.argv[1:]))
