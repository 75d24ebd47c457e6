"""Weights between two groups whose blocks move together: those of a grouped convolution, and those that read
heads which share units.

Their contribution to the similarity of one group depends on how the units of the other are matched, and on
how the blocks are matched: there are no weights between different blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from raysweep.symmetry.axes import Axis, Blocks, Segment, Shared, Within, segments, starts
from raysweep.symmetry.blocks import order_of
from raysweep.symmetry.selection import flat_selection
from raysweep.symmetry.settling import Axes

Indices = Mapping[str, torch.Tensor]
CHUNK = 2**22  # weights that are multiplied at once, which bounds memory


@dataclass(frozen=True)
class Coupled:
    """The contribution of such weights to the similarity of `group`, with the interface of a `Product`.

    `left` (of the target) and `right` (of the source) have the shape (blocks, units of the group in a block,
    units of `partner` in a block, weights), in float64. The weights are those of several `networks`, along
    `others`, axes of the source with their sizes, whose units are permuted too.
    """

    group: str
    partner: str
    left: torch.Tensor
    right: torch.Tensor
    others: tuple[tuple[int, Axis | None], ...] = ()
    networks: int = 1

    def given(self, indices: Indices) -> "Coupled":
        """Return the coupling after these permutations of the other axes."""
        if not self.others:
            return self
        index = flat_selection(self.others, self.networks, indices)
        return replace(self, right=self.right[..., index.to(self.right.device)], others=())

    def of_blocks(self, ones: torch.Tensor, others: torch.Tensor, matched: torch.Tensor) -> torch.Tensor:
        """Return the contribution for pairs of blocks, (pairs, units of the target, units of the source).

        `matched`, of shape (pairs, units), holds the unit of the source's block to which each unit of the
        partner in the target's block is matched.
        """
        size = max(1, CHUNK // self.right[0].numel())
        parts = zip(ones.split(size), others.split(size), matched.split(size), strict=True)
        return torch.cat([self._products(*part) for part in parts])

    def value(self, indices: Indices) -> torch.Tensor:
        """Return the contribution between matched blocks, zero between all others, (units, units)."""
        if self.others:
            return self.given(indices).value(indices)
        index, size = indices[self.partner], self.right.shape[2]
        count, units, *_ = self.left.shape
        order = order_of(index, count, size)
        result = self.left.new_zeros(count, units, count, self.right.shape[1])
        blocks = torch.arange(count)
        result[blocks, :, order] = self.of_blocks(blocks, order, index.view(count, -1) % size)
        return result.view(count * units, -1)

    def zeros(self) -> torch.Tensor:
        """Return a contribution of zero, (units of the target, units of the source)."""
        return self.left.new_zeros(*(each.shape[0] * each.shape[1] for each in (self.left, self.right)))

    def gain(
        self, indices: Indices, rows: torch.Tensor, old: torch.Tensor, new: torch.Tensor
    ) -> torch.Tensor:
        """Return the gain of rematching target units `rows` from source units `old` to `new`."""
        value = self.value(indices)
        return (value[rows, new] - value[rows, old]).sum()

    def squares(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the squared norms of the target's and the source's units."""
        left, right = (side.square().sum(dim=(2, 3)).reshape(-1) for side in (self.left, self.right))
        return left, right

    def regardless_of_order(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor | float:
        """Return the inner products of the sorted weights of these units (0 if their numbers differ)."""
        one, other = (side.flatten(2).flatten(0, 1) for side in (self.left, self.right))
        if one.shape[1] != other.shape[1]:
            return 0.0
        return one[left].sort(dim=1).values @ other[right].sort(dim=1).values.T

    def _products(self, ones: torch.Tensor, others: torch.Tensor, matched: torch.Tensor) -> torch.Tensor:
        right = self.right.transpose(1, 2)[others[:, None], matched].transpose(1, 2)
        return self.left[ones].flatten(2) @ right.flatten(2).transpose(1, 2)


def couplings(
    axes: tuple[Axes, Axes], tensors: Sequence[Sequence[torch.Tensor]], blocks: Sequence[Blocks]
) -> tuple[list[Coupled], set[tuple[int, int]]]:
    """Return the contributions of a parameter, and the (axis, start) of the segments that they cover.

    `axes` and `tensors` are those of the targets and of the sources.
    """
    found, covered = _of_convolution(axes[0], tensors, blocks)
    for dimension, sides in enumerate(zip(*axes, strict=True)):
        for (start, one), (other_start, other) in zip(*map(starts, sides), strict=True):
            if isinstance(one, Shared) and isinstance(other, Shared):
                left = _by_head(tensors[0], dimension, start, one)
                right = _by_head(tensors[1], dimension, other_start, other)
                names, networks = (one.heads, str(one.group)), len(tensors[1])
                others = tuple(
                    (size, segments(axis) or None)
                    for number, (size, axis) in enumerate(zip(tensors[1][0].shape, axes[1], strict=True))
                    if number != dimension
                )
                found.append(Coupled(*names, left, right, others, networks))
                swapped = left.transpose(1, 2), right.transpose(1, 2)
                found.append(Coupled(*names[::-1], *swapped, others, networks))
                covered.add((dimension, start))
    return found, covered


def _by_head(tensors: Sequence[torch.Tensor], dimension: int, start: int, shared: Shared) -> torch.Tensor:
    """Return the weights of heads that share units, (blocks, heads of a block, units of a head, weights)."""
    shape = shared.blocks, shared.count // shared.blocks, shared.size // shared.count, -1
    parts = (tensor.detach().double().narrow(dimension, start, shared.size) for tensor in tensors)
    return torch.cat([part.movedim(dimension, 0).reshape(shape) for part in parts], dim=3)


def _of_convolution(
    axes: Axes, tensors: Sequence[Sequence[torch.Tensor]], blocks: Sequence[Blocks]
) -> tuple[list[Coupled], set[tuple[int, int]]]:
    """Return the contributions of the weight of a grouped convolution, and what they cover."""
    if len(axes) < 2 or not isinstance(axes[1], Within) or not isinstance(axes[0], tuple):
        return [], set()
    count, found, covered = axes[1].count, [], set()
    for each in blocks:
        rows, columns = (_stretches(axis, count, each) for axis in (axes[0], axes[1].axis))
        for stretch in sorted(rows.keys() & columns.keys()):
            (start, row), (other_start, column) = rows[stretch], columns[stretch]
            repeats = row.repeat, column.repeat
            left, right = (_by_block(side, count, stretch, repeats) for side in tensors)
            names = str(row.group), str(column.group)
            found.append(Coupled(*names, left, right))
            found.append(Coupled(*names[::-1], left.transpose(1, 2), right.transpose(1, 2)))
            covered |= {(0, start), (1, other_start)}
    return found, covered


def _stretches(axis: Axis, count: int, blocks: Blocks) -> dict[tuple[int, int], tuple[int, Segment]]:
    """Return start and segment of the groups of these blocks, by (first block, last block + 1)."""
    found, size = {}, sum(segment.size for segment in axis) // count
    for start, segment in starts(axis):
        if segment.group in blocks.groups and start % size == 0 and segment.size == size * blocks.count:
            found[start // size, start // size + blocks.count] = start, segment
    return found


def _by_block(
    tensors: Sequence[torch.Tensor], count: int, stretch: tuple[int, int], repeats: tuple[int, int]
) -> torch.Tensor:
    """Return the weights of some blocks, (blocks, units of the rows, units of the columns, weights)."""
    parts = []
    for tensor in tensors:
        by_block = tensor.detach().double().unflatten(0, (count, -1))[slice(*stretch)]
        by_unit = by_block.unflatten(1, (-1, repeats[0])).unflatten(3, (-1, repeats[1])).flatten(5)
        parts.append(by_unit.permute(0, 1, 3, 2, 4, 5).flatten(3))
    return torch.cat(parts, dim=3)
