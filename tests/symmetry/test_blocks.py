"""Units inside blocks, and whole blocks: the symmetries of grouped convolutions and of GroupNorm."""

from dataclasses import replace
from itertools import permutations, product
from math import factorial

import pytest
import torch
from torch import nn

from raysweep.errors import SpecError
from raysweep.symmetry import Permutation, prove
from raysweep.symmetry.axes import Blocks
from tests.symmetry.blocked import CASES, SHAPE
from tests.symmetry.checks import assert_unchanged, traced


@pytest.mark.parametrize("case", CASES)
def test_groups_and_blocks_are_found_and_proved(case):
    model, sizes, blocks = CASES[case]
    spec = traced(model, SHAPE)
    assert spec.sizes == sizes
    assert list(spec.blocks) == blocks
    prove(spec, model, torch.zeros(2, *SHAPE))
    assert_unchanged(spec, model, SHAPE)


def all_permutations(sizes):
    every = [[torch.tensor(p) for p in permutations(range(size))] for size in sizes.values()]
    return (Permutation(dict(zip(sizes, each, strict=True))) for each in product(*every))


def keeps_blocks(spec, permutation):
    try:
        spec.check(permutation)
    except ValueError:
        return False
    return True


def random_state(model):
    generator = torch.Generator().manual_seed(0)
    model.double().eval()
    return {n: torch.randn(t.shape, generator=generator).double() for n, t in model.state_dict().items()}


@pytest.mark.parametrize(("channels", "count"), [(4, 2), (6, 2), (6, 3)])
@torch.no_grad()
def test_group_norm_has_no_other_symmetries(channels, count):
    """Of all orders of the channels those that leave the function as it is are the spec's, and no more."""
    model = nn.Sequential(
        nn.Linear(3, channels), nn.GroupNorm(count, channels), nn.Tanh(), nn.Linear(channels, 2)
    )
    spec, state = traced(model, (3,)), random_state(model)
    free = replace(spec, blocks=())
    inputs = torch.randn(4, 3, dtype=torch.float64)
    expected, found = torch.func.functional_call(model, state, inputs), 0
    for permutation in all_permutations(spec.sizes):
        outputs = torch.func.functional_call(model, free.apply(permutation, state), inputs)
        unchanged = torch.allclose(outputs, expected, rtol=1e-9, atol=1e-9)
        assert unchanged == keeps_blocks(spec, permutation)
        found += unchanged
    units = channels // count
    assert found == factorial(count) * factorial(units) ** count


@pytest.mark.parametrize(
    ("incoming", "outgoing", "count"), [(4, 4, 2), (4, 2, 2), (3, 6, 3), (4, 4, 4), (6, 3, 3)]
)
@torch.no_grad()
def test_grouped_convolutions_have_no_other_symmetries(incoming, outgoing, count):
    """Under no other orders is the plain convolution of the same function one in groups again."""
    model = nn.Sequential(
        nn.Conv1d(3, incoming, 1),
        nn.Tanh(),
        nn.Conv1d(incoming, outgoing, 1, groups=count),
        nn.Tanh(),
        nn.Conv1d(outgoing, 2, 1),
    )
    spec, state = traced(model, (3, 1)), random_state(model)
    inputs = torch.randn(4, 3, 1, dtype=torch.float64)
    expected, found = torch.func.functional_call(model, state, inputs), 0
    blocks = torch.block_diag(*torch.ones(count, outgoing // count, incoming // count)) > 0
    for rows, columns in product(*(map(torch.tensor, permutations(range(n))) for n in (outgoing, incoming))):
        if torch.equal(blocks[rows][:, columns], blocks):
            assert len(spec.sizes) == 2 or torch.equal(rows, columns)
            permutation = Permutation({"0": columns, "2": rows} if len(spec.sizes) == 2 else {"0": rows})
            outputs = torch.func.functional_call(model, spec.apply(permutation, state), inputs)
            torch.testing.assert_close(outputs, expected)
            found += 1
        elif len(spec.sizes) == 2:
            assert not keeps_blocks(spec, Permutation({"0": columns, "2": rows}))
    assert found == order_of_group(spec)


def order_of_group(spec):
    """How many permutations a spec has."""
    inside = {group: each for each in spec.blocks for group in each.groups}
    order = 1
    for group, size in spec.sizes.items():
        count = inside[group].count if group in inside else 1
        order *= factorial(size // count) ** count
    for each in spec.blocks:
        order *= factorial(each.count)
    return order


WRONG = {
    "free": ("norm", lambda spec: replace(spec, blocks=())),
    "other blocks": ("norm", lambda spec: replace(spec, blocks=(Blocks(2, ("0",)),))),
    "blocks apart": ("units", lambda spec: replace(spec, blocks=(Blocks(2, ("0",)), Blocks(2, ("2",))))),
    "units in order": (
        "units",
        lambda spec: replace(
            spec, axes={**spec.axes, "2.weight": (spec.axes["2.weight"][0], None, None, None)}
        ),
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_blocks_fail_their_proof(wrong):
    case, change = WRONG[wrong]
    model = CASES[case][0]
    with pytest.raises(SpecError, match=r"reordering its units changes|units changes the network's outputs"):
        prove(change(traced(model, SHAPE)), model, torch.zeros(2, *SHAPE))


def test_what_tears_blocks_apart_is_never_applied():
    spec = traced(CASES["units"][0], SHAPE)
    identity = Permutation.identity(spec.sizes)
    torn = Permutation({**identity.indices, "0": torch.tensor([3, 1, 2, 0, 4, 5])})
    with pytest.raises(ValueError, match="group 0: its units lie in 2 blocks, which are broken up"):
        spec.apply(torn, {})
    unlike = Permutation({**identity.indices, "2": torch.tensor([2, 3, 0, 1])})
    with pytest.raises(
        ValueError, match="group 2: its 2 blocks are not reordered in the same way as those of group 0"
    ):
        spec.apply(unlike, {})
