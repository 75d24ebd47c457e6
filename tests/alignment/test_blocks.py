"""Units in blocks: grouped convolutions and GroupNorm are matched as all their symmetries allow."""

import copy
from functools import cache, partial
from itertools import combinations, permutations, product

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import nn

from raysweep.alignment import (
    activation_matching,
    embed,
    hybrid,
    joint_activation_matching,
    joint_matching,
    match_similarities,
    pad,
    prove_padding,
    weight_matching,
)
from raysweep.alignment.assignments import assignment_of_blocks
from raysweep.alignment.couplings import Coupled
from raysweep.alignment.weight_matching import objective
from raysweep.connectivity import barrier_of
from raysweep.errors import SpecError
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.axes import Blocks
from raysweep.symmetry.blocks import block_index
from tests.alignment.test_weight_matching import pruned
from tests.symmetry.blocked import CASES, SHAPE
from tests.symmetry.checks import as_lists, traced


def network(case, seed=0):
    """A network of random weights; norm scales and biases differ from unit to unit."""
    model = copy.deepcopy(CASES[case][0]).float().eval()
    generator = torch.Generator().manual_seed(seed)
    for tensor in model.state_dict().values():
        if tensor.dim() == 1:
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
        elif tensor.dim():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) / tensor[0].numel() ** 0.5)
    return model


@cache
def spec_of(case):
    return traced(CASES[case][0].float(), SHAPE)


def pair(case, seed):
    """A spec, a network and a permuted copy of it."""
    model, spec = network(case, seed), spec_of(case)
    moved = spec.apply(spec.random(torch.Generator().manual_seed(seed + 100)), model.state_dict())
    return spec, model.state_dict(), moved


def assert_equal(one, other):
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("order", ["random", "forward", "backward"])
@pytest.mark.parametrize("case", CASES)
def test_weight_matching_recovers_a_permuted_copy_bitwise(case, order):
    for seed in range(2):
        spec, state, moved = pair(case, seed)
        found = weight_matching(spec, state, moved, seed, order=order)
        assert_equal(spec.apply(found.permutation, moved), state)


@pytest.mark.parametrize("share", [0.9, 0.98])
@pytest.mark.parametrize("case", ["block of resnext", "resnext with group norm", "many blocks"])
def test_pruned_copies_without_biases_are_recovered(case, share):
    """Whole units lose their incoming weights; what comes after them tells them apart."""
    spec, state, _ = pair(case, 0)
    weights = {n: t if t.dim() > 1 else 0 * t + (n.endswith(("weight", "var"))) for n, t in state.items()}
    sparse = pruned(weights, spec, share)
    moved = spec.apply(spec.random(torch.Generator().manual_seed(1)), sparse)
    assert_equal(spec.apply(weight_matching(spec, sparse, moved, 0).permutation, moved), sparse)


@pytest.mark.parametrize("case", CASES)
def test_cosine_kernel_recovers_a_permuted_copy(case):
    spec, state, moved = pair(case, 0)
    found = weight_matching(spec, state, moved, 0, kernel="cosine", restarts=3)
    assert_equal(spec.apply(found.permutation, moved), state)


@pytest.mark.parametrize("case", CASES)
def test_joint_matching_recovers_permuted_copies(case):
    spec, state, moved = pair(case, 0)
    states = [state, moved, spec.apply(spec.random(torch.Generator().manual_seed(7)), state)]
    found = joint_matching(spec, states, 0)
    first, *others = [spec.apply(p, each) for p, each in zip(found.permutations, states, strict=True)]
    for other in others:
        assert_equal(other, first)


PARTS = ["norms that cross", "blocks in blocks", "scaled in its blocks"]  # of axes, which no value shows


@pytest.mark.parametrize("case", [case for case in CASES if case not in PARTS])
def test_activations_recover_a_permuted_copy(case):
    models, images = [network(case) for _ in range(3)], torch.randn(60, *SHAPE)
    spec = spec_of(case)
    state = models[0].state_dict()
    for seed, model in enumerate(models[1:]):
        model.load_state_dict(spec.apply(spec.random(torch.Generator().manual_seed(seed)), state))
    found = activation_matching(*models[:2], images, "all", "correlation", pixels=9)
    assert_equal(spec.apply(found.permutation, models[1].state_dict()), state)
    joint = joint_activation_matching(models, images, "all", "correlation", pixels=9)
    first, *others = [spec.apply(p, m.state_dict()) for p, m in zip(joint.permutations, models, strict=True)]
    for other in others:
        assert_equal(other, first)


def every(spec):
    """All permutations of a small spec."""
    blocks = {group: each for each in spec.blocks for group in each.groups}
    layers = [[group] for group in spec.sizes if group not in blocks] + [each.groups for each in spec.blocks]
    choices = []
    for groups in layers:
        count = blocks[groups[0]].count if groups[0] in blocks else 1
        inside = [product(permutations(range(spec.sizes[g] // count)), repeat=count) for g in groups]
        choices.append(
            [
                {g: block_index(torch.tensor(o), torch.tensor(i)) for g, i in zip(groups, each, strict=True)}
                for o, *each in product(permutations(range(count)), *inside)
            ]
        )
    for parts in product(*choices):
        yield Permutation({group: index for part in parts for group, index in part.items()})


@given(st.integers(0, 2**31), st.sampled_from([(2, 3, 2), (3, 2, 1), (4, 1, 2), (2, 3, 0)]))
@examples(max_examples=20, deadline=None)
def test_similarities_of_units_in_blocks_are_matched_exactly(seed, form):
    """Against all permutations that keep to the blocks, of two groups and of one alone."""
    count, *units = form
    sizes = {name: count * n for name, n in zip("pq", units, strict=True) if n}
    blocks = Blocks(count, tuple(sizes))
    generator = torch.Generator().manual_seed(seed)
    matrices = {g: torch.randn(n, n, generator=generator, dtype=torch.float64) for g, n in sizes.items()}
    found = match_similarities(matrices, [blocks])
    spec = PermutationSpec({}, sizes, frozenset(), (blocks,))
    spec.check(found.permutation)
    best = max(
        sum(matrices[g].gather(1, index[:, None]).sum().item() for g, index in each.indices.items())
        for each in every(spec)
    )
    assert found.objective == pytest.approx(best, rel=1e-12)


def planted(seed, count=10, units=4):
    """Reordered blocks of two groups: similarities that are half noise, exact couplings, and the order."""
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    orders = [draw(count).argsort(), *(draw(count, units).argsort(dim=1) for _ in "pq")]
    hidden = {g: block_index(orders[0], inside) for g, inside in zip("pq", orders[1:], strict=True)}
    left = draw(count, units, units, 8)
    right = torch.empty_like(left)
    right[orders[0][:, None, None], orders[1][:, :, None], orders[2][:, None]] = left
    similar = {}
    for group, index in hidden.items():
        weights = draw(count * units, 3)
        noisy = torch.empty_like(weights)
        noisy[index] = weights + draw(weights.shape)
        similar[group] = weights @ noisy.T
    transposed = (side.transpose(1, 2) for side in (left, right))
    coupled = [Coupled("p", "q", left, right), Coupled("q", "p", *transposed)]
    return similar, coupled, hidden


def test_many_blocks_are_recovered_though_few_are_matched_in_all_rounds():
    """Of ten blocks the first round alone, which knows half of the similarities, recovers none."""
    for seed in range(8):
        similar, coupled, hidden = planted(seed)
        found = assignment_of_blocks(similar, 10, coupled)
        assert all(torch.equal(found[group], index) for group, index in hidden.items())


@pytest.mark.parametrize("case", ["units", "one unit out", "norm"])
def test_restarts_find_the_largest_inner_product_of_all(case):
    for seed in range(3):
        one, other = (network(case, each).state_dict() for each in (seed, seed + 50))
        spec = spec_of(case)
        names = list(spec.axes)
        best = max(objective(one, spec.apply(p, other), names) for p in every(spec))
        found = weight_matching(spec, one, other, 0, restarts=8)
        assert found.objective == objective(one, spec.apply(found.permutation, other), names)
        assert found.objective == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_restarts_of_some_groups_leave_the_others_where_they_are(case):
    one, other = (network(case, seed).state_dict() for seed in (3, 4))
    spec = spec_of(case)
    at = spec.random(torch.Generator().manual_seed(0))
    for group in spec.sizes:
        found = weight_matching(spec, one, other, 0, start=at, groups=[group], restarts=3)
        spec.check(found.permutation)
        still = spec.sizes.keys() - {group}
        assert all(torch.equal(found.permutation.indices[g], at.indices[g]) for g in still)


@pytest.mark.parametrize("case", CASES)
def test_no_step_lowers_the_inner_product_and_no_swap_in_the_end_raises_it(case):
    """Neither of two units in a block nor of two blocks in all their groups."""
    one, other = (network(case, seed).state_dict() for seed in (3, 4))
    spec = spec_of(case)
    names, generator = [n for n in spec.axes if n not in spec.buffers], torch.Generator().manual_seed(0)
    at = spec.random(generator)
    for group in spec.sizes:
        found = weight_matching(spec, one, other, 0, start=at, groups=[group])
        before, after = (objective(one, spec.apply(p, other), names) for p in (at, found.permutation))
        assert after >= before
        assert found.objective == after
        at = found.permutation
    found = weight_matching(spec, one, other, 0, start=at)
    assert found.objective >= after
    aligned, scale = spec.apply(found.permutation, other), objective(one, one, names)
    for swap in swaps(spec):
        assert objective(one, spec.apply(swap, aligned), names) <= found.objective + 1e-6 * scale


def swaps(spec):
    identity = Permutation.identity(spec.sizes).indices
    counts = {group: each.count for each in spec.blocks for group in each.groups}
    for group, size in spec.sizes.items():
        units = size // counts.get(group, 1)
        for start in range(0, size, units):
            for i, j in combinations(range(start, start + units), 2):
                yield Permutation({**identity, group: exchanged(identity[group], i, j)})
    for each in spec.blocks:
        for i, j in combinations(range(each.count), 2):
            order = exchanged(torch.arange(each.count), i, j)
            units = {g: torch.arange(spec.sizes[g] // each.count).expand(each.count, -1) for g in each.groups}
            yield Permutation({**identity, **{g: block_index(order, inside) for g, inside in units.items()}})


def exchanged(index, i, j):
    result = index.clone()
    result[[i, j]] = index[[j, i]]
    return result


def test_several_checkpoints_are_matched_by_the_sum_of_their_similarities():
    spec = spec_of("block of resnext")
    ones, others = ([network("block of resnext", s + k).state_dict() for k in (0, 9)] for s in (0, 1))
    found = weight_matching(spec, ones, others, 0)
    names = [n for n in spec.axes if n not in spec.buffers]
    moved = [spec.apply(found.permutation, other) for other in others]
    assert found.objective == sum(objective(a, b, names) for a, b in zip(ones, moved, strict=True))
    once, twice = (weight_matching(spec, ones[:1] * n, others[:1] * n, 0).permutation for n in (1, 2))
    assert as_lists(once) == as_lists(twice)


def test_units_without_weights_in_both_networks_have_cosine_zero():
    """As pruned units of grouped convolutions may have: 0 / 0 was no similarity, and the alignment failed."""
    spec, state = spec_of("units"), network("units").state_dict()
    state["0.weight"][0] = state["0.bias"][0] = state["2.weight"][:2, 0] = 0
    found = weight_matching(spec, state, state, 0, kernel="cosine")
    assert found.objective == pytest.approx(sum(spec.sizes.values()) - 1)


def test_the_cosine_objective_counts_all_weights_of_a_unit():
    """Those of the grouped convolution too, whose unit i of block b has the weights that read it."""
    spec = spec_of("units")
    one, other = (network("units", seed).state_dict() for seed in (0, 1))
    found = weight_matching(spec, one, other, 0, kernel="cosine")
    moved, total = spec.apply(found.permutation, other), 0.0
    for group in spec.sizes:
        vectors = [unit_weights(state, group) for state in (one, moved)]
        total += torch.cosine_similarity(*vectors, dim=1).sum().item()
    assert found.objective == pytest.approx(total, rel=1e-6)


def unit_weights(state, group):
    """By hand for the case "units": 6 channels, and 4 in two blocks."""
    weight = state["2.weight"].double()[..., 0, 0]  # (4, 3)
    if group == "0":
        read = torch.cat([weight[:2].T, weight[2:].T])
        return torch.cat([state["0.weight"].double().flatten(1), state["0.bias"].double()[:, None], read], 1)
    after = state["5.weight"].double().view(5, 4, 16).transpose(0, 1).flatten(1)
    return torch.cat([weight, state["2.bias"].double()[:, None], after], 1)


@pytest.mark.parametrize("case", ["units", "block of resnext", "norm", "norm after", "one unit in"])
def test_two_networks_of_one_function_have_no_barrier(case):
    images = torch.randn(200, *SHAPE, generator=torch.Generator().manual_seed(0))
    model = network(case)
    spec, state, moved = pair(case, 0)
    labels = model(images).argmax(dim=1)
    aligned = spec.apply(weight_matching(spec, state, moved, 0).permutation, moved)
    assert barrier_of(model, [state, moved], images, labels).loss_barrier > 0.02
    found = barrier_of(model, [state, aligned], images, labels)
    assert found.loss_barrier == pytest.approx(0, abs=1e-6)
    assert found.error_barrier == 0


def grouped(width, count=3, norm=False):
    layers = [nn.Conv2d(2, width, 3), nn.ReLU(), nn.Conv2d(width, 2 * width, 3, padding=1, groups=count)]
    layers += [nn.GroupNorm(count, 2 * width)] if norm else []
    model = nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(32 * width, 4)).eval()
    generator = torch.Generator().manual_seed(width)
    for tensor in model.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return traced(model, SHAPE), model


def test_a_narrow_grouped_network_in_a_wide_one_comes_first_in_each_block():
    (narrow_spec, narrow), (wide_spec, wide) = grouped(6), grouped(9)
    prove_padding(
        (narrow_spec, wide_spec), (copy.deepcopy(narrow), copy.deepcopy(wide)), torch.zeros(2, *SHAPE)
    )
    padded = pad(narrow_spec, wide_spec, narrow.state_dict(), wide.state_dict())
    images = torch.randn(3, *SHAPE)
    torch.testing.assert_close(torch.func.functional_call(wide, padded, (images,)), narrow(images))
    hidden = wide_spec.apply(wide_spec.random(torch.Generator().manual_seed(0)), padded)
    found = embed(narrow_spec, wide_spec, narrow.state_dict(), hidden, seed=0)
    assert_equal(wide_spec.apply(found.permutation(wide_spec), hidden), padded)
    assert_equal(found.select(wide_spec, hidden), narrow.state_dict())
    drawn = embed(narrow_spec, wide_spec, narrow.state_dict(), wide.state_dict(), seed=0, restarts=3)
    wide_spec.check(drawn.permutation(wide_spec))


def test_widths_with_other_blocks_or_norms_over_them_are_refused():
    (narrow_spec, narrow), (wide_spec, wide) = grouped(6), grouped(12, 6)
    with pytest.raises(ValueError, match="number of blocks"):
        embed(narrow_spec, wide_spec, narrow.state_dict(), wide.state_dict(), seed=0)
    with pytest.raises(SpecError, match="different numbers of blocks"):
        prove_padding((narrow_spec, wide_spec), (narrow, wide), torch.zeros(2, *SHAPE))
    (narrow_spec, narrow), (wide_spec, wide) = grouped(6, norm=True), grouped(9, norm=True)
    with pytest.raises(
        SpecError, match="units that have no effect elsewhere change the function of this network"
    ):
        prove_padding((narrow_spec, wide_spec), (narrow, wide), torch.zeros(2, *SHAPE))


def test_hybrids_keep_groups_together_whose_blocks_move_alike():
    spec, state, _ = pair("block of resnext", 0)
    early, late = (spec.random(torch.Generator().manual_seed(seed)) for seed in (0, 2))
    spec.apply(hybrid(early, late, ["first", "second"]), state)
    with pytest.raises(
        ValueError,
        match="group second: its 3 blocks are not reordered in the same way as those of group first",
    ):
        spec.apply(hybrid(early, late, ["second"]), state)
