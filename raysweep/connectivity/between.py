"""Barriers between state dicts, for use without a sweep."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from raysweep.connectivity.barrier import Barrier, Curve, barrier, curve
from raysweep.connectivity.grids import mean_grid, pair_grid, simplex_grid
from raysweep.connectivity.mixtures import Mending
from raysweep.connectivity.statistics import foreign_statistics
from raysweep.data.given import Images, examples_of, images_of
from raysweep.models.compiled import unwrapped
from raysweep.models.flat import FlatNetwork
from raysweep.models.given import Network, states_of
from raysweep.models.measurable import unmeasurable
from raysweep.training.answering import check_answers

ALPHAS, SUBDIVISIONS = 25, 12  # the defaults of a sweep file


def barrier_of(
    model: nn.Module,
    networks: Sequence[Network],
    images: Images,
    labels: torch.Tensor | None = None,
    weights: np.ndarray | None = None,
    recompute: Images | None = None,
    repair: Images | None = None,
) -> Barrier:
    """Return the barrier between two networks, over the simplex of three, or at the mean of several.

    `model` is the architecture, which is copied and not changed, and `networks` are modules or state dicts of
    it, aligned already (see `PermutationSpec.apply`). `images` has a first axis of examples, `labels` is
    int64 (examples,), or (examples, length) where each token of a sequence has one; or `images` alone yields
    batches (images, labels), as a DataLoader does. `weights` (points, networks) are the mixtures that are
    evaluated, rows that sum to one; unless given, 25 points of the line between two networks, the 91 points
    of 12 subdivisions for three, and equal weights for more.
    With `recompute`, training images, every mixture, and every network alone, has running statistics of its
    own. With `repair`, also training images, the hidden units of every mixture have the interpolated means
    and standard deviations of the networks (both: REPAIR, Jordan et al. 2023). Both leave out images that do
    not fill a last chunk of 1000, unless there are fewer.

    The loss is the mean cross-entropy in nats, the error the share of wrong labels; the barrier is the
    largest excess over the interpolated risks of the networks (Sharma et al. 2024). Raises `ValueError` for
    fewer than two networks, for networks that do not fit the model or differ in integers or masks, for
    weights of another shape or sum, for both `recompute` and `repair`, for labels beside batches that have
    their own, for no examples, for those that the model does not answer, for labels that are none of its
    classes, and for a model whose risk is not defined (see `unmeasurable`) or, with `recompute`, that keeps
    statistics of its own; `SpecError` for a model whose hidden units should be repaired and cannot be found;
    and `TypeError` for what is no network or example.
    """
    return barrier(curve_of(model, networks, images, labels, weights, recompute, repair))


def curve_of(
    model: nn.Module,
    networks: Sequence[Network],
    images: Images,
    labels: torch.Tensor | None = None,
    weights: np.ndarray | None = None,
    recompute: Images | None = None,
    repair: Images | None = None,
) -> Curve:
    """Return the risks of mixtures of networks; see `barrier_of` for the arguments and errors."""
    states, split = states_of(networks, "networks"), examples_of(images, labels)
    if len(states) < 2:
        raise ValueError(f"{len(states)} networks: a barrier requires at least two")
    grid = _grid(len(states)) if weights is None else _checked(weights, len(states))
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a module, not a value of type {type(model).__name__}")
    model = unwrapped(model)
    if recompute is not None and repair is not None:
        raise ValueError("give either recompute or repair")
    check_answers(model, split.images, split.labels)
    _check_measurable(model, split.images, recompute is not None)
    given = {"recompute": recompute, "repair": repair}
    mending = Mending(**{name: _examples(model, name, each) for name, each in given.items()})
    return curve(FlatNetwork(copy.deepcopy(model)), states, grid, split, mending)


def _examples(model: nn.Module, name: str, given: Images | None) -> torch.Tensor | None:
    if given is None:
        return None
    images = images_of(given, name)
    check_answers(model, images, name=name)
    return images


def _checked(weights: np.ndarray, networks: int) -> np.ndarray:
    try:
        grid = np.asarray(weights, dtype=float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"weights: expected numbers (points, {networks}): {error}") from error
    if grid.ndim != 2 or grid.shape[1] != networks or not len(grid):
        raise ValueError(f"weights: expected the shape (points, {networks}), not {grid.shape}")
    if not np.allclose(grid.sum(axis=1), 1):
        raise ValueError("weights: expected rows that sum to one")
    return grid


def _check_measurable(model: nn.Module, images: torch.Tensor, recompute: bool) -> None:
    problem = unmeasurable(model, images[:2])
    foreign = foreign_statistics(model, images[:2]) if recompute else []
    if foreign:
        problem = (
            f"its statistics in {', '.join(foreign)} are not those of torch's norms, and stay as they are"
        )
    if problem:
        raise ValueError(f"{type(model).__name__}: {problem}")


def _grid(networks: int) -> np.ndarray:
    grids = {2: pair_grid(ALPHAS), 3: simplex_grid(SUBDIVISIONS)}
    return grids.get(networks, mean_grid(networks))
