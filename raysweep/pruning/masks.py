"""Masks, which are True where a network keeps a weight.

Iterative magnitude pruning with rewinding follows Frankle et al. 2020, arXiv 1912.05671.
"""

from collections.abc import Callable, Mapping

import torch

from raysweep.choices import choose

Masks = dict[str, torch.Tensor]  # by parameter name; bool, with the parameter's shape
State = Mapping[str, torch.Tensor]


def dense_masks(state: State, names: list[str]) -> Masks:
    """Return masks that keep every weight of the named parameters."""
    return {name: torch.ones(state[name].shape, dtype=torch.bool) for name in names}


def remaining(weights: int, fraction: float, level: int) -> int:
    """Return how many weights remain after `level` levels that each remove floor(fraction * remaining)."""
    for _ in range(level):
        weights -= int(fraction * weights)
    return weights


def sparsity(masks: Masks) -> float:
    """Return the share of the maskable weights that are pruned."""
    kept = sum(int(mask.sum()) for mask in masks.values())
    return 1 - kept / sum(mask.numel() for mask in masks.values())


def prune(state: State, masks: Masks, fraction: float, scope: str) -> Masks:
    """Remove the floor(fraction * kept) weights of smallest magnitude among the `kept` weights.

    `scope` is `global`, for all masked parameters together, or `layer`, for each parameter separately.
    Weights of equal magnitude are removed in the order of the parameters and of the positions in them, so
    that the result is unique. Raises `ValueError` for another scope.
    """
    return _lowest(state, masks, lambda kept: kept - int(fraction * kept), scope)


def one_shot_masks(state: State, masks: Masks, fraction: float, level: int, scope: str) -> Masks:
    """Keep the largest weights of a dense network, as many as remain after `level` levels of `prune`."""
    full = dense_masks(state, list(masks))
    return _lowest(state, full, lambda kept: remaining(kept, fraction, level), scope)


def same_masks(masks: Masks) -> Masks:
    """Return the masks as they are."""
    return masks


def random_masks(masks: Masks, seed: int) -> Masks:
    """Keep as many weights in each parameter as `masks` does, at random positions."""
    generator = torch.Generator().manual_seed(seed)
    result = {}
    for name, mask in masks.items():
        chosen = torch.zeros(mask.numel(), dtype=torch.bool)
        chosen[torch.randperm(mask.numel(), generator=generator)[: int(mask.sum())]] = True
        result[name] = chosen.view(mask.shape)
    return result


def _lowest(state: State, masks: Masks, left: Callable[[int], int], scope: str) -> Masks:
    names = list(masks)
    parts = choose("scope", scope, {"global": [names], "layer": [[name] for name in names]})
    result: Masks = {}
    for part in parts:
        magnitudes = torch.cat([state[name].detach().cpu().abs().reshape(-1) for name in part])
        flat = torch.cat([masks[name].reshape(-1) for name in part])
        candidates = flat.nonzero().squeeze(1)
        order = magnitudes[candidates].sort(stable=True).indices
        flat = flat.clone()
        flat[candidates[order[: len(candidates) - left(len(candidates))]]] = False
        for name, mask in zip(part, torch.split(flat, [masks[n].numel() for n in part]), strict=True):
            result[name] = mask.view(masks[name].shape).clone()
    return result
