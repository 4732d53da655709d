"""`edgeguard rollback`: go back to an earlier known-good generation, never below what the device's floor remembers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import Format, FormatOption, print_json
from edgeguard.cli.remembering import StateArgument, needed_state, open_device
from edgeguard.cli.trusting import (
    CaOption,
    IdentityOption,
    IssuerOption,
    KeylessOption,
    Named,
    PostQuantumOption,
    TrustOption,
    trust_of,
)
from edgeguard.errors import AdmissionError, UsageError

if TYPE_CHECKING:
    from edgeguard.device.generations import Generation, Generations


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: edgeguard rollback /var/lib/edgeguard/crossing --to 6")(rollback)


def rollback(
    *,
    state: StateArgument = None,
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="N", min=1, help="Generation; default: the one before the newest."),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Only show the generations.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Let everything count again.")] = False,
    trust: TrustOption = None,
    ca: CaOption = None,
    identity: IdentityOption = "",
    keyless: KeylessOption = None,
    issuer: IssuerOption = "",
    post_quantum: PostQuantumOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Withdraw the newest policy from this device: the next start runs an earlier one, if it is still admitted."""
    from edgeguard.starting import admit_generation

    device, good = open_device(needed_state(state))
    assert good is not None  # noqa: S101 - there is a state
    if show:
        _show(good, output)
        return
    if undo:
        good.withdraw(frozenset())
        _tell(output, "nothing is withdrawn any more: the next start runs the policy that is offered", None)
        return
    trusted = trust_of(Named(trust or (), ca or (), identity, keyless, issuer, post_quantum))
    chosen = _admissible(_chosen(good, to), lambda each: admit_generation(each, good, trusted, device))
    newer = {generation.mark for generation in good.all() if generation.number > chosen.number}
    good.withdraw((good.withdrawn() | newer) - {chosen.mark})
    _tell(
        output,
        f"the next start runs generation {chosen.number}: policy `{chosen.name}` version {chosen.version}",
        chosen,
    )


def _admissible(those: Sequence[Generation], admit: Callable[[Generation], object]) -> Generation:
    """The first that is still admitted. Raises: the refusal of the first one, which is named as what it is."""
    first: AdmissionError | None = None
    for generation in those:
        try:
            admit(generation)
        except AdmissionError as error:
            which = f"generation {generation.number}, policy `{generation.name}` version {generation.version}"
            said = str(error).partition(f"{error.reason}: ")[2]
            first = first or AdmissionError(error.reason, which, said)
        else:
            return generation
    assert first is not None  # noqa: S101 - there is at least one
    raise first


def _chosen(good: Generations, number: int | None) -> Sequence[Generation]:
    """The one that is named, or all that are older than the newest good one, in the order in which they count."""
    every, usable = good.all(), good.usable()
    if number is None:
        if len(usable) < 2:
            raise UsageError("there is no earlier generation: `edgeguard rollback --list` shows what is kept")
        return usable[1:]
    for generation in every:
        if generation.number == number:
            return [generation]
    raise UsageError(f"generation {number} is not kept: `edgeguard rollback --list` shows those that are")


def _show(good: Generations, output: Format) -> None:
    withdrawn = good.withdrawn()
    rows = [
        {
            "generation": g.number,
            "policy": g.name,
            "version": g.version,
            "withdrawn": g.mark in withdrawn,
            "digests": g.digests,
        }
        for g in good.all()
    ]
    if output is Format.JSON:
        print_json(rows)
        return
    for g in good.all():
        state = "withdrawn" if g.mark in withdrawn else "good"
        typer.echo(f"generation {g.number}: policy `{g.name}` version {g.version}, {state}")
        for place, digest in sorted(g.digests.items()):
            typer.echo(f"  {place} {digest}")
    if not rows:
        typer.echo("no generation is kept yet: one is, each time a new policy has started")


def _tell(output: Format, words: str, chosen: Generation | None) -> None:
    if output is Format.JSON:
        print_json({"generation": chosen.number if chosen else None, "mark": chosen.mark if chosen else None})
    else:
        typer.echo(words)
