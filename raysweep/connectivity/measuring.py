"""Evaluates measures at the points of a curve and at its networks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Any

import numpy as np
import torch

from raysweep.connectivity.barrier import excess, nearest_centre
from raysweep.connectivity.features import Features, features
from raysweep.connectivity.mixtures import NOTHING, Mending
from raysweep.connectivity.outputs import Outputs, corners
from raysweep.data.resident import Split
from raysweep.models.flat import FlatNetwork, State
from raysweep.registry import is_own, taken

OF_FEATURES = {"features", "end_features"}
OFFERED = ("logits", "end_logits", "labels", "weights", *OF_FEATURES)
EXAMPLES = 256  # for measures of hidden units: those of a mixture and of all networks are held in memory

Measure = Callable[..., float | Mapping[str, float]]
Numbers = dict[str | None, float]  # by the names of parts; None for a measure of one number


@dataclass(frozen=True)
class Measured:
    """A measure along a curve: its `values` (points,) and those of the networks alone, `ends` (networks,).

    `part` names one of several numbers that a measure returns. An excess is over the values of the networks,
    interpolated with the same weights. It is given where it is largest, and at equal weights.
    """

    part: str | None
    values: np.ndarray
    ends: np.ndarray
    largest: float
    centre: float
    largest_excess: float
    centre_excess: float


@torch.no_grad()
def measured(
    measures: Mapping[str, Measure],
    network: FlatNetwork,
    states: Sequence[State],
    weights: np.ndarray,
    split: Split,
    outputs: Outputs,
    mending: Mending = NOTHING,
) -> dict[str, list[Measured]]:
    """Evaluate measures at all points of a curve, each with those arguments (`OFFERED`) that it names.

    `outputs` are those that `curve` has filled with the same networks, weights, split and mending. A measure
    that names `features` or `end_features` is given the first `EXAMPLES` examples alone, whose hidden units
    are computed in a pass of their own. The networks themselves are measured as mixtures of one network.

    Raises `ValueError` where a user's measure fails, and where one returns anything but a number, or numbers
    by name, the same names at all points; and `SpecError` for hidden units of a network that is not
    understood.
    """
    inside, networks = ~corners(weights), weights.shape[1]
    rows = np.concatenate([np.eye(networks), weights[inside]])
    logits = [*outputs.ends, *(outputs.at(point) for point in np.flatnonzero(inside).tolist())]
    wanted = {name: taken(measure, OFFERED) for name, measure in measures.items()}
    hidden: Iterator[Features] = repeat({})
    if any(names & OF_FEATURES for names in wanted.values()):
        vectors = [network.flatten(state) for state in states]
        hidden = features(network, vectors, rows, split.images[:EXAMPLES], mending)
    of_ends = list(islice(hidden, networks))
    end_features = {layer: torch.stack([each[layer] for each in of_ends]) for layer in of_ends[0]}
    found: dict[str, list[Numbers]] = {name: [] for name in measures}
    for row, of_row, values in zip(rows, logits, _chained(of_ends, hidden), strict=False):
        for name, measure in measures.items():
            examples = EXAMPLES if wanted[name] & OF_FEATURES else len(split)
            labels = split.labels[:examples].flatten()
            offered = {
                "logits": of_row[: len(labels)],
                "end_logits": outputs.ends[:, : len(labels)],
                "labels": labels,
                "weights": torch.from_numpy(row).to(of_row.device),
                "features": values,
                "end_features": end_features,
            }
            found[name].append(called(name, measure, {key: offered[key] for key in wanted[name]}))
    return {name: _along(name, numbers, weights, inside) for name, numbers in found.items()}


def _chained(first: Sequence[Features], rest: Iterator[Features]) -> Iterator[Features]:
    yield from first
    yield from rest


def called(name: str, measure: Measure, arguments: Mapping[str, Any]) -> Numbers:
    """Return what a measure gives. Raises `ValueError` where a user's fails, or returns no numbers."""
    try:
        returned = measure(**arguments)
    except (ImportError, OSError) as error:  # of this node: elsewhere it may work
        error.add_note(f"in measure {name!r}")
        raise
    except Exception as error:
        if not is_own(name):
            raise
        raise ValueError(f"measure {name!r} fails: {type(error).__name__}: {error}") from error
    return _numbers(name, returned)


def _numbers(name: str, returned: Any) -> Numbers:
    try:
        if isinstance(returned, Mapping):
            return {str(part): float(value) for part, value in returned.items()}
        return {None: float(returned)}
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"measure {name!r} returns {type(returned).__name__}; it must return a number, or numbers by name"
        ) from error


def _along(name: str, numbers: list[Numbers], weights: np.ndarray, inside: np.ndarray) -> list[Measured]:
    """Return what was measured; `numbers` are those of the networks, and then of the points `inside`."""
    if any(each.keys() != numbers[0].keys() for each in numbers):
        raise ValueError(f"measure {name!r} returns numbers under different names at different points")
    networks = weights.shape[1]
    position = np.where(inside, networks - 1 + inside.cumsum(), weights.argmax(axis=1))
    return [
        _summary(part, np.array([each[part] for each in numbers]), weights, position) for part in numbers[0]
    ]


def _summary(part: str | None, numbers: np.ndarray, weights: np.ndarray, position: np.ndarray) -> Measured:
    values, ends, centre = numbers[position], numbers[: weights.shape[1]], nearest_centre(weights)
    over = excess(values, weights, ends.tolist())
    return Measured(
        part,
        values,
        ends,
        largest=float(values.max()),
        centre=float(values[centre]),
        largest_excess=float(over.max()),
        centre_excess=float(over[centre]),
    )
