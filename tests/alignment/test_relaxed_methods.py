"""Methods that go through relaxed permutations or train them: Frank-Wolfe, Sinkhorn, straight-through."""

from functools import partial
from itertools import permutations

import pytest
import torch
from torch import nn

from raysweep.alignment import frank_wolfe, joint_matching, sinkhorn_rebasin, straight_through
from raysweep.alignment.joint import pairwise_objective
from raysweep.alignment.mixture_loss import batches
from raysweep.symmetry import Permutation, PermutationSpec
from tests.alignment.interrupted import Noted, killed_often
from tests.symmetry.blocked import SHAPE, ResNeXtBlock
from tests.symmetry.checks import as_lists, traced

IMAGES = torch.randn(60, 6, generator=torch.Generator().manual_seed(5))
LABELS = torch.arange(60) % 3
LEARNED = {
    **{
        f"sinkhorn {loss}": partial(sinkhorn_rebasin, loss=loss, steps=30)
        for loss in ("l2", "midpoint", "random")
    },
    **{
        f"straight {point}": partial(straight_through, point=point, steps=3) for point in ("centre", "random")
    },
}


def network(seed, widths=(8, 7)):
    """An MLP with weights that depend on nothing but the seed."""
    layers = [nn.Linear(6, widths[0]), nn.ReLU(), nn.Linear(*widths), nn.ReLU(), nn.Linear(widths[1], 3)]
    model, generator = nn.Sequential(*layers), torch.Generator().manual_seed(seed)
    for tensor in model.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return model


def found(method, models, seed=0):
    """What a method finds, a permutation for each network."""
    spec, states = traced(models[0], (6,)), [model.state_dict() for model in models]
    if method is frank_wolfe:
        return frank_wolfe(spec, states, seed)
    result = method(spec, states, seed, models, IMAGES, LABELS)
    return [Permutation.identity(spec.sizes), result] if isinstance(result, Permutation) else result


def permuted(model, seed):
    """A permuted copy, and the permutation that undoes it."""
    spec = traced(model, (6,))
    permutation = spec.random(torch.Generator().manual_seed(seed))
    copy = network(0)
    copy.load_state_dict(spec.apply(permutation, model.state_dict()))
    return copy, permutation.inverse()


@pytest.mark.parametrize("name", ["sinkhorn midpoint", "straight random"])
def test_the_seed_decides(name):
    models = [network(seed) for seed in range(2)]
    one, same, other = (as_lists(found(LEARNED[name], models, seed)[1]) for seed in (0, 0, 1))
    assert one == same
    assert one != other or name == "straight random"  # in which a few steps change no assignment here


@pytest.mark.parametrize("name", LEARNED)
def test_what_was_noted_before_a_process_was_killed_is_not_done_again(name):
    """The bits of all that is trained, and the permutations, are those of a process that was not killed."""
    models = [network(seed) for seed in range(3 if name.startswith("straight") else 2)]
    spec, states = traced(models[0], (6,)), [model.state_dict() for model in models]
    ways = partial(LEARNED[name], spec, states, 0, models, IMAGES, LABELS, steps=5, batch_size=25)
    undisturbed = Noted()
    expected = ways(progress=undisturbed)
    permutations, noted, kills = killed_often(ways)
    assert kills == 4
    assert noted.keys() == undisturbed.noted.keys()
    assert all(torch.equal(tensor, undisturbed.noted[each]) for each, tensor in noted.items())
    one, other = (each if isinstance(each, list) else [each] for each in (permutations, expected))
    assert [as_lists(each) for each in one] == [as_lists(each) for each in other]


@pytest.mark.parametrize("method", [frank_wolfe, LEARNED["sinkhorn l2"], LEARNED["straight centre"]])
def test_a_permuted_copy_is_undone_exactly(method):
    model = network(1)
    copy, undone = permuted(model, 2)
    first, second = found(method, [model, copy])
    assert as_lists(first) == as_lists(Permutation.identity(undone.sizes()))
    assert as_lists(second) == as_lists(undone)


@pytest.mark.parametrize("method", [frank_wolfe, LEARNED["straight centre"]])
def test_permuted_copies_of_one_network_come_to_the_same_order(method):
    model = network(3)
    models = [model, permuted(model, 4)[0], permuted(model, 5)[0]]
    spec = traced(model, (6,))
    moved = [
        spec.apply(each, one.state_dict()) for each, one in zip(found(method, models), models, strict=True)
    ]
    assert all(torch.equal(state[key], moved[0][key]) for state in moved for key in state)


def test_frank_wolfe_finds_the_best_of_all_permutations():
    """Of two tiny networks, and of three, as by trying all."""
    models = [network(seed, (3, 2)) for seed in (0, 1, 2)]
    spec, states = traced(models[0], (6,)), [model.state_dict() for model in models]
    every = [
        Permutation(dict(zip(spec.sizes, map(torch.tensor, pair), strict=True)))
        for pair in ((one, other) for one in permutations(range(3)) for other in permutations(range(2)))
    ]
    value = partial(pairwise_objective, spec, names=spec.axes)
    identity = Permutation.identity(spec.sizes)
    best = max(value(states[:2], [identity, each]) for each in every)
    assert value(states[:2], frank_wolfe(spec, states[:2], 0, restarts=4)) == pytest.approx(best)
    best = max(value(states, [identity, one, other]) for one in every for other in every)
    assert value(states, frank_wolfe(spec, states, 0, restarts=4)) == pytest.approx(best)


def test_more_ascents_lower_no_objective():
    models = [network(seed) for seed in range(3)]
    spec, states = traced(models[0], (6,)), [model.state_dict() for model in models]

    def reached(restarts):
        return pairwise_objective(spec, states, frank_wolfe(spec, states, 0, restarts=restarts), spec.axes)

    assert reached(1) <= reached(4)
    assert joint_matching(spec, states, 0).objective <= joint_matching(spec, states, 0, restarts=4).objective


def test_every_restart_of_a_joint_matching_is_an_ascent_of_its_own():
    """It begins at random permutations of all networks; the best is found where one ascent misses it."""
    models = [network(seed, (3, 2)) for seed in (0, 1, 2)]
    spec, states = traced(models[0], (6,)), [model.state_dict() for model in models]
    several = joint_matching(spec, states, 0, restarts=8)
    best = pairwise_objective(spec, states, frank_wolfe(spec, states, 0, restarts=4), spec.axes)
    assert several.objective == pytest.approx(best)
    assert several.iterations > joint_matching(spec, states, 0).iterations


def test_sinkhorn_says_what_it_does_not_know():
    models = [network(seed) for seed in range(3)]
    with pytest.raises(ValueError, match="3 networks: Sinkhorn re-basin aligns two"):
        found(LEARNED["sinkhorn l2"], models)
    with pytest.raises(ValueError, match=r"unknown loss 'l1'; .*l2, midpoint, random"):
        found(partial(sinkhorn_rebasin, loss="l1"), models[:2])


@pytest.mark.parametrize("loss", ["l2", "midpoint"])
def test_sinkhorn_lowers_what_it_trains(loss):
    models = [network(seed) for seed in range(2)]
    spec, (target, source) = traced(models[0], (6,)), [model.state_dict() for model in models]
    moved = spec.apply(found(partial(sinkhorn_rebasin, loss=loss, steps=50), models)[1], source)

    def trained(state):
        if loss == "l2":
            return sum((target[key] - state[key]).square().sum() for key in spec.axes)
        middle = network(0)
        middle.load_state_dict({key: (target[key] + state[key]) / 2 for key in target})
        return nn.functional.cross_entropy(middle(IMAGES), LABELS)

    assert trained(moved) < trained(source)


@pytest.mark.parametrize(
    "method", [frank_wolfe, partial(sinkhorn_rebasin, steps=2), partial(straight_through, steps=2)]
)
def test_blocks_are_respected(method):
    models = [ResNeXtBlock(lambda width: nn.GroupNorm(1, width)) for _ in range(2)]
    spec, states = traced(models[0], SHAPE), [model.state_dict() for model in models]
    data = () if method is frank_wolfe else (models, torch.randn(4, *SHAPE), torch.arange(4))
    result = method(spec, states, 0, *data)
    spec.check(result if isinstance(result, Permutation) else result[1])


class Tied(nn.Module):
    """A layer that is used twice under two names, with a batch norm between."""

    def __init__(self):
        super().__init__()
        self.first, self.one, self.other = nn.Linear(6, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.other.weight = self.one.weight
        self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, inputs):
        hidden = torch.relu(self.one(torch.relu(self.first(inputs))))
        return self.head(torch.relu(self.other(self.norm(hidden))))


@pytest.mark.parametrize("method", [sinkhorn_rebasin, straight_through])
def test_tied_weights_and_batch_norms_are_trained_through(method):
    models = [Tied(), Tied()]
    spec, before = traced(models[0], (6,)), models[0].norm.running_mean.clone()
    states = [model.state_dict() for model in models]
    result = method(spec, states, 0, models, IMAGES, LABELS, steps=2)
    spec.check(result if isinstance(result, Permutation) else result[1])
    assert torch.equal(models[0].norm.running_mean, before)
    assert models[0].training


def test_batches_go_over_all_examples_before_one_returns():
    drawn = batches(torch.arange(10.0)[:, None], torch.arange(10), 4, seed=0)
    passes = [torch.cat([next(drawn)[1] for _ in range(3)]) for _ in range(2)]
    assert [each.sort().values.tolist() for each in passes] == [list(range(10))] * 2
    assert not torch.equal(*passes)


@pytest.mark.parametrize("method", [sinkhorn_rebasin, straight_through])
def test_one_example_that_is_left_over_is_no_batch_of_batch_norms(method):
    """Nine examples make two batches of four; a batch of one would have no variance."""
    models = [nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)) for _ in range(2)]
    spec, states = traced(models[0], (6,)), [model.state_dict() for model in models]
    data = IMAGES[:9], LABELS[:9]
    result = method(spec, states, 0, models, *data, steps=3, batch_size=4)
    spec.check(result if isinstance(result, Permutation) else result[1])
    with pytest.raises(ValueError, match="batches require at least 2"):
        method(spec, states, 0, models, *data, steps=3, batch_size=1)


@pytest.mark.parametrize("method", [sinkhorn_rebasin, straight_through, frank_wolfe])
def test_a_caller_that_records_no_gradients_gets_the_same(method):
    """As in a notebook whose cells begin with `torch.no_grad()`."""
    models = [nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)) for _ in range(2)]
    spec, states = traced(models[0], (6,)), [model.state_dict() for model in models]
    data = () if method is frank_wolfe else (models, IMAGES, LABELS)
    expected = method(spec, states, 0, *data)
    with torch.no_grad():
        found = method(spec, states, 0, *data)
    for one, other in zip(*((e if isinstance(e, list) else [e]) for e in (found, expected)), strict=True):
        assert all(torch.equal(one.indices[group], other.indices[group]) for group in spec.sizes)


def test_a_network_without_units_to_move_is_left_as_it_is():
    with pytest.warns(UserWarning, match="no hidden units"):
        spec = PermutationSpec.trace(nn.Linear(6, 3), IMAGES[:2])
    models = [nn.Linear(6, 3), nn.Linear(6, 3)]
    states = [model.state_dict() for model in models]
    for method in (sinkhorn_rebasin, straight_through):
        result = method(spec, states, 0, models, IMAGES, LABELS)
        assert (result if isinstance(result, Permutation) else result[1]).indices == {}
    assert frank_wolfe(spec, states, 0)[1].indices == {}
