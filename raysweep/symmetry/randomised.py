"""A network with random weights, on which its symmetries are tested."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils import _pytree as pytree

from raysweep.errors import SpecError
from raysweep.models.random_weights import randomise
from raysweep.symmetry.gradients import State, state_gradients
from raysweep.symmetry.interpreter import stored_tensors
from raysweep.symmetry.rerun import Rerun

TOLERANCE = 1e-9  # relative; in float64 a true symmetry leaves errors near 1e-14


@dataclass(frozen=True)
class RandomisedNetwork:
    """`outputs` (entries,) are those of `evaluate` at `state`; `gradients` are of a random sum of them."""

    evaluate: Callable[[State], torch.Tensor]
    state: State
    outputs: torch.Tensor
    gradients: State
    threshold: float  # a smaller change of the outputs counts as none
    rerun: Rerun | None  # None where the network cannot be traced

    def change(self, changed: State) -> float:
        """Return the largest change of an output when these tensors take other values; 0 for mere rounding.

        Only the parts that the change reaches are run again. Where it reaches the outputs, the whole network
        runs again to measure the change.
        """
        if self.rerun is not None:
            old = {name: self.state[name].data for name in changed}
            try:
                for name, values in changed.items():
                    self.state[name].data = values
                if not self.rerun.reaches_the_outputs([self.state[name] for name in changed]):
                    return 0.0
            finally:
                for name, values in old.items():
                    self.state[name].data = values
        with torch.no_grad():
            return (self.evaluate({**self.state, **changed}) - self.outputs).abs().max().item()


def single_names(model: nn.Module) -> list[str]:
    """Return the names of all parameters and buffers; of a tied tensor only the first name."""
    names = {id(tensor): name for name, tensor in reversed(stored_tensors(model))}
    return [name for name, tensor in stored_tensors(model) if names[id(tensor)] == name]


def under_all_names(model: nn.Module, exponents: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    """Return exponents by name and axis with those of tied tensors under each of their names."""
    tensors = dict(stored_tensors(model))
    return {
        (other, dimension): exponent
        for (name, dimension), exponent in exponents.items()
        for other, tensor in tensors.items()
        if tensor is tensors[name]
    }


def randomised_network(
    model: nn.Module, example: torch.Tensor, generator: torch.Generator
) -> RandomisedNetwork:
    """Draw all parameters and buffers in float64. Raises `SpecError` when the outputs are zero."""
    network = _blank(model).double().eval().requires_grad_(False)
    inputs = _drawn(example, generator)
    stored = dict(stored_tensors(network))
    state = {name: stored[name] for name in single_names(network)}
    for tensor in state.values():
        if tensor.is_floating_point():
            randomise(tensor, generator)

    def evaluate(values: State) -> torch.Tensor:
        result = torch.func.functional_call(network, values, (inputs,))
        return torch.cat([leaf.reshape(-1) for leaf in pytree.tree_leaves(result)])

    with torch.no_grad():
        outputs = evaluate(state)
    scale = outputs.abs().max().item()
    if not 0 < scale < float("inf"):
        raise SpecError(
            f"the proof of the permutation spec is vacuous: the network's outputs are {scale:.2g}"
        )
    weights = torch.randn(outputs.shape, generator=generator, dtype=torch.float64)
    gradients = state_gradients(lambda values: evaluate(values) @ weights, state)
    threshold = TOLERANCE * scale
    return RandomisedNetwork(evaluate, state, outputs, gradients, threshold, _traced(network, inputs))


def _drawn(example: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return random numbers, or integers from the smallest to the largest one of the example."""
    if example.is_floating_point():
        return torch.randn(example.shape, generator=generator, dtype=torch.float64)
    low, high = int(example.min()), int(example.max())
    return torch.randint(low, high + 1, example.shape, generator=generator).to(example.dtype)


def _traced(network: nn.Module, inputs: torch.Tensor) -> Rerun | None:
    try:
        return Rerun(network, inputs, TOLERANCE)
    except Exception:
        return None  # the network fails in float64, or on other inputs


def _blank(model: nn.Module) -> nn.Module:
    """Return a copy with float64 parameters that are not filled, because copying wide layers takes longer."""
    blanks = {
        id(p): nn.Parameter(torch.empty_like(p, dtype=torch.float64))
        for p in model.parameters()
        if p.is_floating_point()
    }
    return copy.deepcopy(model, memo=dict(blanks))
