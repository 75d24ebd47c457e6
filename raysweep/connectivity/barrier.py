"""Barriers by their definition in Sharma et al. 2024 (arXiv 2404.06498): excess over interpolated risks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from raysweep.connectivity.blend import shares
from raysweep.connectivity.mixing import mixed_risks, risks_with_ends, streams_mixtures
from raysweep.connectivity.mixtures import NOTHING, Mending, Mixtures
from raysweep.connectivity.outputs import Keep, Outputs, corners
from raysweep.connectivity.streaming import evaluation_of, streamed_risks, streams
from raysweep.data.resident import Split
from raysweep.models.flat import FlatNetwork, State
from raysweep.models.precision import computing_in
from raysweep.training.evaluation import Risk, evaluate
from raysweep.vocabulary import Way


@dataclass(frozen=True)
class Curve:
    """Risks at interpolation weights: `weights` (points, networks), `loss` and `error` (points,), float64.

    The loss is the mean cross-entropy in nats, the error the share of wrong labels. `ends` are the risks of
    the networks themselves, measured in the same way.
    """

    weights: np.ndarray
    loss: np.ndarray
    error: np.ndarray
    ends: tuple[Risk, ...]


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


@torch.no_grad()
def risk(network: FlatNetwork, state: State, split: Split, mending: Mending = NOTHING) -> Risk:
    """Return the risk of one network, measured as at the end of a curve; see `curve`."""
    network.load(state)
    alone, vectors = np.ones((1, 1)), [network.vector.clone()]
    if not mending:
        return mixed_risks(network, vectors, alone, split)[0]
    return _mended_risks(network, vectors, alone, split, mending)[0]


@torch.no_grad()
def curve(
    network: FlatNetwork,
    states: Sequence[State],
    weights: np.ndarray,
    split: Split,
    mending: Mending = NOTHING,
    end: Callable[[int], Risk] | None = None,
    outputs: Outputs | None = None,
) -> Curve:
    """Evaluate sum_i w_i theta_i at every row w of `weights`, shape (points, networks), which sums to one.

    `network` gives the architecture; its weights are overwritten. `mending` says whether every mixture and
    every network alone gets running statistics of its own, or has its hidden units repaired.
    `end(i)`, if given, returns the `risk` of network i. No permutation of its units changes that risk, so it
    need be computed only once, however many curves the network is an end of. `outputs`, if given, receives
    the logits, in the passes that give the risks. Raises `ValueError` for a state whose tensors differ from
    those of the network in name or shape, and for networks that differ in integers or masks, and `SpecError`
    for a network whose hidden units should be repaired and cannot be found.
    """
    network.load_discrete(states)
    corner = corners(weights)
    inside = weights[~corner]
    vectors = [network.flatten(state) for state in states]
    if not mending:
        found, ends = risks_with_ends(network, vectors, inside, split, end, outputs)
    else:
        keep = outputs.keep if outputs else None
        found = _mended_risks(network, vectors, inside, split, mending, keep)
        ends = _mended_ends(network, vectors, split, mending, end, outputs)
    mixed = iter(found)
    risks = [
        ends[int(row.argmax())] if known else next(mixed) for row, known in zip(weights, corner, strict=True)
    ]
    return Curve(weights, np.array([r.loss for r in risks]), np.array([r.error for r in risks]), tuple(ends))


def execution(network: FlatNetwork, split: Split, mending: Mending = NOTHING) -> str:
    """Return how the points of a curve of this network are evaluated: compiled, captured or plain.

    Ask after the curve, because an evaluation that turns out to be wrong falls back to a plain one.
    """
    streamed = _streams(network, split, mending) if mending else streams_mixtures(network, split)
    return evaluation_of(network, split).way if streamed else Way.PLAIN


def _mended_risks(
    network: FlatNetwork,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    split: Split,
    mending: Mending,
    keep: Keep | None = None,
) -> list[Risk]:
    """Return the risks of mixtures as `mixed_risks` does, each of them mended."""
    mixtures = Mixtures(network, vectors, mending)
    if _streams(network, split, mending):
        return streamed_risks(network, mixtures, weights, split, keep)
    found = []
    for number, parts in enumerate(shares(weights)):
        module = mixtures.form(parts)
        with computing_in(network.numerics.precision, split.images.device):
            found.append(evaluate(module, split, keep and partial(keep, number)))
    return found


def _mended_ends(
    network: FlatNetwork,
    vectors: Sequence[torch.Tensor],
    split: Split,
    mending: Mending,
    end: Callable[[int], Risk] | None,
    outputs: Outputs | None,
) -> list[Risk]:
    """Return the risks of the networks themselves, each of them mended; see `curve`."""
    alone = []
    for index, vector in enumerate(vectors) if outputs or not end else ():
        keep = outputs.keep_end(index) if outputs else None
        alone += _mended_risks(network, [vector], np.ones((1, 1)), split, mending, keep)
    return [end(index) for index in range(len(vectors))] if end else alone


def _streams(network: FlatNetwork, split: Split, mending: Mending) -> bool:
    """Whether mended mixtures are streamed; repaired ones run in another module than the one captured."""
    return streams(network, split) and mending.repair is None


def barrier(curve: Curve) -> Barrier:
    """Return max_w R(w) - sum_i w_i R_i for loss and error, and the same at equal weights.

    R_i are the risks of the networks themselves. Where equal weights are not on the grid, the nearest point
    is used instead.
    """
    loss = excess(curve.loss, curve.weights, [end.loss for end in curve.ends])
    error = excess(curve.error, curve.weights, [end.error for end in curve.ends])
    centre = nearest_centre(curve.weights)
    return Barrier(
        loss_barrier=float(loss.max()),
        error_barrier=float(error.max()),
        loss_weights=tuple(curve.weights[int(loss.argmax())].tolist()),
        error_weights=tuple(curve.weights[int(error.argmax())].tolist()),
        loss_centre=float(loss[centre]),
        error_centre=float(error[centre]),
    )


def excess(risks: np.ndarray, weights: np.ndarray, ends: Sequence[float]) -> np.ndarray:
    """R(w) - sum_i w_i R_i, written as sum_i w_i (R(w) - R_i): exactly 0 where all risks are equal."""
    found: np.ndarray = (weights * (risks[:, None] - np.array(ends))).sum(axis=1)
    return found


def nearest_centre(weights: np.ndarray) -> int:
    """Return the point of a grid (points, networks) that is nearest to equal weights."""
    return int(np.abs(weights - 1 / weights.shape[1]).sum(axis=1).argmin())
