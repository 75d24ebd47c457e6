"""Magnitude pruning: masks of parameters, as pure functions."""

from raysweep.pruning.masks import (
    Masks,
    dense_masks,
    one_shot_masks,
    prune,
    random_masks,
    remaining,
    sparsity,
)

__all__ = ["Masks", "dense_masks", "one_shot_masks", "prune", "random_masks", "remaining", "sparsity"]
