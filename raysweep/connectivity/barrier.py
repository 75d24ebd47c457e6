"""Barriers by their definition in Sharma et al. 2024 (arXiv 2404.06498): excess over interpolated risks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from raysweep.connectivity.mixing import mix, mixed_risks
from raysweep.connectivity.statistics import recompute_statistics
from raysweep.data.resident import Split
from raysweep.models.flat import FlatNetwork
from raysweep.training.evaluation import Risk, evaluate


@dataclass(frozen=True)
class Curve:
    """Risks at interpolation weights: `weights` (points, networks), `loss` and `error` (points,), float64.

    The loss is the mean cross-entropy in nats, the error the share of wrong labels.
    """

    weights: np.ndarray
    loss: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class Barrier:
    """Largest excess risk over the grid, the weights at which it lies, and the excess at equal weights.

    Loss in nats, error as a share; the excess is over the risks of the networks, interpolated with the same
    weights. It is negative where every mixture is better than that.
    """

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
    """Evaluate sum_i w_i theta_i at every row w of `weights`, shape (points, networks), which sums to one.

    `network` holds the architecture; its vector is overwritten. With `recompute` every mixture is given
    BatchNorm statistics of its own, from these training images (REPAIR, Jordan et al. 2023). `endpoints` are
    the risks of the states; they stand at the corners, so a network is evaluated once however many curves it
    ends, and a permutation of its units does not matter there. Raises `ValueError` for a state whose tensors
    are not those of the network, by name and shape.
    """
    vectors = [network.flatten(state) for state in states]
    corner = (weights == 1).any(axis=1) & (np.count_nonzero(weights, axis=1) == 1)
    inside = weights[~corner]
    if recompute is None:
        mixed = iter(mixed_risks(network, vectors, inside, split))
    else:
        mixed = (_recomputed(network, vectors, row, split, recompute) for row in inside)
    risks = [
        endpoints[int(row.argmax())] if known else next(mixed)
        for row, known in zip(weights, corner, strict=True)
    ]
    return Curve(weights, np.array([r.loss for r in risks]), np.array([r.error for r in risks]))


def _recomputed(
    network: FlatNetwork, vectors: list[torch.Tensor], row: np.ndarray, split: Split, training: Split
) -> Risk:
    mix(vectors, row, network.vector)
    recompute_statistics(network.model, training.images)
    return evaluate(network.model, split)


def barrier(curve: Curve, endpoints: Sequence[Risk]) -> Barrier:
    """Return max_w R(w) - sum_i w_i R_i for loss and error, and the same at equal weights.

    `endpoints` are the risks R_i of the networks. Where equal weights are not on the grid, the point nearest
    to them takes their place. Raises `ValueError` when there are not as many risks as networks.
    """
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
