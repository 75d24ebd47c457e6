import pytest
import torch

from raysweep.alignment import embed, pad, prove_padding
from raysweep.errors import SpecError
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec

EXAMPLE = torch.zeros(2, 1, 32, 32)


def spec_and_model(model, width, norm="none"):
    config = ModelConfig(model, width, None, norm, (1, 32, 32), 10)
    return PermutationSpec.trace(build(config), EXAMPLE), initialised(config, "pytorch", 0)


@pytest.mark.parametrize(
    ("model", "norm"), [("mlp", "none"), ("lenet", "none"), ("vgg11", "batch"), ("resnet20", "batch")]
)
def test_a_padded_network_is_the_same_function(model, norm):
    (narrow_spec, narrow), (wide_spec, wide) = (spec_and_model(model, width, norm) for width in (3, 5))
    images = torch.rand(4, 1, 32, 32)
    outputs = narrow.eval()(images)
    wide.load_state_dict(pad(narrow_spec, wide_spec, narrow.state_dict(), wide.state_dict()))
    assert torch.allclose(wide.eval()(images), outputs, atol=1e-6)
    state = {name: tensor.clone() for name, tensor in narrow.train().state_dict().items()}
    prove_padding((narrow_spec, wide_spec), (narrow, wide.train()), EXAMPLE)
    assert narrow.training
    assert wide.training
    assert all(
        p.dtype == torch.float32 and p.requires_grad for p in (*narrow.parameters(), *wide.parameters())
    )
    assert all(torch.equal(tensor, state[name]) for name, tensor in narrow.state_dict().items())


def test_a_norm_over_units_is_refused():
    (narrow_spec, narrow), (wide_spec, wide) = (spec_and_model("lenet", width, "layer") for width in (3, 5))
    with pytest.raises(SpecError, match="LayerNorm"):
        prove_padding((narrow_spec, wide_spec), (narrow, wide), EXAMPLE)


def test_networks_that_differ_in_more_than_the_width_are_refused():
    (narrow_spec, narrow), (wide_spec, wide) = (spec_and_model("mlp", 3), spec_and_model("lenet", 5))
    with pytest.raises(SpecError, match="groups"):
        prove_padding((narrow_spec, wide_spec), (narrow, wide), EXAMPLE)


@pytest.mark.parametrize("model", ["mlp", "lenet", "vgg11"])
def test_a_narrow_network_hidden_in_a_wide_one_comes_first(model):
    (narrow_spec, narrow), (wide_spec, wide) = (spec_and_model(model, width) for width in (4, 7))
    padded = pad(narrow_spec, wide_spec, narrow.state_dict(), wide.state_dict())
    hidden = wide_spec.apply(wide_spec.random(torch.Generator().manual_seed(0)), padded)
    found = embed(narrow_spec, wide_spec, narrow.state_dict(), hidden, seed=0)
    restored = wide_spec.apply(found.permutation(wide_spec), hidden)
    assert all(torch.equal(restored[name], padded[name]) for name in padded)
    assert found.objective > found.objective_identity
