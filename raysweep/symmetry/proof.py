"""The numerical proof that a spec describes symmetries of a network."""

import copy

import torch
from torch import nn

from raysweep.digest import seed_for
from raysweep.errors import SpecError
from raysweep.symmetry.permutation import Permutation
from raysweep.symmetry.spec import PermutationSpec, axis_index

TOLERANCE = 1e-9  # relative; in float64 a true symmetry leaves errors near 1e-14


def prove(spec: PermutationSpec, model: nn.Module, example_input: torch.Tensor) -> None:
    """Check that every group, moved alone, leaves the network's outputs unchanged.

    All parameters and buffers are randomised first, in float64, because norm scales of one, zero
    biases and zero heads would make the check vacuous; the outputs must not be zero; and the same
    permutation applied to one axis alone must change them. Raises `SpecError` naming the group.
    """
    generator = torch.Generator().manual_seed(seed_for("proof"))
    network = copy.deepcopy(model).double().eval()
    inputs = torch.randn(example_input.shape, generator=generator, dtype=torch.float64)
    state = {
        name: _randomised(tensor, generator) if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    reference = _output(network, state, inputs)
    scale = reference.abs().max().item()
    if not scale > 0:
        raise SpecError("the proof of the permutation spec is vacuous: the network's outputs are zero")
    for group, size in spec.sizes.items():
        if size < 2:
            continue
        permutation = _moved(spec, group, generator)
        change = (_output(network, spec.apply(permutation, state), inputs) - reference).abs().max().item()
        if not change <= TOLERANCE * scale:
            raise SpecError(
                f"group {group}: reordering its units changes the network's outputs by {change:.2g}"
            )
        _refute_single_axes(spec, group, permutation, network, state, inputs, reference)


def _refute_single_axes(
    spec: PermutationSpec,
    group: str,
    permutation: Permutation,
    network: nn.Module,
    state: dict[str, torch.Tensor],
    inputs: torch.Tensor,
    reference: torch.Tensor,
) -> None:
    scale = reference.abs().max().item()
    for name, dimension in spec.uses(group):
        axis = spec.axes[name][dimension]
        assert axis is not None
        moved = dict(state)
        moved[name] = state[name].index_select(dimension, axis_index(axis, permutation))
        change = (_output(network, moved, inputs) - reference).abs().max().item()
        if change <= TOLERANCE * scale:
            raise SpecError(f"group {group}: axis {dimension} of {name} has no effect, so nothing is proved")


def _moved(spec: PermutationSpec, group: str, generator: torch.Generator) -> Permutation:
    """A permutation that rotates and shuffles one group, never the identity, and leaves the others."""
    indices = dict(Permutation.identity(spec.sizes).indices)
    shuffle = torch.randperm(spec.sizes[group], generator=generator)
    indices[group] = shuffle[(shuffle.argsort() + 1) % len(shuffle)]
    return Permutation(indices)


def _randomised(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Values of a size that keeps activations of order one; positive, so that variances stay valid."""
    noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    if tensor.dim() < 2:
        return noise.abs() + 0.1
    return noise / tensor[0].numel() ** 0.5


def _output(network: nn.Module, state: dict[str, torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.func.functional_call(network, state, (inputs,))
