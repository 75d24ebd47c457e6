"""What the tests of this folder share."""

import torch

from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.axes import segments


@torch.no_grad()
def assert_unchanged(spec, model, shape, seed=0):
    """A random permutation of all groups leaves the outputs of randomised float64 weights unchanged."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    for tensor in model.state_dict().values():
        if tensor.dim() == 1:
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.dim() > 1:
            bound = (3 / tensor[0].numel()) ** 0.5
            tensor.uniform_(-bound, bound, generator=generator)
    images = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    expected = model(images)
    state = model.state_dict()
    permutation = spec.random(generator)
    moved = spec.apply(permutation, state)
    assert not spec.sizes or any(not torch.equal(moved[name], state[name]) for name in state)
    model.load_state_dict(moved)
    scale = expected.abs().max().item()
    assert scale > 0
    assert (model(images) - expected).abs().max().item() < 1e-9 * scale


def traced(model, shape):
    """The spec as it was found, without its proof."""
    return PermutationSpec.trace(model, torch.zeros(2, *shape), proved=False)


def parameters_of(spec: PermutationSpec, group: str) -> list[tuple[str, int]]:
    """The (parameter, axis) at which a layer group occurs; buffers are left out."""
    return [
        (name, dimension)
        for name, axes in spec.axes.items()
        if name not in spec.buffers
        for dimension, axis in enumerate(axes)
        if any(segment.group == group for segment in segments(axis))
    ]


def as_lists(permutation: Permutation) -> dict[str, list[int]]:
    """The indices as plain lists, in the order of the groups, which can be compared."""
    return {group: index.tolist() for group, index in permutation.indices.items()}
