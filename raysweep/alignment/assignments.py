"""Assignments of units: free ones, and those of units that lie in blocks.

Units in blocks are matched inside each pair of blocks, and then the blocks by what the matched units of a pair
are worth: two levels of assignment problems, which together are exact where what a pair of units is worth does
not depend on the other groups of the blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment

from raysweep.symmetry.blocks import block_index, order_of

ROUNDS = 8  # over the groups of a pair of blocks, whose units depend on each other's

Matrices = Mapping[str, torch.Tensor]  # by group, (units of the target, units of the source)


def assignment(similarity: torch.Tensor) -> torch.Tensor:
    """Return for each row a column of its own such that the sum is the largest; rows <= columns."""
    _, columns = linear_sum_assignment(similarity.double().cpu().numpy(), maximize=True)
    return torch.from_numpy(columns)


def assignment_inside(similarity: torch.Tensor, count: int, index: torch.Tensor) -> torch.Tensor:
    """Return for each row the best column of its own in the block that `index` takes at its place."""
    order = order_of(index, count, similarity.shape[1] // count)
    blocks = _pairs(similarity, count)[torch.arange(count), order]
    inside = torch.stack([assignment(block) for block in blocks])
    return block_index(order, inside, blocks.shape[2])


@dataclass(frozen=True)
class Coupling:
    """Weights between the units of two groups whose blocks move alike, none of them between the blocks.

    `target` and `source` have shape (blocks, units of `rows` in a block, units of `columns`, weights).
    """

    rows: str
    columns: str
    target: torch.Tensor
    source: torch.Tensor

    def value(self, group: str, inside: Matrices) -> torch.Tensor:
        """Return what pairs of units of one of the groups are worth while those of the other stay matched.

        `inside` holds by group the unit of block d that each unit of block b is matched to, shape (blocks,
        blocks, units). The result has shape (blocks, blocks, units of the target, units of the source).
        """
        total = torch.zeros(())
        if group == self.columns and self.rows in inside:
            total = total + _products(self.target.transpose(1, 2), self.source.transpose(1, 2), inside[self.rows])
        if group == self.rows and self.columns in inside:
            total = total + _products(self.target, self.source, inside[self.columns])
        return total


def _products(target: torch.Tensor, source: torch.Tensor, matched: torch.Tensor) -> torch.Tensor:
    """The products of all pairs of units, (blocks, units, matched units, weights), block by block."""
    count, places = len(target), torch.arange(len(source))[:, None]
    flat, units = target.double().flatten(2), source.double().transpose(1, 2)
    return torch.stack(
        [flat[b] @ units[places, matched[b]].transpose(1, 2).flatten(2).transpose(1, 2) for b in range(count)]
    )


def assignment_of_blocks(
    similar: Matrices,
    count: int,
    couplings: Sequence[Coupling] = (),
    start: Matrices | None = None,
    norms: Mapping[str, tuple[torch.Tensor, torch.Tensor]] | None = None,
) -> dict[str, torch.Tensor]:
    """Return for each group a column of its own for each row, such that all keep to the same blocks.

    `similar` holds by group what a pair of units is worth, but for the `couplings`. Without couplings the sum
    is the largest. With them the units of a pair of blocks are matched by turns, those of one group while the
    others stay, from `start` on where that takes the pair. Divided by `norms`, those of the units of target
    and source, a weight counts for the units at both of its ends; otherwise once.
    """
    pairs = {group: _pairs(matrix.double().cpu(), count) for group, matrix in similar.items()}
    lengths = {group: _outer(*norms[group], count) for group in pairs} if norms else {}
    inside: dict[str, torch.Tensor] = {}

    def worth(group: str, share: float = 1.0) -> torch.Tensor:
        coupled = sum((each.value(group, inside) for each in couplings), torch.zeros(()))
        total = pairs[group] + share * coupled
        return total / lengths[group] if norms else total

    for group in pairs:
        inside[group] = _matched(worth(group))
    for group, index in (start or {}).items():
        size = pairs[group].shape[3]
        taken = torch.arange(count), order_of(index, count, size)
        inside[group][taken] = index.view(count, -1) % size
    for _ in range(ROUNDS if couplings else 0):
        before = dict(inside)
        for group in pairs:
            inside[group] = _matched(worth(group))
        if all(torch.equal(inside[group], before[group]) for group in pairs):
            break
    share = 1.0 if norms else 0.5  # of a coupling's value, which both of its groups have
    reached = [worth(g, share).gather(3, inside[g][..., None]).sum(dim=(2, 3)) for g in pairs]
    order = assignment(torch.stack(reached).sum(dim=0))
    taken = torch.arange(count), order
    return {group: block_index(order, inside[group][taken], pairs[group].shape[3]) for group in pairs}


def _pairs(similarity: torch.Tensor, count: int) -> torch.Tensor:
    """By pair of blocks, shape (blocks, blocks, units of the target, units of the source)."""
    rows, columns = similarity.shape
    return similarity.view(count, rows // count, count, columns // count).transpose(1, 2)


def _outer(left: torch.Tensor, right: torch.Tensor, count: int) -> torch.Tensor:
    return _pairs(torch.outer(left, right).cpu(), count)


def _matched(pairs: torch.Tensor) -> torch.Tensor:
    """The best matching of the units of every pair of blocks."""
    if pairs.shape[2] == 1:
        return pairs.argmax(dim=3)
    return torch.stack([torch.stack([assignment(each) for each in row]) for row in pairs])
