"""Permutations that are learned on the loss of mixtures."""

from functools import partial
from itertools import combinations, product

import numpy as np
import pytest
import torch
from torch import nn

from raysweep.alignment import learned, weight_matching
from raysweep.alignment.learned_candidates import Candidates
from raysweep.alignment.learned_mixtures import Mixtures, points
from raysweep.alignment.learned_moves import carried_out, disjoint, promising
from raysweep.alignment.learned_relaxation import Relaxation, Training
from raysweep.alignment.relaxed import apply_relaxed, relaxed
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.models.mlp import MLP
from raysweep.symmetry import Permutation, PermutationSpec
from tests.alignment.interrupted import killed_often
from tests.symmetry.blocked import SHAPE, ResNeXtBlock
from tests.symmetry.checks import as_lists, traced

GENERATOR = torch.Generator().manual_seed(5)
IMAGES = torch.randn(60, 1, 2, 3, generator=GENERATOR)
TOKENS = torch.randint(5, (20, 2), generator=GENERATOR)
ONE = IMAGES[:1].expand(60, -1, -1, -1)  # held out or not, the loss is the same
quick = partial(learned, steps=25, batch_size=8, candidates=64, noise=0)


def networks(count, width=6, norm="none"):
    """MLPs whose weights depend on nothing but their places, and their spec."""
    models = [MLP((1, 2, 3), 3, width, 2, norm) for _ in range(count)]
    for seed, model in enumerate(models):
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    spec = traced(models[0], (1, 2, 3))
    return models, spec, [model.state_dict() for model in models]


def blocked(count=2):
    """Networks whose units lie in blocks."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        models = [ResNeXtBlock(lambda width: nn.GroupNorm(1, width)) for _ in range(count)]
    return models, traced(models[0], SHAPE), [model.state_dict() for model in models]


def value(spec, model, states, permutations, images=ONE):
    mixtures = Mixtures(spec, model, states, points(len(states)))
    return mixtures.value(permutations, mixtures.examples(images))


@pytest.mark.parametrize("count", [2, 3])
def test_permuted_copies_of_one_network_come_to_the_same_order(count):
    (model, *_), spec, (state, *_) = networks(1)
    drawn = [spec.random(torch.Generator().manual_seed(seed)) for seed in range(count - 1)]
    states = [state, *(spec.apply(each, state) for each in drawn)]
    found = quick(spec, states, 0, [model], IMAGES)
    moved = [spec.apply(each, own) for each, own in zip(found, states, strict=True)]
    assert all(torch.equal(own[name], state[name]) for own in moved for name in state)


def test_the_seed_alone_decides():
    models, spec, states = networks(2, width=12)
    results = []
    for global_seed, seed in ((1, 0), (2, 0), (1, 1)):
        with torch.random.fork_rng():
            torch.manual_seed(global_seed)
            results.append(as_lists(quick(spec, states, seed, models, IMAGES, noise=0.5)[1]))
    assert results[0] == results[1]
    assert results[0] != results[2]


@pytest.mark.parametrize("count", [2, 3])
def test_no_swap_of_two_units_is_left_that_lowers_the_loss(count):
    models, spec, states = networks(count)
    found = quick(spec, states, 0, models, ONE)
    reached = value(spec, models[0], states, found)
    for member in range(1, count):
        for group, size in spec.sizes.items():
            for one, other in combinations(range(size), 2):
                order = Permutation.identity(spec.sizes).indices | {group: torch.arange(size)}
                order[group][[one, other]] = torch.tensor([other, one])
                tried = [*found]
                tried[member] = Permutation(order).compose(found[member])
                assert value(spec, models[0], states, tried) > reached - 1e-5


def test_the_first_network_stays_and_the_loss_is_never_above_that_of_the_start():
    """Not even with a rate at which relaxed permutations learn nothing."""
    models, spec, states = networks(2)
    start = [Permutation.identity(spec.sizes), weight_matching(spec, *states, 0).permutation]
    for rate, rounds in ((100.0, 0), (0.3, 0), (0.3, 50)):
        found = quick(spec, states, 0, models, ONE, learning_rate=rate, rounds=rounds)
        assert as_lists(found[0]) == as_lists(start[0])
        assert value(spec, models[0], states, found) <= value(spec, models[0], states, start) + 1e-6


def test_training_lowers_the_loss_of_mixtures_and_swaps_lower_it_further():
    models, spec, states = networks(2, width=12)
    start = [Permutation.identity(spec.sizes), weight_matching(spec, *states, 0).permutation]
    images = IMAGES[:4].repeat(15, 1, 1, 1)
    trained, both = (quick(spec, states, 0, models, images, rounds=rounds) for rounds in (0, 50))
    losses = [value(spec, models[0], states, found, images) for found in (start, trained, both)]
    assert losses[0] > losses[1] > losses[2]


def test_steps_are_those_of_adam():
    """On the CPU with the bits of torch's own."""
    models, spec, states = networks(3)
    mixtures = Mixtures(spec, models[0], states, points(3))
    examples, training = mixtures.examples(IMAGES), Training(30, 8, 0.3, 0.2)
    start = [Permutation.identity(spec.sizes)] * 3
    relaxation = Relaxation(mixtures, start, examples, torch.Generator().manual_seed(0), training, {})
    assert len(list(relaxation.run())) == 2
    logits = [{g: (torch.eye(n) / 0.2).requires_grad_() for g, n in spec.sizes.items()} for _ in range(2)]
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam([each for own in logits for each in own.values()])
    for step in range(30):
        optimiser.param_groups[0]["lr"] = 0.3 * (1 - step / 30)
        batch = examples.chosen(torch.randint(60, (8,), generator=generator))
        drawn = torch.empty(3, dtype=torch.float64).exponential_(generator=generator)
        point = (torch.from_numpy(points(3)[step % 4]) + drawn / drawn.sum()) / 2
        moved = [
            apply_relaxed(spec, relaxed(spec, own, 1.0, 10), state)
            for own, state in zip(logits, states[1:], strict=True)
        ]
        optimiser.zero_grad()
        mixtures.loss_at([states[0], *moved], batch, point.float()).backward()
        optimiser.step()
    for member, own in enumerate(logits, start=1):
        for group, expected in own.items():
            assert torch.equal(relaxation.state()[f"logits/{member}/{group}"], expected)


@pytest.mark.parametrize("count", [2, 3])
def test_what_was_noted_before_a_process_was_killed_is_not_done_again(count):
    """Wherever that was, the permutations are those of a process that was not killed."""
    models, spec, states = networks(count, width=8)
    ways = partial(quick, spec, states, 0, models, IMAGES, steps=60, rounds=4, noise=0.5)
    permutations, noted, kills = killed_often(ways)
    assert [as_lists(each) for each in permutations] == [as_lists(each) for each in ways()]
    assert any(name.startswith("swaps/") for name in noted)
    assert kills >= 4


def test_gains_are_those_of_a_linear_loss():
    """Of all swaps in a network with blocks, each once, the best first; and all respect the blocks."""
    _, spec, _ = blocked()
    generator = torch.Generator().manual_seed(0)
    gradient = {group: torch.randn(size, size, generator=generator) for group, size in spec.sizes.items()}
    swaps = promising(spec, [gradient], 10_000)
    gains = []
    for swap in swaps:
        order = swap.order(spec.sizes)
        spec.check(Permutation(order))
        moved = {g: torch.eye(len(index))[index] - torch.eye(len(index)) for g, index in order.items()}
        gains.append(sum((gradient[g] * each).sum().item() for g, each in moved.items()))
    assert np.allclose(gains, sorted(gains), atol=1e-4)
    inside = {group: own.count for own in spec.blocks for group in own.groups}
    units = {group: size // inside.get(group, 1) for group, size in spec.sizes.items()}
    expected = sum(inside.get(g, 1) * n * (n - 1) // 2 for g, n in units.items())
    expected += sum(own.count * (own.count - 1) // 2 for own in spec.blocks)
    assert len(set(swaps)) == len(swaps) == expected
    assert promising(spec, [gradient], 3) == swaps[:3]


@pytest.mark.parametrize("made", [networks, blocked])
def test_the_loss_after_a_swap_is_that_of_the_swapped_network(made):
    """One by one, and several in a pass."""
    models, spec, states = made(3)
    shape = SHAPE if made is blocked else IMAGES.shape[1:]
    mixtures = Mixtures(spec, models[0], states, points(3))
    examples = mixtures.examples(torch.randn(5, *shape, generator=torch.Generator().manual_seed(1)))
    identity = [Permutation.identity(spec.sizes)] * 3
    zeros = {group: torch.zeros(size, size) for group, size in spec.sizes.items()}
    swaps = [swap for swap in promising(spec, [zeros, zeros], 10_000) if swap.member == 2][::5]
    orders = [swap.order(spec.sizes) for swap in swaps]
    stacked = {group: torch.stack([order[group] for order in orders]) for group in spec.sizes}
    found = Candidates(mixtures, 2, len(orders)).losses(states, stacked, examples)
    expected = [mixtures.value(carried_out(spec, identity, [swap]), examples) for swap in swaps]
    assert np.allclose(found, expected, rtol=1e-5)


def test_swaps_that_are_carried_out_together_move_different_units():
    _, spec, _ = networks(1)
    gradient = {group: torch.randn(size, size, generator=GENERATOR) for group, size in spec.sizes.items()}
    swaps = promising(spec, [gradient, gradient], 10_000)
    chosen = disjoint(swaps)
    touched = [unit for swap in chosen for unit in swap.touched()]
    assert chosen[0] == swaps[0]
    assert len(set(touched)) == len(touched) == 2 * sum(spec.sizes.values())


def test_blocks_are_respected():
    models, spec, states = blocked()
    images = torch.randn(20, *SHAPE, generator=torch.Generator().manual_seed(0))
    first, second = quick(spec, states, 0, models, images, steps=2, rounds=2)
    spec.check(first)
    spec.check(second)


def test_batch_norms_use_the_statistics_of_the_batch():
    """The running statistics of networks, which do not fit a mixture of them, do not matter."""
    models, spec, states = networks(2, norm="batch")
    others = [
        {name: tensor + 1 if "running" in name else tensor for name, tensor in state.items()}
        for state in states
    ]
    identity = [Permutation.identity(spec.sizes)] * 2
    assert value(spec, models[0], states, identity, IMAGES) == pytest.approx(
        value(spec, models[0], others, identity, IMAGES)
    )
    quick(spec, states, 0, models, IMAGES, rounds=1)


def test_several_networks_count_at_their_barycentre_and_on_all_edges():
    assert points(2).tolist() == [[0.5, 0.5]]
    assert points(3).tolist() == [[1 / 3] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]


def test_a_network_without_units_to_move_is_left_as_it_is():
    models = [nn.Sequential(nn.Flatten(), nn.Linear(6, 3)) for _ in range(2)]
    with pytest.warns(UserWarning, match="no hidden units"):
        spec = PermutationSpec.trace(models[0], IMAGES[:2])
    states = [model.state_dict() for model in models]
    assert [each.indices for each in learned(spec, states, 0, models, IMAGES)] == [{}, {}]


def test_too_few_networks_or_images_are_refused():
    models, spec, states = networks(2)
    with pytest.raises(ValueError, match="1 networks, 60 images"):
        learned(spec, states[:1], 0, models, IMAGES)
    with pytest.raises(ValueError, match="2 networks, 1 images"):
        learned(spec, states, 0, models, IMAGES[:1])


def gpts():
    """Networks of two tokens, as many as there are networks, and their spec."""
    models = [initialised(ModelConfig("gpt", 4, 1, "layer", (2,), 5), "pytorch", seed) for seed in range(2)]
    return models, PermutationSpec.trace(models[0], TOKENS[:2])


@torch.no_grad()
def test_each_token_has_an_answer_that_counts_like_an_example():
    models, spec = gpts()
    mixtures = Mixtures(spec, models[0], [model.state_dict() for model in models], np.array([[0.25, 0.75]]))
    found = mixtures.value([Permutation.identity(spec.sizes)] * 2, mixtures.examples(TOKENS))
    together = (0.25 * models[0](TOKENS) + 0.75 * models[1](TOKENS)).softmax(dim=2)
    mixed = {name: 0.25 * tensor for name, tensor in models[0].state_dict().items()}
    mixed = {name: tensor + 0.75 * models[1].state_dict()[name] for name, tensor in mixed.items()}
    logs = torch.func.functional_call(models[0], mixed, (TOKENS,)).log_softmax(dim=2)
    assert found == pytest.approx(-(together * logs).sum(dim=2).mean().item(), rel=1e-5)


@pytest.mark.parametrize("kind", [torch.float32, torch.int64])
def test_tokens_get_no_noise(kind):
    models, spec = gpts()
    states = [model.state_dict() for model in models]
    steps = {"steps": 2, "batch_size": 4, "candidates": 8, "rounds": 1}
    found = [learned(spec, states, 0, models, TOKENS.to(kind), noise=noise, **steps) for noise in (0.0, 9.0)]
    assert as_lists(found[0][1]) == as_lists(found[1][1])


def test_an_integer_before_the_weights_changes_nothing():
    found = []
    for integers in ({}, {"steps": torch.tensor(0)}):
        models, spec, _ = networks(2)
        for model, (name, value) in product(models, integers.items()):
            model.register_buffer(name, value)
        states = [model.state_dict() for model in models]
        permutations = quick(spec, states, 0, models, IMAGES, rounds=1, steps=2)
        found.append(as_lists(permutations[1]))
    assert found[0] == found[1]
