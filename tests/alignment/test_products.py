import pytest
import torch

from raysweep.alignment.products import Similarities
from raysweep.alignment.weight_matching import matched_spec, objective
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import Permutation, PermutationSpec


@pytest.mark.parametrize("model", ["mlp", "lenet", "vgg11", "resnet20"])
def test_updated_products_agree_with_the_objective(model):
    """Swapping two units changes <A, P[B]> by the differences of the similarities, after many updates."""
    config = ModelConfig(model, 8, None, "layer", (1, 8, 8), 10)
    spec = matched_spec(PermutationSpec.trace(build(config), torch.zeros(2, 1, 8, 8)))
    one, other = (
        {n: t.double() for n, t in initialised(config, "pytorch", s).state_dict().items()} for s in (0, 1)
    )
    products = Similarities((spec, spec), [one], [other])
    indices = dict(Permutation.identity(spec.sizes).indices)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        for group, size in spec.sizes.items():
            similarity = products.of(group, indices)
            rows = torch.randperm(size, generator=generator)[:2]
            old = indices[group]
            new = old.clone()
            new[rows] = old[rows.flip(0)]
            values = [
                objective(one, spec.apply(Permutation({**indices, group: index}), other), spec.axes)
                for index in (old, new)
            ]
            change = pytest.approx(values[1] - values[0], abs=1e-10)
            assert (similarity[rows, new[rows]] - similarity[rows, old[rows]]).sum().item() == change
            assert products.gain(group, indices, rows, old[rows], new[rows]) == change
            indices[group] = new
