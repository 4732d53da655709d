"""`python -m hil demo | campaign | check`: the rig's command line.

Arguments in, exit code out; everything else is in the modules it calls.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read by onnxruntime when it is imported

from edgeguard.errors import EdgeguardError

LARGEST_CAMPAIGN: Final = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except EdgeguardError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130


def _run(options: argparse.Namespace) -> int:
    if options.command == "check":
        from hil.scenario import load_scenario

        for path in options.scenario:
            print(f"{path}: {load_scenario(path).title}")
        return 0
    if options.profile == "photos":
        from hil.photos import demo as photos

        return photos(options.out / "photos")
    from hil.demo import Options, demo
    from hil.profile import Profile

    live = options.command == "demo" and options.live
    asked = Options(
        seeds=options.seeds,
        live=live,
        out=options.out,
        folder=options.scenarios,
        emulated=options.mcu == "qemu",
        only=tuple(options.only),
    )
    return demo(asked, Profile("signs", options.policy, options.trust))


def _parser() -> argparse.ArgumentParser:
    from hil.profile import OUT, PROFILE
    from hil.scenario import FOLDER

    parser = argparse.ArgumentParser(
        prog="python -m hil", description="drive the demo vehicle with and without the guard"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, seeds, said in (
        ("demo", 5, "one drive to watch, then every scenario, a table and a report"),
        ("campaign", 20, "every scenario on many seeds"),
    ):
        command = commands.add_parser(name, help=said, description=said)
        command.add_argument(
            "--seeds", type=_seeds, default=seeds, help=f"drives a scenario and arm (default {seeds})"
        )
        command.add_argument("--profile", choices=("signs", "photos"), default="signs")
        command.add_argument(
            "--mcu",
            choices=("process", "qemu"),
            default="process",
            help="how the real-time rig runs the firmware",
        )
        command.add_argument("--no-live", dest="live", action="store_false", help="no live view")
        command.add_argument("--out", type=Path, default=OUT, help="where the report goes")
        command.add_argument("--policy", type=Path, default=PROFILE.policy, help="the guard's policy")
        command.add_argument(
            "--trust", type=Path, default=PROFILE.trust, help="public key that may sign the policy"
        )
        command.add_argument("--scenarios", type=Path, default=FOLDER, help="folder of scenario files")
        command.add_argument(
            "--only", action="append", default=[], metavar="SCENARIO", help="drive only this; repeatable"
        )
    check = commands.add_parser("check", help="check scenario files", description="check scenario files")
    check.add_argument("scenario", nargs="+", type=Path)
    return parser


def _seeds(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= LARGEST_CAMPAIGN:
        raise argparse.ArgumentTypeError(f"a number from 1 to {LARGEST_CAMPAIGN}, not `{text}`")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
