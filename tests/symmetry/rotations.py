"""Random rotations of the units of a network."""

import torch

from raysweep.symmetry import Permutation, PermutationSpec


def random_rotation(spec: PermutationSpec, generator: torch.Generator) -> Permutation:
    """Draw a permutation, and the orthogonal matrices that the spec allows."""
    rotations = {
        group: rotation.random(spec.sizes[group], generator) for group, rotation in spec.rotations.items()
    }
    return Permutation(spec.random(generator).indices, rotations=rotations)


def random_weights(model: torch.nn.Module, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Draw weights of order one, and gains and biases that are not those of a new network."""
    state = {}
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            state[name] = tensor
        elif tensor.dim() == 1:
            state[name] = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.5
        else:
            drawn = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
            state[name] = drawn / tensor[0].numel() ** 0.5
    return state
