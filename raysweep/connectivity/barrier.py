"""Barriers by their definition in Sharma et al. 2024: excess over the interpolated endpoint risks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from raysweep.connectivity.statistics import recompute_statistics
from raysweep.data.resident import Split
from raysweep.models.flat import FlatNetwork
from raysweep.training.evaluation import Risk, evaluate


@dataclass(frozen=True)
class Curve:
    """Risks at interpolation weights: `weights` (points, networks), `loss` and `error` (points,)."""

    weights: np.ndarray
    loss: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class Barrier:
    """Largest excess risk over the grid, the weights at which it lies, and the excess at equal weights."""

    loss_barrier: float
    error_barrier: float
    loss_weights: tuple[float, ...]
    error_weights: tuple[float, ...]
    loss_centre: float
    error_centre: float


def curve(
    network: FlatNetwork,
    states: Sequence[Mapping[str, torch.Tensor]],
    endpoints: Sequence[Risk],
    weights: np.ndarray,
    split: Split,
    recompute: Split | None = None,
) -> Curve:
    """Evaluate sum_i w_i theta_i at every row w of `weights`.

    With `recompute` every mixture is given BatchNorm statistics of its own, from these training images.
    `endpoints` are the risks of the states; they stand at the corners, so a network is evaluated once
    however many curves it ends, and a permutation of its units does not matter there.
    """
    vectors = [network.flatten(state) for state in states]
    risks = [_risk(network, vectors, endpoints, row, split, recompute) for row in weights]
    return Curve(weights, np.array([r.loss for r in risks]), np.array([r.error for r in risks]))


def _risk(
    network: FlatNetwork,
    vectors: list[torch.Tensor],
    endpoints: Sequence[Risk],
    row: np.ndarray,
    split: Split,
    recompute: Split | None,
) -> Risk:
    if row.max() == 1.0:
        return endpoints[int(row.argmax())]
    torch.mul(vectors[0], float(row[0]), out=network.vector)
    for vector, weight in zip(vectors[1:], row[1:], strict=True):
        network.vector.add_(vector, alpha=float(weight))
    if recompute is not None:
        recompute_statistics(network.model, recompute.images)
    return evaluate(network.model, split)


def barrier(curve: Curve, endpoints: Sequence[Risk]) -> Barrier:
    """Return max_w R(w) - sum_i w_i R_i for loss and error, and the same at equal weights."""
    loss = curve.loss - curve.weights @ np.array([risk.loss for risk in endpoints])
    error = curve.error - curve.weights @ np.array([risk.error for risk in endpoints])
    centre = int(np.abs(curve.weights - 1 / curve.weights.shape[1]).sum(axis=1).argmin())
    return Barrier(
        loss_barrier=float(loss.max()),
        error_barrier=float(error.max()),
        loss_weights=tuple(curve.weights[int(loss.argmax())].tolist()),
        error_weights=tuple(curve.weights[int(error.argmax())].tolist()),
        loss_centre=float(loss[centre]),
        error_centre=float(error[centre]),
    )
