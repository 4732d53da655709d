"""Whether a graph is what its manifest declares: names, types and shapes of the input and of every declared output.

As strict as the check of a loaded session: a graph may leave open what the manifest says, never the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from edgeguard.admission.graph.call import Value
from edgeguard.admission.graph.sizing import Sized
from edgeguard.admission.graph.values import NAMES, Declared, Model
from edgeguard.admission.reasons import refusal, shown

if TYPE_CHECKING:
    from edgeguard.admission.manifest import InputSpec, Manifest, Shape, TensorSpec

MOST_ROWS = 3
"""Pictures that the frame path gives a model at once where its batch is open."""
_CORRECT = "correct the manifest or export the model again, then sign the bundle"
_NUMBER_OF = {name: number for number, name in NAMES.items()}
_MOST_SHOWN = 8


def free_inputs(model: Model) -> tuple[Declared, ...]:
    """Inputs of the graph without a value in the file."""
    stored = {tensor.name for tensor in model.graph.tensors}
    return tuple(value for value in model.graph.inputs if value.name not in stored)


def check_edges(model: Model, manifest: Manifest, path: str) -> None:
    """Hold what the graph says of its edges to the manifest.

    Raises:
        AdmissionError: `contract-mismatch`, with both sides.
    """
    inputs = {value.name: value for value in free_inputs(model)}
    outputs = {value.name: value for value in model.graph.outputs}
    wanted = manifest.input
    if len(inputs) > 1 or len(model.graph.inputs) != len({value.name for value in model.graph.inputs}):
        names = f"`{'`, `'.join(map(shown, list(inputs)[:_MOST_SHOWN]))}`"
        _mismatch(
            path, f"the graph wants {len(inputs)} inputs ({names}), `edgeguard.json` declares `{wanted.name}`"
        )
    if len(outputs) != len(model.graph.outputs):
        _mismatch(path, "the graph has two outputs of the same name")
    for difference in _differences("input", wanted, inputs):
        _mismatch(path, difference)
    for output in manifest.outputs:
        for difference in _differences("output", output, outputs):
            _mismatch(path, difference)


def input_of(manifest: Manifest, rows: int) -> Value:
    """The manifest's input for so many pictures; a batch of a fixed size stays."""
    batch, *sides = manifest.input.shape
    sizes = (batch if isinstance(batch, int) else rows, *(size for size in sides if isinstance(size, int)))
    return Value(_NUMBER_OF[manifest.input.dtype], sizes)


def rows_of(manifest: Manifest) -> tuple[int, ...]:
    """For how many pictures at once the model is worked out."""
    return (1,) if isinstance(manifest.input.shape[0], int) else (1, MOST_ROWS)


def check_outputs(model: Model, sized: Sized, manifest: Manifest, rows: int, path: str) -> None:
    """Hold the worked-out outputs to the manifest.

    Raises:
        AdmissionError: `contract-mismatch`, with both sides.
    """
    made = dict(zip((value.name for value in model.graph.outputs), sized.outputs))
    for output in manifest.outputs:
        value = made[output.name]
        declared = tuple(rows if isinstance(size, str) else size for size in output.shape)
        if value.dims != declared or NAMES.get(value.dtype) != output.dtype:
            _mismatch(
                path,
                f"for {rows} picture{'s' if rows > 1 else ''} the graph's output `{shown(output.name)}` is "
                f"{_spelled(value.dtype, value.dims)}, `edgeguard.json` declares {output.dtype} {list(output.shape)}",
            )


def _mismatch(path: str, message: str) -> NoReturn:
    raise refusal("contract-mismatch", path, f"{message}: {_CORRECT}")


def _differences(kind: str, wanted: InputSpec | TensorSpec, have: dict[str, Declared]) -> Iterator[str]:
    """In words, how the graph's tensor differs from its declaration."""
    found = have.get(wanted.name)
    if found is None:
        names = f"`{'`, `'.join(map(shown, list(have)[:_MOST_SHOWN]))}`" if have else "none"
        yield f"the graph has no {kind} `{shown(wanted.name)}`, which `edgeguard.json` declares (it has {names})"
        return
    typed = (found.dtype == 0 and kind == "output") or NAMES.get(found.dtype) == wanted.dtype
    if not typed or not _fits(found.dims, wanted.shape):
        yield (
            f"the graph's {kind} `{shown(wanted.name)}` is {_spelled(found.dtype, found.dims)}, "
            f"`edgeguard.json` declares {wanted.dtype} {list(wanted.shape)}"
        )


def _fits(dims: tuple[int | str | None, ...] | None, wanted: Shape) -> bool:
    if dims is None:
        return True
    if len(dims) != len(wanted):
        return False
    return all(not isinstance(size, int) or size == declared for size, declared in zip(dims, wanted))


def _spelled(dtype: int, dims: tuple[int | str | None, ...] | None) -> str:
    named = NAMES.get(dtype, "of another type") if dtype else "of no type"
    if dims is None:
        return f"{named} of no shape"
    return f"{named} {[shown(size) if isinstance(size, str) else size for size in dims]}"
