"""Similarities of the units of two networks as sums of matrix products that are kept and updated.

A parameter along whose axis a group lies contributes L^T R[index] to the similarity of that group: L and R
hold the parameter of the target and of the source as (entries of all other axes, units), and `index`
carries out the current permutations of those other axes. When they change in a few rows, only the
products of those rows are added; this is what makes late iterations cheap.

The weight of a grouped convolution is taken for that of a plain one, with zeros between its blocks. What it
contributes to two groups whose blocks move alike depends on both at once: it is a `Coupling` of theirs.
"""

from collections.abc import Collection, Mapping, Sequence

import torch

from raysweep.alignment.assignments import Coupling
from raysweep.symmetry import PermutationSpec
from raysweep.symmetry.groups import Axis, Blocks, Segment, Within
from raysweep.symmetry.selection import selection

State = Mapping[str, torch.Tensor]
Indices = Mapping[str, torch.Tensor]
UPDATED = 0.4  # above this share of changed rows a fresh product is cheaper, and free of summed rounding


class Product:
    """What one segment of one axis of one parameter contributes to the similarity of a group."""

    def __init__(
        self,
        targets: Sequence[torch.Tensor],
        sources: Sequence[torch.Tensor],
        axes: tuple[tuple[Axis | None, ...], tuple[Axis | None, ...]],
        place: int,
        ranges: tuple[tuple[int, int, int], tuple[int, int, int]],
    ) -> None:
        """`ranges`: start, entries and units of the segment along axis `place`, of target and source."""
        self._left = torch.cat([_rows(tensor, place, ranges[0]) for tensor in targets])
        self._right = torch.cat([_rows(tensor, place, ranges[1]) for tensor in sources])
        self._networks = len(sources)
        self._repeat = ranges[1][1] // ranges[1][2]
        self._others = [
            (size, axis)
            for other, (size, axis) in enumerate(zip(sources[0].shape, axes[1], strict=True))
            if other != place
        ]
        self.others = {s.group for _, axis in self._others for s in axis or () if s.group is not None}
        self._index: torch.Tensor | None = None
        self._value: torch.Tensor | None = None

    def value(self, indices: Indices) -> torch.Tensor:
        """Return the contribution, shape (units of the target, units of the source)."""
        index = self._current(indices)
        if self._index is not None and self._value is not None:
            changed = (index != self._index).nonzero().squeeze(1)
            if len(changed) <= UPDATED * len(index):
                if len(changed):
                    step = self._right[index[changed]] - self._right[self._index[changed]]
                    self._value = torch.addmm(self._value, self._left[changed].T, step)
                    self._index = index
                return self._value
        self._index, self._value = index, self._left.T @ self._right[index]
        return self._value

    def gain(self, indices: Indices, rows: torch.Tensor, old: torch.Tensor, new: torch.Tensor) -> float:
        """Return by how much moving target units `rows` from source units `old` to `new` raises it.

        The sum is in float64.
        """
        right = self._right[self._current(indices)].double()
        step = right[:, new.to(right.device)] - right[:, old.to(right.device)]
        return (self._left[:, rows.to(right.device)].double() * step).sum().item()

    def zeros(self) -> torch.Tensor:
        """Return a contribution of nothing."""
        return self._left.new_zeros(self._left.shape[1], self._right.shape[1])

    def squares(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the squared norms of the target's and the source's units, in float64."""
        return self._left.double().square().sum(0), self._right.double().square().sum(0)

    def exact(self, indices: Indices) -> torch.Tensor:
        """Return the contribution, of a vector in float64: it may be all that two units differ in."""
        if len(self._left) > 1:
            return self.value(indices)
        return self._left.double().T @ self._right[self._current(indices)].double()

    def fingerprints(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a number for each unit of target and source that is the same for units of equal weights."""
        left, right = (torch.linspace(1, 2, len(t)).to(t) @ t for t in (self._left, self._right))
        return left, right

    def regardless_of_order(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor | float:
        """Return how similar the sorted weights of these units are (0 where their numbers differ)."""
        if len(self._left) != len(self._right):
            return 0.0
        one, other = self._left[:, left].sort(dim=0).values, self._right[:, right].sort(dim=0).values
        return one.T @ other

    def _current(self, indices: Indices) -> torch.Tensor:
        flat = torch.arange(self._networks)
        for size, axis in self._others:
            along = torch.arange(size) if axis is None else selection(axis, indices)
            flat = (flat[:, None] * size + along).reshape(-1)
        along = torch.arange(self._repeat)
        return (flat[:, None] * self._repeat + along).reshape(-1).to(self._right.device)


def _rows(tensor: torch.Tensor, place: int, segment: tuple[int, int, int]) -> torch.Tensor:
    """Return a segment as (entries of all other axes and repeats, units)."""
    start, size, units = segment
    part = tensor.detach().narrow(place, start, size).movedim(place, -1)
    part = part.to(torch.promote_types(part.dtype, torch.float32))
    return (
        part.reshape(*part.shape[:-1], units, size // units).transpose(-1, -2).reshape(-1, units).contiguous()
    )


def _plain(
    axes: Sequence[Axis | Within | None], tensors: list[torch.Tensor]
) -> tuple[tuple[Axis | None, ...], list[torch.Tensor]]:
    """The weights of a grouped convolution as those of a plain one, zero between its blocks."""
    within = axes[1] if len(axes) > 1 else None
    if isinstance(within, Within):
        axes, tensors = (axes[0], within.axis, *axes[2:]), [_dense(each, within.count) for each in tensors]
    return tuple(axis for axis in axes if not isinstance(axis, Within)), tensors


def _dense(tensor: torch.Tensor, count: int) -> torch.Tensor:
    rows, columns, *rest = tensor.shape
    dense = tensor.new_zeros(count, rows // count, count, columns, *rest)
    blocks = torch.arange(count)
    dense[blocks, :, blocks] = tensor.detach().view(count, rows // count, columns, *rest)
    return dense.view(rows, count * columns, *rest)


def _stretches(axis: Axis, count: int, blocks: Blocks) -> dict[tuple[int, int], Segment]:
    """The segments of groups in these blocks, by the blocks along the axis from the first up to the last."""
    found, start, size = {}, 0, sum(segment.size for segment in axis) // count
    for segment in axis:
        stop = start + segment.size
        if segment.group in blocks.groups and start % size == 0 and segment.size == size * blocks.count:
            found[start // size, stop // size] = segment
        start = stop
    return found


def _by_block(
    tensors: Sequence[torch.Tensor], count: int, stretch: tuple[int, int], pair: tuple[Segment, Segment]
) -> torch.Tensor:
    """The weights of some blocks, shape (blocks, units of the rows, units of the columns, weights)."""
    start, stop = stretch
    repeats = [segment.repeat for segment in pair]
    parts = []
    for tensor in tensors:
        by_block = tensor.unflatten(0, (count, -1))[start:stop]
        by_unit = by_block.unflatten(1, (-1, repeats[0])).unflatten(3, (-1, repeats[1])).flatten(5)
        parts.append(by_unit.permute(0, 1, 3, 2, 4, 5).flatten(3))
    return torch.cat(parts, dim=3)


def _repeated(values: torch.Tensor) -> torch.Tensor:
    """Return the places of the values that occur more than once."""
    _, kinds, counts = values.unique(return_inverse=True, return_counts=True)
    return (counts[kinds] > 1).nonzero().squeeze(1)


class Similarities:
    """The products of all parameters, by group; spec and states of the target, then of the source."""

    def __init__(
        self,
        specs: tuple[PermutationSpec, PermutationSpec],
        targets: Sequence[State],
        sources: Sequence[State],
    ) -> None:
        self._products: dict[str, list[Product]] = {group: [] for group in specs[0].sizes}
        self._coupled: dict[str, list[Product]] = {group: [] for group in specs[0].sizes}
        self._couplings: dict[Blocks, list[Coupling]] = {each: [] for each in specs[0].blocks}
        for name in specs[0].axes:
            axes = specs[0].axes[name], specs[1].axes[name]
            tensors = [[state[name] for state in states] for states in (targets, sources)]
            coupled = self._couple(axes[0], tensors)
            plain = [_plain(axis, each) for axis, each in zip(axes, tensors, strict=True)]
            for place, (axis, source_axis) in enumerate(zip(plain[0][0], plain[1][0], strict=True)):
                start, source_start = 0, 0
                for one, other in zip(axis or (), source_axis or (), strict=True):
                    if one.group is not None:
                        ranges = (
                            (start, one.size, one.size // one.repeat),
                            (source_start, other.size, other.size // other.repeat),
                        )
                        product = Product(plain[0][1], plain[1][1], (plain[0][0], plain[1][0]), place, ranges)
                        self._products[one.group].append(product)
                        if one.group in coupled:
                            self._coupled[one.group].append(product)
                    start, source_start = start + one.size, source_start + other.size

    def _couple(self, axes: Sequence[Axis | Within | None], tensors: list[list[torch.Tensor]]) -> set[str]:
        """Note the couplings of a grouped convolution's weight and return the groups that they couple."""
        if len(axes) < 2 or not isinstance(axes[1], Within):
            return set()
        within, coupled = axes[1], set()
        assert isinstance(axes[0], tuple)
        for blocks in self._couplings:
            rows, columns = (_stretches(axis, within.count, blocks) for axis in (axes[0], within.axis))
            for stretch in rows.keys() & columns.keys():
                pair = rows[stretch], columns[stretch]
                sides = [
                    _by_block([t.detach().cpu() for t in each], within.count, stretch, pair)
                    for each in tensors
                ]
                names = str(pair[0].group), str(pair[1].group)
                self._couplings[blocks].append(Coupling(*names, *sides))
                coupled |= set(names)
        return coupled

    def of(self, group: str, indices: Indices) -> torch.Tensor:
        """Return S with S[i, j] the gain of matching unit i of the target to unit j of the source."""
        first, *rest = [product.value(indices) for product in self._products[group]]
        return sum(rest, first)

    def uncoupled(self, blocks: Blocks, indices: Indices) -> dict[str, torch.Tensor]:
        """Return, for each group in these blocks, S but for what couples it to another one of them."""
        return {group: self._sum(group, self._uncoupled(group), indices) for group in blocks.groups}

    def couplings(self, blocks: Blocks) -> list[Coupling]:
        """Return the weights that depend on two groups of these blocks at once."""
        return self._couplings[blocks]

    def _uncoupled(self, group: str) -> list[Product]:
        return [product for product in self._products[group] if product not in self._coupled[group]]

    def _sum(self, group: str, products: Sequence[Product], indices: Indices) -> torch.Tensor:
        if not products:
            return self._products[group][0].zeros()
        first, *rest = [product.value(indices) for product in products]
        return sum(rest, first)

    def given(self, group: str, indices: Indices, settled: Collection[str]) -> torch.Tensor:
        """Return the part of the similarity that depends on the permutations of `settled` groups alone.

        Units that it cannot tell apart, as those of a pruned network without any weight there, are compared
        by what no permutation changes of their other weights: the sorted values.
        """
        products, coupled = self._products[group], self._coupled[group]
        own = [product for product in products if product not in coupled]
        known = [product for product in own if product.others <= set(settled)]
        if not known and coupled:
            return products[0].zeros()
        known = known or own
        first, *rest = [product.exact(indices) for product in known]
        similarity = sum(rest, first)
        fingerprints = [product.fingerprints() for product in known]
        left, right = (_repeated(sum(side)) for side in zip(*fingerprints, strict=True))
        open_ = [product for product in products if product not in known]
        if len(left) and len(right) and open_:
            similarity = similarity.clone()  # a product keeps its value
            similarity[left[:, None], right] += sum(p.regardless_of_order(left, right) for p in open_)
        return similarity

    def gain(
        self, group: str, indices: Indices, rows: torch.Tensor, old: torch.Tensor, new: torch.Tensor
    ) -> float:
        return sum(product.gain(indices, rows, old, new) for product in self._products[group])

    def norms(self, group: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the norms of the concatenated weight vectors of the units of target and source."""
        squares = [product.squares() for product in self._products[group]]
        return sum(a for a, _ in squares) ** 0.5, sum(b for _, b in squares) ** 0.5  # type: ignore[return-value]
