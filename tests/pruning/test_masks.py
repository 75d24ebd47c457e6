import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.pruning import dense_masks, one_shot_masks, prune, random_masks, remaining, sparsity

SHAPES = {"a.weight": (3, 4), "b.weight": (5, 3)}


def network(seed, ties=False):
    generator = torch.Generator().manual_seed(seed)
    draw = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    return {name: weight.round() if ties else weight for name, weight in draw.items()}


def brute_force(state, masks, fraction, names):
    """Remove one after the other the kept weight of smallest magnitude, the first of equals."""
    kept = {(n, i) for n in names for i, keep in enumerate(masks[n].reshape(-1).tolist()) if keep}
    for _ in range(int(fraction * len(kept))):
        kept.remove(
            min(kept, key=lambda k: (abs(state[k[0]].reshape(-1)[k[1]].item()), names.index(k[0]), k[1]))
        )
    return kept


@given(st.integers(0, 10_000), st.floats(0.05, 0.9), st.booleans(), st.sampled_from(["global", "layer"]))
@settings(deadline=None, max_examples=40)
def test_levels_agree_with_brute_force(seed, fraction, ties, scope):
    masks = dense_masks(network(0), list(SHAPES))
    for level in range(3):
        state = network(seed + level, ties)
        expected = set()
        for names in [list(SHAPES)] if scope == "global" else [[n] for n in SHAPES]:
            expected |= brute_force(state, masks, fraction, names)
        masks = prune(state, masks, fraction, scope)
        kept = {(n, i) for n in SHAPES for i, keep in enumerate(masks[n].reshape(-1).tolist()) if keep}
        assert kept == expected
    if scope == "global":
        assert len(kept) == remaining(27, fraction, 3)
        assert sparsity(masks) == pytest.approx(1 - len(kept) / 27)


def test_random_and_one_shot_masks_have_the_same_sparsity():
    masks = dense_masks(network(0), list(SHAPES))
    for level in range(4):
        masks = prune(network(level), masks, 0.3, "global")
    chosen = random_masks(masks, seed=1)
    assert {n: m.sum().item() for n, m in chosen.items()} == {n: m.sum().item() for n, m in masks.items()}
    assert any(not torch.equal(chosen[n], masks[n]) for n in SHAPES)
    assert all(torch.equal(chosen[n], random_masks(masks, seed=1)[n]) for n in SHAPES)
    shot = one_shot_masks(network(9), masks, 0.3, 4, "global")
    assert sparsity(shot) == sparsity(masks)
    state = network(9)
    smallest_kept = min(state[n].abs()[shot[n]].min().item() for n in SHAPES)
    assert all((state[n].abs()[~shot[n]] <= smallest_kept).all() for n in SHAPES)
