"""Swaps of two units, or of two blocks of units, and what each gains to first order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from raysweep.alignment.relaxed import Matrices
from raysweep.symmetry import Permutation, PermutationSpec

Unit = tuple[int, str, int]  # the network, the layer group, and the position


@dataclass(frozen=True)
class Swap:
    """A swap, in a network, of so many units from `one` on with those from `other` on, in each group.

    `units` holds the group, `one`, `other` and how many they are.
    """

    member: int
    units: tuple[tuple[str, int, int, int], ...]

    def touched(self) -> set[Unit]:
        """Return the units that move."""
        return {
            (self.member, group, begin + offset)
            for group, one, other, size in self.units
            for begin in (one, other)
            for offset in range(size)
        }

    def order(self, sizes: Mapping[str, int]) -> dict[str, torch.Tensor]:
        """Return the order of the units of every group after the swap; `sizes` are the units by group."""
        found = {group: torch.arange(size) for group, size in sizes.items()}
        for group, one, other, size in self.units:
            found[group][one : one + size] = torch.arange(other, other + size)
            found[group][other : other + size] = torch.arange(one, one + size)
        return found


def promising(spec: PermutationSpec, gradients: Sequence[Matrices], count: int) -> list[Swap]:
    """Return the swaps that lower a loss most to first order, the best first; they respect blocks.

    `gradients` holds, for every network from the second on, the gradient of the loss with respect to the
    matrix by which its units are permuted further, by group, at the identity.
    """
    tables = [
        (member, *table) for member, own in enumerate(gradients, start=1) for table in _tables(spec, own)
    ]
    entries = torch.cat([gains.flatten() for _, _, gains in tables])
    number = min(count, int(torch.isfinite(entries).sum()))
    found = []
    for place in entries.topk(number, largest=False).indices.tolist():
        for member, groups, gains in tables:
            if place < gains.numel():
                one, other = divmod(place, len(gains))
                moved = tuple((group, one * size, other * size, size) for group, size in groups)
                found.append(Swap(member, moved))
                break
            place -= gains.numel()
    return found


def disjoint(swaps: Sequence[Swap]) -> list[Swap]:
    """Return the swaps in order without those that move a unit which one before them moves."""
    taken: set[Unit] = set()
    found = []
    for swap in swaps:
        if not swap.touched() & taken:
            taken |= swap.touched()
            found.append(swap)
    return found


def carried_out(
    spec: PermutationSpec, permutations: Sequence[Permutation], swaps: Sequence[Swap]
) -> list[Permutation]:
    """Return the permutations of all networks, each followed by its swaps."""
    found = list(permutations)
    for swap in swaps:
        found[swap.member] = Permutation(swap.order(spec.sizes)).compose(found[swap.member])
    return found


def _tables(
    spec: PermutationSpec, gradients: Matrices
) -> Iterator[tuple[tuple[tuple[str, int], ...], torch.Tensor]]:
    """Yield groups with the number of units that move together, and the gains of all swaps.

    Gains have the shape (units or blocks, the same); what is no swap, or occurs twice, is infinite.
    """
    counts = {group: each.count for each in spec.blocks for group in each.groups}
    gains = {group: _gains(gradients[group].double().cpu()) for group in spec.sizes}
    for group, size in spec.sizes.items():
        block = torch.arange(size) // (size // counts.get(group, 1))
        yield ((group, 1),), _upper(gains[group].where(block[:, None] == block, torch.inf))
    for own in spec.blocks:
        sizes = tuple((group, spec.sizes[group] // own.count) for group in own.groups)
        pairs = [gains[group].view(own.count, size, own.count, size) for group, size in sizes]
        yield sizes, _upper(torch.stack([each.diagonal(dim1=1, dim2=3).sum(-1) for each in pairs]).sum(0))


def _gains(gradient: torch.Tensor) -> torch.Tensor:
    own = gradient.diagonal()
    return gradient + gradient.T - own[:, None] - own


def _upper(gains: torch.Tensor) -> torch.Tensor:
    below = torch.ones_like(gains, dtype=torch.bool).tril()
    return gains.masked_fill(below, torch.inf)
