"""Networks whose units have scales and signs, random states of them, and random monomial matrices."""

import torch
from torch import nn

from raysweep.symmetry import Permutation, PermutationSpec


def mlp(activation: type[nn.Module], norm: type[nn.Module] | None = None, width: int = 8) -> nn.Sequential:
    """Return an MLP of three hidden layers, 6 inputs and 3 outputs."""
    layers: list[nn.Module] = []
    for inputs in (6, width, width):
        layers += [nn.Linear(inputs, width), *([norm(width)] if norm else []), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 3))


def random_state(model: nn.Module, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Return random weights; buffers, such as running variances, are as they are."""
    drawn = {name for name, _ in model.named_parameters()}
    return {
        name: torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) if name in drawn else tensor
        for name, tensor in model.state_dict().items()
    }


def random_monomial(spec: PermutationSpec, generator: torch.Generator) -> Permutation:
    """Draw a permutation, and the factors that the spec allows."""
    factors = {}
    for group, scaling in spec.scalings.items():
        size = spec.sizes[group]
        factors[group] = torch.ones(size, dtype=torch.float64)
        if scaling.positive:
            factors[group] *= torch.randn(size, generator=generator, dtype=torch.float64).exp()
        if scaling.sign:
            factors[group] *= torch.randint(2, (size,), generator=generator) * 2 - 1
    return Permutation(spec.random(generator).indices, factors)
