"""The logits of a curve's mixtures and networks, kept while their risks are computed."""

import math
from collections.abc import Callable

import numpy as np
import torch

Keep = Callable[[int, int, torch.Tensor], None]  # takes the number of a mixture, of an example, and logits


class Outputs:
    """Holds the logits on a split: those of mixtures inside a line or simplex, then those of its networks.

    `inside` numbers the points that are no network, and `ends` the network of each point (-1 inside).
    """

    def __init__(self, weights: np.ndarray, examples: int) -> None:
        """`weights` (points, networks) are those of the curve, and `examples` the length of the split."""
        corner = corners(weights)
        self._networks, self._examples = weights.shape[1], examples
        self._row = np.where(corner, (~corner).sum() + weights.argmax(axis=1), (~corner).cumsum() - 1)
        self._inside = int((~corner).sum())
        self._logits = torch.empty(0)

    def keep(self, number: int, start: int, logits: torch.Tensor) -> None:
        """Keep the logits (examples, ..., classes) of a mixture from the example `start` on."""
        labels = math.prod(logits.shape[1:-1])  # of an example: each token of a sequence has one
        if not self._logits.numel():
            shape = self._inside + self._networks, self._examples * labels, logits.shape[-1]
            self._logits = logits.new_empty(shape, dtype=torch.float32)
        self._logits[number, start * labels : (start + len(logits)) * labels] = logits.flatten(0, -2)

    def keep_end(self, network: int) -> Keep:
        """Return what keeps the logits of a network."""
        return lambda _, start, logits: self.keep(self._inside + network, start, logits)

    def at(self, point: int) -> torch.Tensor:
        """Return the logits of a point of the curve, (labels, classes)."""
        return self._logits[self._row[point]]

    @property
    def ends(self) -> torch.Tensor:
        """The logits of the networks, (networks, labels, classes)."""
        return self._logits[self._inside :]


def corners(weights: np.ndarray) -> np.ndarray:
    """Return which rows of weights are those of one network alone, (points,)."""
    found: np.ndarray = (weights == 1).any(axis=1) & (np.count_nonzero(weights, axis=1) == 1)
    return found
