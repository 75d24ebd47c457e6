"""Relaxed permutations: at a permutation they do what it does, and they tend to one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, vmap

from raysweep.alignment.assignments import assignment
from raysweep.alignment.relaxed import apply_relaxed, harden, matrices_of, mixed, relaxed, sinkhorn
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from tests.symmetry.blocked import CASES, SHAPE, Halves, ResNeXtBlock
from tests.symmetry.checks import as_lists, traced

NETWORKS = {
    "mlp": (nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), (5,)),
    "flattened": (build(ModelConfig("lenet", 4, None, "none", (1, 8, 8), 10)), (1, 8, 8)),
    "resnext": (ResNeXtBlock(lambda width: nn.GroupNorm(1, width)), SHAPE),
    "batch norm": (ResNeXtBlock(nn.BatchNorm2d), SHAPE),
    "halves": (Halves(), SHAPE),
    **{name: (case[0], SHAPE) for name, case in CASES.items()},
}


def drawn(name, seed=0):
    """The spec of a network, a state of random float64 numbers, and the generator that they came from."""
    model, shape = NETWORKS[name]
    spec, generator = traced(model, shape), torch.Generator().manual_seed(seed)
    state = {
        key: torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        for key, tensor in model.state_dict().items()
    }
    return spec, state, generator


def logits_of(spec, generator):
    return {
        g: torch.randn(n, n, generator=generator, dtype=torch.float64).requires_grad_()
        for g, n in spec.sizes.items()
    }


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(0, 99), st.floats(0.2, 2))
def test_sinkhorn_is_doubly_stochastic_and_follows_reordered_logits(units, seed, tau):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.rand(3, units, units, generator=generator, dtype=torch.float64)
    found = sinkhorn(logits, tau, 200)
    assert (found > 0).all()
    torch.testing.assert_close(found.sum(-2), torch.ones(3, units, dtype=torch.float64))
    torch.testing.assert_close(found.sum(-1), torch.ones(3, units, dtype=torch.float64), rtol=0, atol=1e-3)
    rows = torch.randperm(units, generator=generator)
    torch.testing.assert_close(sinkhorn(logits[:, rows], tau, 200), found[:, rows])


def test_a_cold_sinkhorn_is_the_best_assignment():
    logits = torch.randn(7, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.equal(assignment(sinkhorn(logits, 0.05, 500)), assignment(logits))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_matrices_of_a_permutation_do_exactly_what_it_does_and_give_it_back(name):
    spec, state, generator = drawn(name)
    permutation = spec.random(generator)
    matrices = matrices_of(permutation, torch.zeros((), dtype=torch.float64))
    found, expected = apply_relaxed(spec, matrices, state), spec.apply(permutation, state)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())
    assert as_lists(harden(spec, matrices)) == as_lists(permutation)


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_that_favour_a_permutation_tend_to_it_and_respect_its_blocks(name):
    spec, _, generator = drawn(name)
    expected = matrices_of(spec.random(generator), torch.zeros((), dtype=torch.float64))
    noise = logits_of(spec, generator)
    found = relaxed(spec, {g: noise[g] + 10 * each for g, each in expected.items()}, 0.5, 50)
    for group, matrix in expected.items():
        torch.testing.assert_close(found[group], matrix, rtol=0, atol=0.02)


@pytest.mark.parametrize("name", ["mlp", "flattened", "resnext", "halves"])
def test_gradients_of_warm_logits_reach_every_group(name):
    spec, state, generator = drawn(name)
    logits = logits_of(spec, generator)
    matrices = relaxed(spec, logits, 1.0, 50)
    for matrix in matrices.values():
        torch.testing.assert_close(matrix.sum(0), torch.ones_like(matrix[0]))
    moved = apply_relaxed(spec, matrices, state)
    sum(moved[key].square().sum() for key in spec.axes).backward()
    assert all(each.grad.abs().max() > 0 for each in logits.values())


def test_equal_units_may_be_mixed_in_any_way():
    """Where all units of a group are the same, a relaxed permutation leaves the network as it is."""
    spec, state, generator = drawn("resnext")
    for key, axes in spec.axes.items():
        state[key] = (
            state[key]
            .mean(dim=[d for d, axis in enumerate(axes) if axis], keepdim=True)
            .expand_as(state[key])
        )
    moved = apply_relaxed(spec, relaxed(spec, logits_of(spec, generator), 1.0, 300), state)
    for key in state:
        torch.testing.assert_close(moved[key], state[key], rtol=1e-3, atol=1e-3)


def test_several_networks_run_at_once():
    spec, state, generator = drawn("resnext")
    both = [{g: each.detach() for g, each in logits_of(spec, generator).items()} for _ in range(2)]
    stacked = {group: torch.stack([each[group] for each in both]) for group in spec.sizes}
    found = vmap(lambda logits: apply_relaxed(spec, relaxed(spec, logits, 0.5, 20), state))(stacked)
    for number, logits in enumerate(both):
        expected = apply_relaxed(spec, relaxed(spec, logits, 0.5, 20), state)
        for key in spec.axes:
            torch.testing.assert_close(found[key][number], expected[key])


def test_a_mixture_is_a_network_and_counts_are_those_of_the_first():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval()
    one = {key: tensor + 1 for key, tensor in model.state_dict().items()}
    half = mixed([model.state_dict(), one], torch.tensor([0.25, 0.75]))
    torch.testing.assert_close(half["0.weight"], model[0].weight + 0.75)
    assert half["1.num_batches_tracked"] == model[1].num_batches_tracked
    assert functional_call(model, half, torch.zeros(4, 3)).shape == (4, 2)
