"""Joint activation matching: n networks at once, by the similarities of their units' values.

Sources: Li et al. 2015 for the similarities; Crisostomi et al. 2024 (C2M3, arXiv 2405.17897) for n networks
with one permutation each, so that compositions are the identity around every cycle.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
from torch import nn

from raysweep.alignment.activation_matching import matched_together, unit_similarities
from raysweep.alignment.assignments import Matrices
from raysweep.alignment.joint import JointAlignment
from raysweep.data.given import Images, images_of
from raysweep.models.given import Network, modules_of
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.axes import Blocks
from raysweep.symmetry.blocks import together
from raysweep.training.answering import check_answers

TOLERANCE = 1e-12  # a step must raise its part of the objective by more than this share of its terms' sizes

Units = list[dict[str, torch.Tensor]]  # by network and group, the unit at each position


def joint_activation_matching(
    networks: Sequence[Network],
    images: Images,
    tensor: str = "last",
    similarity: str = "correlation",
    pixels: int = 1,
    *,
    model: nn.Module | None = None,
) -> JointAlignment:
    """Align n networks of one architecture at once by their units' values on images.

    For networks, `images` and `model` see `activation_matching`. The other arguments are those of
    `unit_similarities`, and so are the errors; besides, `ValueError` for fewer than two networks and for
    images that one of them does not answer. See `match_jointly`.
    """
    models, examples = modules_of(networks, model, "networks"), images_of(images)
    pairs = list(combinations(range(len(models)), 2))
    if not pairs:
        raise ValueError(f"{len(models)} networks: a joint alignment requires at least two")
    for each in models:
        check_answers(each, examples)
    found = unit_similarities(models, examples, pairs, tensor, similarity, pixels)
    blocks = PermutationSpec.trace(models[0], examples[:2], proved=False).blocks
    return match_jointly(dict(zip(pairs, found, strict=True)), blocks)


def match_jointly(
    similarities: Mapping[tuple[int, int], Matrices], blocks: Sequence[Blocks]
) -> JointAlignment:
    """Align n networks by the similarities of all pairs (i, j), i < j, of them; `blocks` are their spec's.

    The objective is the sum, over pairs and units, of the similarity of the units at the same position.
    With everything but network i fixed, its permutation solves one assignment per group: its units against
    the sum of the others' similarities to them, which for correlations are its correlations with the sum of
    the others' standardised values. The ascent starts from the best reference, a network to which all others
    are aligned, and ends when no network's assignment raises the objective; it never falls.
    """
    members = range(1 + max(j for _, j in similarities))
    groups = [_Groups(names, similarities, blocks) for names in together(similarities[0, 1], blocks)]
    starts = [[group.through(reference) for group in groups] for reference in members]
    values = [sum(g.total(units) for g, units in zip(groups, start, strict=True)) for start in starts]
    reference = max(members, key=values.__getitem__)
    iterations = len(groups) * len(members) * (len(members) - 1)
    reached = 0.0
    for group, units in zip(groups, starts[reference], strict=True):
        iterations += group.ascend(units)
        reached += group.total(units)
    found = [{k: v for units in starts[reference] for k, v in units[member].items()} for member in members]
    permutations = tuple(Permutation({group: each[group] for group in similarities[0, 1]}) for each in found)
    identity = sum((group.total(group.identity()) for group in groups), 0.0)
    return JointAlignment(permutations, reached, identity, iterations, reference)


class _Groups:
    """One layer group, or those whose blocks move together, in all networks."""

    def __init__(
        self,
        names: tuple[str, ...],
        similar: Mapping[tuple[int, int], Matrices],
        blocks: Sequence[Blocks],
    ) -> None:
        self._names, self._blocks = names, blocks
        self._matrices = {pair: {n: matrices[n] for n in names} for pair, matrices in similar.items()}
        self._matrices |= {(j, i): {n: m.T for n, m in own.items()} for (i, j), own in self._matrices.items()}
        self._members = range(1 + max(j for _, j in similar))

    def identity(self) -> Units:
        return [{n: torch.arange(len(m)) for n, m in self._matrices[0, 1].items()} for _ in self._members]

    def through(self, reference: int) -> Units:
        """Match every network to one of them."""
        units = self.identity()
        for member in self._members:
            if member != reference:
                units[member] = matched_together(self._matrices[reference, member], self._blocks)
        return units

    def total(self, units: Units) -> float:
        return sum(
            self._matrices[i, j][n][units[i][n], units[j][n]].sum().item()
            for n in self._names
            for i, j in combinations(self._members, 2)
        )

    def ascend(self, units: Units) -> int:
        """Match one network after the other to all others, in place; return the assignments solved.

        A network is solved again only when another one has changed since.
        """
        stale, solved = set(self._members), 0
        while stale:
            for member in sorted(stale):
                stale.discard(member)
                others = [other for other in self._members if other != member]
                similarity = {
                    n: torch.stack([self._matrices[o, member][n][units[o][n]] for o in others]).sum(dim=0)
                    for n in self._names
                }
                new = matched_together(similarity, self._blocks)
                solved += 1
                after, before = (
                    torch.cat([similarity[n].gather(1, each[n][:, None]) for n in self._names])
                    for each in (new, units[member])
                )
                if (after.sum() - before.sum()).item() > TOLERANCE * after.abs().sum().item():
                    units[member] = new
                    stale.update(others)
        return solved
