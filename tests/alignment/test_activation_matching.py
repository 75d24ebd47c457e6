import gc
import sys
from functools import cache
from itertools import product

import pytest
import torch

from raysweep.alignment import (
    activation_matching,
    joint_activation_matching,
    match_activations,
    unit_similarities,
)
from raysweep.alignment.activation_matching import CHUNK
from raysweep.alignment.activations import Recorder, _some_pixels, recorded_values
from raysweep.errors import SpecError
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec
from tests.conftest import mlp
from tests.symmetry.checks import as_lists

MODULE = sys.modules[activation_matching.__module__]
CONFIGS = [mlp(), mlp(norm="layer")] + [
    ModelConfig(model, 4, None, norm, (1, 8, 8), 10)
    for model in ("lenet", "vgg11", "resnet20")
    for norm in ("layer", "batch")
]


def networks(states):
    models = []
    for state in states:
        models.append(build(mlp()))
        models[-1].load_state_dict(state)
    return models


def values(model, images, tensor):
    """All recorded values by group, side by side: (examples, nodes, units)."""
    nodes = recorded_values(model, images[:2], tensor)
    with torch.no_grad():
        found = Recorder(model, nodes).values(images, 0)
    doubles = {name: each.double() for name, each in found.items()}
    return {group: torch.stack([doubles[name] for name in names], dim=1) for group, names in nodes.items()}


TENSORS, SIMILARITIES = ("first", "last", "all"), ("inner_product", "correlation", "cosine")
RECOVERED = dict.fromkeys(
    (
        *product(CONFIGS, TENSORS, SIMILARITIES[1:2]),  # what is recorded depends on the architecture
        *product(CONFIGS[3:4], TENSORS, SIMILARITIES),  # how it is compared does not
    )
)


@cache
def permuted(config):
    """A network, its spec, a permutation and its copy moved by it."""
    model, other = initialised(config, "kaiming_normal", 0), build(config)
    spec = PermutationSpec.trace(model, torch.zeros(2, 1, 8, 8))
    hidden = spec.random(torch.Generator().manual_seed(1))
    other.load_state_dict(spec.apply(hidden, model.state_dict()))
    return model, spec, hidden, other


@pytest.mark.parametrize(("config", "tensor", "similarity"), RECOVERED)
def test_units_with_distinct_activations_are_recovered(digits, config, tensor, similarity):
    model, spec, hidden, other = permuted(config)
    images = digits.train.images[:60]
    found = activation_matching(model, other, images, tensor, similarity)
    assert found.permutation.sizes() == spec.sizes
    mine, theirs = values(model, images, tensor), values(other, images, tensor)
    for group, index in found.permutation.indices.items():
        torch.testing.assert_close(theirs[group][..., index], mine[group], atol=2e-3, rtol=1e-3)
        flat = mine[group].flatten(0, 1)
        distinct = torch.cdist(flat.T, flat.T).fill_diagonal_(1).min(dim=1).values > 1e-2
        # the inner product may prefer a longer unit to the same one; the others never do
        if similarity != "inner_product":
            undone = hidden.indices[group][index]
            assert torch.equal(undone[distinct], torch.arange(len(index))[distinct])


@pytest.mark.parametrize("tensor", ["last", "all"])
def test_correlation_agrees_with_its_definition(digits, trained, tensor):
    one, other = networks(trained[:2])
    images = digits.train.images[:CHUNK]
    found = activation_matching(one, other, images, tensor, "correlation")
    mine, theirs, total = values(one, images, tensor), values(other, images, tensor), 0.0
    for group, index in found.permutation.indices.items():
        for node in range(mine[group].shape[1]):
            for i, j in enumerate(index.tolist()):
                pair = torch.stack([mine[group][:, node, i], theirs[group][:, node, j]])
                if (pair.std(dim=1) > 0).all():
                    total += torch.corrcoef(pair)[0, 1].item()
    assert found.objective == pytest.approx(total, rel=1e-9)
    assert found.objective > found.objective_identity


def test_streaming_changes_nothing_but_rounding(digits, trained, monkeypatch):
    models = networks(trained[:2])
    once = activation_matching(*models, digits.train.images[:400])
    monkeypatch.setattr(MODULE, "CHUNK", 70)
    again = activation_matching(*models, digits.train.images[:400])
    assert again.objective == pytest.approx(once.objective, rel=1e-9)


def test_large_means_cost_no_digits(digits, trained):
    """The correlation of units that are shifted by far more than they vary is that of the same units."""
    one, other = networks(trained[:2])
    plain = activation_matching(one, other, digits.train.images, "first")
    with torch.no_grad():
        for model in (one, other):
            model.double()
            model.layers[1].bias += 1e5
    shifted = activation_matching(one, other, digits.train.images.double(), "first")
    first = next(iter(plain.permutation.indices))
    assert torch.equal(plain.permutation.indices[first], shifted.permutation.indices[first])


def test_a_result_does_not_depend_on_the_other_pairs(digits, trained):
    models, images = networks(trained), digits.train.images
    pairs = [(0, 1), (2, 0), (1, 2)]
    together = match_activations(models, images, pairs)
    alone = [match_activations(models, images, [pair])[0] for pair in pairs]
    for one, other in zip(together, alone, strict=True):
        assert one.objective == other.objective
        assert as_lists(one.permutation) == as_lists(other.permutation)


@pytest.fixture
def batches(monkeypatch):
    """Notes of every batch how many examples it has, and how many numbers all live tensors hold."""
    noted = []

    class Noting(Recorder):
        def values(self, images, batch):
            held = [each for each in gc.get_objects() if type(each) is torch.Tensor]
            noted.append((len(images), sum(tensor.numel() for tensor in held)))
            return super().values(images, batch)

    monkeypatch.setattr(MODULE, "Recorder", Noting)
    return noted


def test_memory_does_not_grow_with_the_examples(digits, trained, batches):
    images = digits.train.images.repeat(2, 1, 1, 1)[: 4 * CHUNK]
    activation_matching(*networks(trained[:2]), images)
    assert [examples for examples, _ in batches] == [CHUNK] * 8
    assert batches[-2][1] <= batches[2][1]  # the first network's, in the last and in the second batch


def test_each_network_runs_once_per_batch_however_many_pairs_it_is_in(digits, trained, batches):
    match_activations(networks(trained), digits.train.images[:CHUNK], [(0, 1), (1, 2), (0, 2)])
    assert len(batches) == 3


def test_unknown_names_are_refused(digits):
    model = build(mlp())
    with pytest.raises(ValueError, match="first, last"):
        activation_matching(model, model, digits.train.images[:4], "middle")
    with pytest.raises(ValueError, match="correlation"):
        activation_matching(model, model, digits.train.images[:4], "last", "distance")
    with pytest.raises(ValueError, match="pixels must be at least 1"):
        activation_matching(model, model, digits.train.images[:4], pixels=0)
    with pytest.raises(ValueError, match=r"group layers\.1: networks of different widths, 16 and 8 units"):
        activation_matching(model, build(mlp(8)), digits.train.images[:4])


def test_networks_stay_in_the_mode_they_were_in(digits):
    model = initialised(mlp(norm="batch"), "pytorch", 0).train()
    frozen = model.layers[2].eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    activation_matching(model, model, digits.train.images[:100])
    assert model.training
    assert not frozen.training
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_pixels_count_like_examples(digits):
    """With all pixels the correlation of two channels is over all places of all images."""
    config = ModelConfig("lenet", 4, None, "none", (1, 8, 8), 10)
    one, other = (initialised(config, "pytorch", seed).eval() for seed in range(2))
    images = digits.train.images[:60]
    every = unit_similarities([one, other], images, [(0, 1)], "first", pixels=10_000)[0]
    first = next(module for module in one.modules() if isinstance(module, torch.nn.Conv2d))
    second = next(module for module in other.modules() if isinstance(module, torch.nn.Conv2d))
    left, right = (m(images).detach().double().transpose(0, 1).flatten(1) for m in (first, second))
    expected = torch.corrcoef(torch.cat([left, right]))[: len(left), len(left) :]
    torch.testing.assert_close(next(iter(every.values())), expected, atol=1e-6, rtol=0)
    few, some = (unit_similarities([one, other], images, [(0, 1)], "first", pixels=n)[0] for n in (1, 8))
    errors = [
        torch.stack([(found[g] - every[g]).square().mean() for g in every]).mean() for found in (few, some)
    ]
    assert errors[1] < errors[0]


def convolutional(seed):
    """Its hidden units have 64, 16, 4 and 1 places in an image of 8 x 8 pixels, before and after pooling."""
    torch.manual_seed(seed)
    layers = []
    for before, after in ((1, 5), (5, 7)):
        layers += [torch.nn.Conv2d(before, after, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
    return torch.nn.Sequential(
        *layers, torch.nn.Flatten(), torch.nn.Linear(28, 9), torch.nn.ReLU(), torch.nn.Linear(9, 10)
    ).eval()


PLACES = {"first": (0, 3, 7), "last": (2, 5, 8)}  # of the layers whose outputs are a unit's first, last value


@pytest.fixture
def ordered(digits):
    """Two chunks of images, the brightest last, so that the first chunk's means are not those of all."""
    images = digits.train.images[: CHUNK + 200]
    return images[images.mean(dim=(1, 2, 3)).argsort()]


def by_definition(networks, images, tensor, pixels):
    """Correlations of the units of two networks by group; the places are drawn as in the batches."""
    found = []
    for place in PLACES[tensor]:
        units = []
        for network in networks:
            chunks = [network[: place + 1](each).detach().double() for each in images.split(CHUNK)]
            units.append(torch.cat([_some_pixels(each, n, pixels) for n, each in enumerate(chunks)]).T)
        found.append(torch.corrcoef(torch.cat(units))[: len(units[0]), len(units[0]) :])
    return found


@pytest.mark.parametrize("pixels", [1, 8, 10_000])
@pytest.mark.parametrize("tensor", ["first", "last"])
def test_each_unit_has_its_own_number_of_values(ordered, tensor, pixels):
    """Correlations are those of `torch.corrcoef`, where units have more or fewer places than are taken."""
    networks = [convolutional(seed) for seed in range(3)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = [by_definition([networks[i] for i in pair], ordered, tensor, pixels) for pair in pairs]
    found = unit_similarities(networks, ordered, pairs, tensor, pixels=pixels)
    for matrices, truth in zip(found, expected, strict=True):
        for matrix, each in zip(matrices.values(), truth, strict=True):
            torch.testing.assert_close(
                matrix, each.nan_to_num(), atol=1e-9, rtol=0
            )  # nan: a unit is constant
    joint = joint_activation_matching(networks, ordered, tensor, pixels=pixels)
    assert joint.objective_identity == pytest.approx(
        sum(each.nan_to_num().trace().item() for truth in expected for each in truth), rel=1e-9
    )


def test_units_along_the_last_axis_are_compared_token_by_token():
    """Sequences of vectors: a permuted copy is found."""
    model = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    other = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    images = torch.randn(40, 5, 8, generator=torch.Generator().manual_seed(0))
    spec = PermutationSpec.trace(model, images[:2])
    drawn = spec.random(torch.Generator().manual_seed(1))
    other.load_state_dict(spec.apply(drawn, model.state_dict()))
    found = activation_matching(model, other, images, pixels=5).permutation
    assert as_lists(found) == as_lists(drawn.inverse())


@pytest.mark.parametrize("tensor", TENSORS)
def test_a_weight_with_as_many_rows_as_there_are_examples_is_no_value(tensor):
    """The weight of two classes is computed, from two examples too; another one must change nothing."""
    model, heads = torch.nn.Linear(6, 16), []
    for _ in range(2):
        head = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(16, 2))
        heads.append(torch.nn.Sequential(model, torch.nn.ReLU(), head))
    images = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    places = recorded_values(heads[0], images[:2], tensor)
    found = Recorder(heads[0], places).values(images, 0)
    assert {len(each) for each in found.values()} == {50}
    matched = activation_matching(*heads, images, tensor)
    assert as_lists(matched.permutation) == {"0": list(range(16))}


class Directions(torch.nn.Module):
    """A recurrent layer in both directions, whose units lie side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.both = torch.nn.LSTM(6, 5, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(10, 3)

    def forward(self, tokens):
        return self.head(self.both(tokens)[0].mean(dim=1))


def attention():
    layer = torch.nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, activation="gelu")
    return torch.nn.Sequential(torch.nn.Linear(6, 8), layer, torch.nn.Flatten(), torch.nn.Linear(32, 3))


def grouped():
    layers = torch.nn.Conv1d(4, 8, 1), torch.nn.Tanh(), torch.nn.Conv1d(8, 6, 1, groups=2)
    return torch.nn.Sequential(*layers, torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(36, 3))


@pytest.mark.parametrize("make", [Directions, attention, grouped])
@pytest.mark.parametrize("tensor", TENSORS)
def test_units_beside_others_and_those_of_attention_are_recovered(make, tensor):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, other, images = make().eval(), make().eval(), torch.randn(60, 4, 6)
    for parameter in model.parameters():
        if parameter.dim() == 1:  # norms and biases tell units apart
            parameter.data.normal_(generator=torch.Generator().manual_seed(len(parameter)))
    spec = PermutationSpec.trace(model, images[:2], proved=False)
    hidden = spec.random(torch.Generator().manual_seed(1))
    other.load_state_dict(spec.apply(hidden, model.state_dict()))
    found = activation_matching(model, other, images, tensor, pixels=4)
    assert spec.sizes
    assert as_lists(found.permutation) == as_lists(hidden.inverse())
    assert found.objective > found.objective_identity


def test_units_that_no_value_shows_are_named_with_what_to_do():
    model = torch.nn.LSTM(6, 5, num_layers=2, batch_first=True)

    class Last(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.head = model, torch.nn.Linear(5, 3)

        def forward(self, tokens):
            return self.head(self.layers(tokens)[0][:, -1])

    with pytest.raises(SpecError, match=r"layers\.weight_ih_l0.* match them by their weights"):
        activation_matching(Last(), Last(), torch.randn(4, 3, 6))


def test_a_compiled_network_is_refused_where_wrappers_are_not_taken_off():
    """Those who match many networks at a time hand them over as they are; `_orig_mod` marks them."""
    wrapped = torch.nn.ModuleDict({"_orig_mod": build(mlp())})
    with pytest.raises(SpecError, match=r"what torch\.compile returns; give the module"):
        match_activations([wrapped] * 2, torch.randn(4, *mlp().shape), [(0, 1)])
