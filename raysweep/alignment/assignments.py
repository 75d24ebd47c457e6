"""Assignments of units: free ones, and those of units that lie in blocks.

Units in blocks are matched inside each pair of blocks, and then the blocks by the total similarity of the
matched units of each pair. These two levels of assignment problems are exact together if the similarity of
two units does not depend on how others are matched.

Solver: the shortest augmenting paths of Jonker and Volgenant 1987, in lapx, whose distances and potentials of
square problems are in float64 whatever the type of the similarities.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from lap import lapjvr, lapjvr_batch

from raysweep.alignment.couplings import Coupled
from raysweep.symmetry.blocks import block_index, order_of

ROUNDS = 8  # at most, over the groups of a pair of blocks, whose matchings depend on each other
REFINED = 8  # blocks of the source with which each block of the target is matched in all these rounds

Matrices = Mapping[str, torch.Tensor]  # by group, (units of the target, units of the source)
Norms = Mapping[str, tuple[torch.Tensor, torch.Tensor]]  # by group, of the units of target and source


def assignment(similarity: torch.Tensor) -> torch.Tensor:
    """Return a distinct column for each row such that the sum is largest; shape (rows,), rows <= columns.

    The similarity is on the CPU, as is the result. Of several best answers one is chosen, always the same.
    Raises `ValueError` for similarities that are not finite.
    """
    _, columns = lapjvr(_costs(similarity), extend_cost=True, return_cost=False)
    return torch.from_numpy(columns)


def _costs(similarity: torch.Tensor) -> np.ndarray:
    """Return what is minimised, in float64 unless the problem is square. Raises `ValueError`."""
    costs = -similarity.numpy()
    if not np.isfinite(costs).all():
        raise ValueError("the similarities of units are not all finite")
    return costs if costs.shape[-2] == costs.shape[-1] else costs.astype(np.float64)


def assignment_inside(similarity: torch.Tensor, count: int, index: torch.Tensor) -> torch.Tensor:
    """Return the best distinct column for each row in the block to which `index` assigns the row's block."""
    order = order_of(index, count, similarity.shape[1] // count)
    blocks = by_pair(similarity, count)[torch.arange(count), order]
    inside = torch.stack([assignment(block) for block in blocks])
    return block_index(order, inside, blocks.shape[2])


def assignment_of_blocks(
    similar: Matrices,
    count: int,
    couplings: Sequence[Coupled] = (),
    start: Matrices | None = None,
    norms: Norms | None = None,
) -> dict[str, torch.Tensor]:
    """Return, for each group, a distinct column for each row, such that all groups match the same blocks.

    `similar` holds the similarities of units by group, without the `couplings`. Without couplings the result
    is the largest sum. With them the units of a pair of blocks are matched in turns, one group at a time:
    starting with the first group, with the last group, and from the order that `start` gives the units of the
    source's block; the best result is kept. If there are many blocks, only the `REFINED` most similar ones of
    each are treated in this way; the others stop after the first turn. With `norms`, of the units of target
    and source, similarities are divided by them, and a coupling weight counts for the units at both of its
    ends; otherwise it counts once.
    """
    pairs = _PairsOfBlocks(similar, count, couplings, norms)
    groups, every = list(similar), torch.cartesian_prod(torch.arange(count), torch.arange(count)).T
    inside = pairs.matched(every, {}, groups, rounds=1)
    values = pairs.values(every, inside)
    if couplings:
        near = values.view(count, count).topk(min(REFINED, count)).indices
        chosen = torch.arange(count)[:, None] * count + near
        if start:
            order = order_of(start[groups[0]], count, pairs.similar[groups[0]].shape[3])
            chosen = torch.cat([chosen, torch.arange(count)[:, None] * count + order[:, None]], dim=1)
        chosen = chosen.unique()
        begins = [({g: each[chosen] for g, each in inside.items()}, groups), ({}, groups[::-1])]
        if start:
            begins.append((pairs.aligned(every[:, chosen], start), groups))
        for begin, turns in begins:
            found = pairs.matched(every[:, chosen], begin, turns, ROUNDS)
            reached = pairs.values(every[:, chosen], found)
            better = reached > values[chosen]
            values[chosen[better]] = reached[better]
            for group in groups:
                inside[group][chosen[better]] = found[group][better]
    order = assignment(values.view(count, count))
    taken = torch.arange(count) * count + order
    return {g: block_index(order, inside[g][taken], pairs.similar[g].shape[3]) for g in groups}


class _PairsOfBlocks:
    """Pairs of a block of the target and a block of the source, given as indices of shape (2, pairs).

    A matching, by group, has the shape (pairs, units): the unit of the source's block to which each unit of
    the target's block is matched.
    """

    def __init__(
        self, similar: Matrices, count: int, couplings: Sequence[Coupled], norms: Norms | None
    ) -> None:
        self._count, self._couplings = count, couplings
        self.similar = {group: by_pair(matrix.double().cpu(), count) for group, matrix in similar.items()}
        smallest = torch.finfo(torch.float64).tiny  # two units without weights have cosine 0, not 0 / 0
        self._norms = {
            group: by_pair(torch.outer(*both).clamp(min=smallest).cpu(), count)
            for group, both in (norms or {}).items()
        }

    def aligned(self, pairs: torch.Tensor, start: Matrices) -> dict[str, torch.Tensor]:
        """Return the matching inside each pair of blocks that a permutation gives the block of the source."""
        found = {}
        for group, index in start.items():
            size = self.similar[group].shape[3]
            position = order_of(index, self._count, size).argsort()
            found[group] = (index.view(self._count, -1) % size)[position[pairs[1]]]
        return found

    def matched(
        self, pairs: torch.Tensor, begin: Matrices, groups: Sequence[str], rounds: int
    ) -> dict[str, torch.Tensor]:
        """Match the units of one group after the other until none changes, for at most `rounds` rounds."""
        found = dict(begin)
        for _ in range(rounds):
            before = dict(found)
            for group in groups:
                found[group] = _matched(self._worth(group, pairs, found))
            if all(group in before and torch.equal(found[group], before[group]) for group in groups):
                break
        return found

    def values(self, pairs: torch.Tensor, inside: Matrices) -> torch.Tensor:
        """Return the total similarity of the matched units of each pair of blocks, shape (pairs,)."""
        share = 1.0 if self._norms else 0.5  # of a coupling, which both of its groups count
        worth = {group: self._worth(group, pairs, inside, share) for group in inside}
        return torch.stack([w.gather(2, inside[g][..., None]).sum(dim=(1, 2)) for g, w in worth.items()]).sum(
            0
        )

    def _worth(self, group: str, pairs: torch.Tensor, inside: Matrices, share: float = 1.0) -> torch.Tensor:
        total = self.similar[group][pairs[0], pairs[1]]
        for each in self._couplings:
            if each.group == group and each.partner in inside:
                total += share * each.of_blocks(pairs[0], pairs[1], inside[each.partner]).cpu()
        return total / self._norms[group][pairs[0], pairs[1]] if self._norms else total


def by_pair(similarity: torch.Tensor, count: int) -> torch.Tensor:
    """Return similarities as (blocks, blocks, units of the target's block, units of the source's block)."""
    rows, columns = similarity.shape
    return similarity.view(count, rows // count, count, columns // count).transpose(1, 2)


def _matched(worth: torch.Tensor) -> torch.Tensor:
    """Return the best matching of the units of every pair of blocks; `worth` is (pairs, units, units)."""
    if worth.shape[1] == 1:
        return worth.argmax(dim=2)
    _, columns = lapjvr_batch(_costs(worth), extend_cost=True, return_cost=False, n_threads=1)
    return torch.from_numpy(np.stack(columns))
