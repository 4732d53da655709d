"""`edgeguard link`: look at the line to the microcontroller, measure it, and make the keys of a new one.

Nothing here arms or moves anything: what goes out are safe commands.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.link import Sample, TransportLink

FINDINGS = 5

group = typer.Typer(help="Test the line to the microcontroller.", no_args_is_help=True, rich_markup_mode=None)

Port = Annotated[
    str,
    typer.Argument(
        metavar="PORT", help="auto, a device, socket://host:port, unix:///path or can:interface/channel."
    ),
]
Policy = Annotated[
    Path, typer.Option("--policy", metavar="POLICY", help="The policy the microcontroller was built with.")
]
Key = Annotated[
    Path | None,
    typer.Option("--key", metavar="KEY", help="Device key; default: the policy's `link.key`."),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group, name="link")


@group.command(epilog="Example: edgeguard link ping /dev/ttyACM0 --policy policies/sign_gate.yaml")
def ping(
    port: Port,
    policy: Policy,
    key: Key = None,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="SECONDS", min=0.1, max=3600.0, help="How long to measure.")
    ] = 2.0,
) -> None:
    """Measure the round trip with safe commands only; nothing is armed and nothing moves.

    Exit code 5: frames were lost, damaged or rejected meanwhile.
    """
    from edgeguard.link import ping as measure

    link = _open(port, policy, key)
    try:
        report = measure(link, seconds)
    finally:
        link.close()
    typer.echo(str(report))
    if not report.clean:
        raise typer.Exit(FINDINGS)


@group.command(epilog="Example: edgeguard link monitor /dev/ttyACM0 --policy policies/sign_gate.yaml")
def monitor(
    port: Port,
    policy: Policy,
    key: Key = None,
    seconds: Annotated[
        float,
        typer.Option("--seconds", metavar="SECONDS", min=0.1, help="End after this long; else with Ctrl-C."),
    ] = float("inf"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show, twice a second, what the microcontroller reports; sends safe commands only, and never arms."""
    from edgeguard.link import monitor as watch

    live = sys.stdout.isatty() and not as_json
    link = _open(port, policy, key)
    try:
        for sample in watch(link, seconds):
            if live:
                typer.echo(f"\r\x1b[2K{describe(sample)}", nl=False)
            else:
                typer.echo(json.dumps(as_dict(sample)) if as_json else describe(sample))
    except KeyboardInterrupt:
        pass  # how it is meant to end
    finally:
        link.close()
        if live:
            typer.echo()


@group.command(epilog="Example: edgeguard link provision keys/device-7")
def provision(
    name: Annotated[
        Path,
        typer.Argument(metavar="NAME", help="Writes NAME.device-key, NAME.operator-key, NAME.provision.bin."),
    ],
) -> None:
    """Make both keys of a new microcontroller and the page that its firmware reads, for their owner's eyes only."""
    from edgeguard.link import provision as make

    made = make(name)
    typer.echo(f"{made.device}: the device key, for the host; fingerprint {made.device_print}")
    typer.echo(f"{made.operator}: the operator's key, for the panel; fingerprint {made.operator_print}")
    typer.echo(f"{made.page}: both and a seed, for this one microcontroller; flash it, then remove it here")


def describe(sample: Sample) -> str:
    """One line for a person."""
    s = sample.status
    if s.state != "open":
        return f"no session ({s.state}): {s.reason}"
    trip = "none" if s.round_trip is None else f"{s.round_trip * 1e3:.2f} ms"
    outputs = "  ".join(f"{name} {value:.3f}" for name, value in s.outputs.items())
    parts = [
        f"{s.mcu_mode} ({s.reason})",
        "EMERGENCY STOP pressed" if s.stopped else "",
        f"latched: {', '.join(s.latches)}" if s.latches else "",
        "ready to arm" if s.ready else "",
        outputs,
        f"round trip {trip}",
        f"{sample.sent_rate:.0f} out/s {sample.received_rate:.0f} in/s",
        f"{s.rejected} rejected{f' ({s.refusal})' if s.refusal else ''}",
        f"{s.crc_errors} checksum errors {s.lost} lost",
    ]
    return "  ".join(part for part in parts if part)


def as_dict(sample: Sample) -> dict[str, object]:
    """One line for a program. Times in s, outputs in the policy's units."""
    s = sample.status
    return {
        "at": round(sample.at, 3),
        "state": s.state,
        "mode": s.mcu_mode,
        "reason": s.reason,
        "latches": list(s.latches),
        "stopped": s.stopped,
        "ready": s.ready,
        "degraded": s.degraded,
        "source": s.source,
        "outputs": dict(s.outputs),
        "round_trip": s.round_trip,
        "sent_per_s": round(sample.sent_rate, 1),
        "received_per_s": round(sample.received_rate, 1),
        "rejected": s.rejected,
        "refusal": s.refusal,
        "crc_errors": s.crc_errors,
        "dropped": s.dropped,
        "lost": s.lost,
    }


def _open(port: str, policy: Path, key: Path | None) -> TransportLink:
    """Open the line as a host that is nobody's operator. Raises: UsageError without a key, and as `open_link`."""
    from edgeguard.link import load_device_key, open_link
    from edgeguard.policy import compile_draft

    program = compile_draft(policy).program
    settings = program.link
    path = key if key is not None else settings.key if settings is not None else ""
    if not path:
        message = f"`{policy}` names no device key under `link:`: add it, or give `--key`"
        raise UsageError(message)
    return open_link(
        port,
        key=load_device_key(path),
        policy_hash=bytes.fromhex(program.digest),
        actuators=program.envelope,
        baud=settings.baud if settings is not None else 921_600,
    )
