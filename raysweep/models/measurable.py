"""Checks that a network has a well-defined risk: that it is a function of each example alone."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from raysweep.models.precision import type_of_examples
from raysweep.models.random_weights import randomise

EXAMPLES = 4  # in a batch, whose first half is also passed on its own
TOLERANCE = 1e-3  # relative; batches of different sizes differ by rounding, a thousandth of this

Calls = dict[str, tuple[Any, Any]]  # by module: its arguments and its result


@torch.no_grad()
def unmeasurable(model: nn.Module, example: torch.Tensor) -> str | None:
    """Return why a network, in evaluation mode, is no function of each example; None where it is one.

    Its outputs must be the same when it is run again and when fewer examples are passed, and it must not
    write to its input. `example` has a first axis of examples and gives their shape and type. The weights are
    drawn at random, because at initialisation outputs may be zero. The model is not changed.
    """
    try:
        return _problem(_randomised(model).eval(), random_inputs(model, example, EXAMPLES))
    except Exception as error:  # whatever a user's code raises
        return f"it fails on {EXAMPLES} or {EXAMPLES // 2} examples: {type(error).__name__}: {error}"


def _problem(network: nn.Module, inputs: torch.Tensor) -> str | None:
    given, part = inputs.clone(), inputs[: EXAMPLES // 2].clone()
    whole = _cloned(network(given))
    if not torch.equal(given, inputs):
        return "it writes into the images that it is given; let it work on a copy (x = x - 1, not x -= 1)"
    if _same(_first_half(whole), network(part)):
        return None
    if not _same(whole, network(inputs.clone())):
        return "its outputs in evaluation mode are not the same when it is run again"
    where = _where(_calls(network, inputs), _calls(network, part))
    return f"its outputs for an example depend on the other examples of the batch: {where}"


def _where(calls: Calls, calls_of_part: Calls) -> str:
    """Return the first module that gives another result for the same arguments, as part of a sentence."""
    for module, (given, answer) in calls.items():
        given_part, answer_part = calls_of_part.get(module, (None, None))
        if not _same(_first_half(given), given_part):
            return f"what is given to module {module}"
        if not _same(_first_half(answer), answer_part):
            return f"module {module}"
    return "its forward"


def _calls(network: nn.Module, images: torch.Tensor) -> Calls:
    """Return the arguments and results of the innermost modules of a network, in order."""
    calls: Calls = {}

    def noting(title: str) -> Callable[..., None]:
        def note(module: nn.Module, given: Any, answer: Any) -> None:
            calls.setdefault(title, _cloned((given, answer)))

        return note

    innermost = [(name, m) for name, m in network.named_modules() if not any(True for _ in m.children())]
    hooks = [m.register_forward_hook(noting(f"{name} ({type(m).__name__})")) for name, m in innermost if name]
    try:
        network(images.clone())
        return calls
    finally:
        for hook in hooks:
            hook.remove()


def _cloned(values: Any) -> Any:
    """A later operation may work in place."""
    return pytree.tree_map(lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, values)


def _first_half(values: Any) -> Any:
    return pytree.tree_map(
        lambda leaf: leaf[: EXAMPLES // 2] if isinstance(leaf, torch.Tensor) and leaf.dim() else leaf, values
    )


def _same(one: Any, other: Any) -> bool:
    leaves = pytree.tree_leaves(one), pytree.tree_leaves(other)
    return len(leaves[0]) == len(leaves[1]) and all(map(_close, *leaves))


def _close(one: Any, other: Any) -> bool:
    if not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)):
        return bool(one == other)
    if one.shape != other.shape:
        return False
    largest = one.nan_to_num().abs().max().item() if one.is_floating_point() and one.numel() else 0.0
    return torch.allclose(one, other, rtol=0, atol=TOLERANCE * largest, equal_nan=True)


def random_inputs(model: nn.Module, example: torch.Tensor, count: int) -> torch.Tensor:
    """Return `count` inputs like those of `example`, on its device, the same at each call.

    They are random numbers in the precision of the model, or the integers of the example.
    """
    if not example.is_floating_point():
        return example[torch.arange(count) % len(example)]
    drawn = torch.randn((count, *example.shape[1:]), generator=torch.Generator().manual_seed(0))
    return drawn.to(example.device, type_of_examples(model, example))


def _randomised(model: nn.Module) -> nn.Module:
    """Return a copy of a network with random weights."""
    generator = torch.Generator().manual_seed(0)
    drawn: dict[int, torch.Tensor] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point() and tensor.device.type != "meta":
            values = torch.empty(tensor.shape)
            randomise(values, generator)
            values = values.to(tensor)
            drawn[id(tensor)] = nn.Parameter(values) if isinstance(tensor, nn.Parameter) else values
    return copy.deepcopy(model, memo=dict(drawn))
