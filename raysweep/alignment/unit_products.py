"""Sums over examples from which the similarities of the units of two networks are computed, in float64."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from raysweep.choices import choose
from raysweep.symmetry.tracing import Place


@dataclass(frozen=True)
class Similarity:
    """Whether means are subtracted, and whether values are divided by their lengths."""

    centred: bool
    normalised: bool


SIMILARITIES = {
    "inner_product": Similarity(centred=False, normalised=False),
    "correlation": Similarity(centred=True, normalised=True),
    "cosine": Similarity(centred=False, normalised=True),
}

CONSTANT = 1e-24  # relative spread, squared, of a unit that does not vary

Values = dict[Place, torch.Tensor]  # (examples, units)


class UnitSums:
    """For one network, by node: the sum and the sum of squares of each unit's values, shape (units,).

    `examples` counts the values of a unit by node; a node with more pixels may have more of them. With
    `centred` the means of the first batch are subtracted first, so that correlations of units with large
    means lose no digits.
    """

    def __init__(self, centred: bool) -> None:
        self._centred = centred
        self._shift: Values = {}
        self.examples: dict[Place, int] = {}
        self.sums: Values = {}
        self.squares: Values = {}

    def negligible(self, name: Place) -> torch.Tensor:
        """Return the sum of squares, (units,), up to which a unit counts as constant, because of rounding."""
        return CONSTANT * self.examples[name] * self._shift[name].square()

    def add(self, batch: Mapping[Place, torch.Tensor]) -> Values:
        """Add a batch and return it as it was added, in float64."""
        values = {name: each.double() for name, each in batch.items()}
        if not self._shift:
            for name, each in values.items():
                self._shift[name] = each.mean(dim=0) if self._centred else torch.zeros_like(each[0])
                self.sums[name], self.squares[name] = torch.zeros_like(each[0]), torch.zeros_like(each[0])
                self.examples[name] = 0
        shifted = {name: each - self._shift[name] for name, each in values.items()}
        for name, each in shifted.items():
            self.sums[name] += each.sum(dim=0)
            self.squares[name] += each.square().sum(dim=0)
            self.examples[name] += len(each)
        return shifted


class UnitProducts:
    """For a pair, by node: the products of units, summed over examples, (target units, source units)."""

    def __init__(self) -> None:
        self.totals: Values = {}

    def add(self, target: Values, source: Values) -> None:
        for name, values in target.items():
            if name in self.totals:
                self.totals[name].addmm_(values.T, source[name])
            else:
                self.totals[name] = values.T @ source[name]


def similarities(products: UnitProducts, target: UnitSums, source: UnitSums, similarity: str) -> Values:
    """Return by node S with S[i, j] the similarity of unit i of the target and unit j of the source."""
    found, chosen = {}, choose("similarity", similarity, SIMILARITIES)
    for name, total in products.totals.items():
        left, right = target.squares[name], source.squares[name]
        if chosen.centred:
            n, one, other = target.examples[name], target.sums[name], source.sums[name]
            total = total - torch.outer(one, other) / n
            left, right = left - one.square() / n, right - other.square() / n
        if chosen.normalised:
            rows = _inverse_length(left, target.negligible(name))
            columns = _inverse_length(right, source.negligible(name))
            total = total * rows[:, None] * columns[None]
        found[name] = total
    return found


def _inverse_length(squares: torch.Tensor, negligible: torch.Tensor) -> torch.Tensor:
    """Return 1 / length, or 0 for a unit whose length is mere rounding."""
    smallest = torch.finfo(squares.dtype).tiny
    return torch.where(squares > negligible, squares.clamp_min(smallest).rsqrt(), 0.0)
