"""Assignments of units: free ones, and those of units that lie in blocks.

Units in blocks are matched inside each pair of blocks, and then the blocks by what the matched units of a
pair are worth: two levels of assignment problems, which together are exact where what a pair of units is
worth does not depend on how others are matched.
"""

from collections.abc import Mapping, Sequence

import torch
from scipy.optimize import linear_sum_assignment

from raysweep.alignment.couplings import Coupled
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


def assignment_of_blocks(
    similar: Matrices,
    count: int,
    couplings: Sequence[Coupled] = (),
    start: Matrices | None = None,
    norms: Mapping[str, tuple[torch.Tensor, torch.Tensor]] | None = None,
) -> dict[str, torch.Tensor]:
    """Return for each group a column of its own for each row, such that all keep to the same blocks.

    `similar` holds by group what a pair of units is worth, but for the `couplings`. Without couplings the sum
    is the largest. With them the units of a pair of blocks are matched by turns, those of one group while the
    others stay: from the first group on, from the last on, and from the order in which `start` takes the
    units of the source's block; the best is kept. Divided by `norms`, those of the units of target and
    source, a weight counts for the units at both of its ends; otherwise once.
    """
    pairs = _PairsOfBlocks(similar, count, couplings, norms)
    groups = list(similar)
    found = [pairs.matched({}, groups)]
    if couplings:
        found.append(pairs.matched({}, groups[::-1]))
        if start:
            found.append(pairs.matched(pairs.inside(start), groups))
    values, best = torch.stack([pairs.values(inside) for inside in found]).max(dim=0)
    order = assignment(values)
    taken = best[torch.arange(count), order], torch.arange(count), order
    return {
        group: block_index(
            order, torch.stack([each[group] for each in found])[taken], pairs.similar[group].shape[3]
        )
        for group in groups
    }


class _PairsOfBlocks:
    """Every block of the target with every block of the source.

    What is found by group has the shape (blocks, blocks, units): the unit of the source's block that each
    unit of the target's is matched to.
    """

    def __init__(
        self,
        similar: Matrices,
        count: int,
        couplings: Sequence[Coupled],
        norms: Mapping[str, tuple[torch.Tensor, torch.Tensor]] | None,
    ) -> None:
        self._count, self._couplings = count, couplings
        self.similar = {group: _pairs(matrix.double().cpu(), count) for group, matrix in similar.items()}
        self._norms = {g: _pairs(torch.outer(*both).cpu(), count) for g, both in (norms or {}).items()}

    def inside(self, start: Matrices) -> dict[str, torch.Tensor]:
        """Every block of the source in the order in which a permutation takes its units, wherever it is."""
        found = {}
        for group, index in start.items():
            size = self.similar[group].shape[3]
            place = order_of(index, self._count, size).argsort()
            found[group] = (index.view(self._count, -1) % size)[place].expand(self._count, -1, -1)
        return found

    def matched(self, inside: Matrices, groups: Sequence[str]) -> dict[str, torch.Tensor]:
        """Match the units of one group after the other until none changes."""
        found = dict(inside)
        for _ in range(ROUNDS if self._couplings else 1):
            before = dict(found)
            for group in groups:
                found[group] = _matched(self._worth(group, found))
            if all(group in before and torch.equal(found[group], before[group]) for group in groups):
                break
        return found

    def values(self, inside: Matrices) -> torch.Tensor:
        """Return what the matched units of each pair of blocks are worth together, shape (blocks, blocks)."""
        share = 1.0 if self._norms else 0.5  # of a coupling's value, which both of its groups have
        worth = {group: self._worth(group, inside, share) for group in inside}
        return torch.stack([w.gather(3, inside[g][..., None]).sum(dim=(2, 3)) for g, w in worth.items()]).sum(
            0
        )

    def _worth(self, group: str, inside: Matrices, share: float = 1.0) -> torch.Tensor:
        total = self.similar[group]
        for each in self._couplings:
            if each.group == group and each.partner in inside:
                total = total + share * each.of_pairs(inside[each.partner]).cpu()
        return total / self._norms[group] if self._norms else total


def _pairs(similarity: torch.Tensor, count: int) -> torch.Tensor:
    """By pair of blocks, shape (blocks, blocks, units of the target, units of the source)."""
    rows, columns = similarity.shape
    return similarity.view(count, rows // count, count, columns // count).transpose(1, 2)


def _matched(pairs: torch.Tensor) -> torch.Tensor:
    """The best matching of the units of every pair of blocks."""
    if pairs.shape[2] == 1:
        return pairs.argmax(dim=3)
    return torch.stack([torch.stack([assignment(each) for each in row]) for row in pairs])
