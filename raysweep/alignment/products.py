"""Similarities of the units of two networks as sums of matrix products that are kept and updated.

A parameter along whose axis a group lies contributes L^T R[index] to the similarity of that group: L and R
hold the parameter of the target and of the source as (entries of all other axes, units), and `index`
carries out the current permutations of those other axes. If these change in a few rows, only the products of
those rows are updated, which makes late iterations cheap.

Products are formed on the device of the states. Permutations are on the CPU, where they are found: what has
changed is decided there, so that a product on a GPU waits for no synchronisation.

The weight of a grouped convolution whose blocks cannot move is treated as that of a plain convolution, with
zeros between the blocks. If the blocks can move, it couples two groups (see `couplings`).
"""

from collections.abc import Collection, Mapping, Sequence

import torch

from raysweep.alignment.couplings import Coupled, couplings
from raysweep.alignment.totals import total
from raysweep.symmetry import PermutationSpec
from raysweep.symmetry.axes import Axis, Blocks, Within, groups_of, segments
from raysweep.symmetry.selection import flat_selection
from raysweep.symmetry.settling import Axes

State = Mapping[str, torch.Tensor]
Indices = Mapping[str, torch.Tensor]
_Plain = tuple[tuple[Axis | None, ...], list[torch.Tensor]]  # axes and tensors
UPDATED = 0.4  # above this share of changed rows a new product is cheaper, without accumulated rounding


class Product:
    """The contribution of one segment of one axis of one parameter to the similarity of a group."""

    def __init__(
        self,
        targets: Sequence[torch.Tensor],
        sources: Sequence[torch.Tensor],
        axes: tuple[tuple[Axis | None, ...], tuple[Axis | None, ...]],
        dimension: int,
        ranges: tuple[tuple[int, int, int], tuple[int, int, int]],
    ) -> None:
        """`ranges`: start, entries and units of the segment along axis `dimension`, of target and source."""
        self._left = torch.cat([_rows(tensor, dimension, ranges[0]) for tensor in targets])
        self._right = torch.cat([_rows(tensor, dimension, ranges[1]) for tensor in sources])
        self._networks = len(sources)
        self._repeat = ranges[1][1] // ranges[1][2]
        self._others = [
            (size, axis)
            for other, (size, axis) in enumerate(zip(sources[0].shape, axes[1], strict=True))
            if other != dimension
        ]
        self.others = {group for _, axis in self._others for group in groups_of(axis)}
        self._index: torch.Tensor | None = None
        self._value: torch.Tensor | None = None

    def value(self, indices: Indices) -> torch.Tensor:
        """Return the contribution, shape (units of the target, units of the source)."""
        index = self._current(indices)
        if self._index is not None and self._value is not None:
            changed = (index != self._index).nonzero().squeeze(1)
            if len(changed) <= UPDATED * len(index):
                if len(changed):
                    new, old = self._here(index[changed]), self._here(self._index[changed])
                    step = self._right[new] - self._right[old]
                    self._value = torch.addmm(self._value, self._left[self._here(changed)].T, step)
                    self._index = index
                return self._value
        self._index, self._value = index, self._left.T @ self._right[self._here(index)]
        return self._value

    def gain(
        self, indices: Indices, rows: torch.Tensor, old: torch.Tensor, new: torch.Tensor
    ) -> torch.Tensor:
        """Return the gain of rematching target units `rows` from source units `old` to `new`, in float64."""
        right = self._right[self._here(self._current(indices))].double()
        step = right[:, self._here(new)] - right[:, self._here(old)]
        return (self._left[:, self._here(rows)].double() * step).sum()

    def squares(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the squared norms of the target's and the source's units, in float64."""
        return self._left.double().square().sum(0), self._right.double().square().sum(0)

    def exact(self, indices: Indices) -> torch.Tensor:
        """Return the contribution, in float64 for a vector, which may be the only difference of two units."""
        if len(self._left) > 1:
            return self.value(indices)
        return self._left.double().T @ self._right[self._here(self._current(indices))].double()

    def fingerprints(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a number for each unit of target and source that is the same for units of equal weights."""
        sides = self._left, self._right
        left, right = (torch.linspace(1, 2, len(t), device=t.device).to(t) @ t for t in sides)
        return left, right

    def regardless_of_order(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor | float:
        """Return the inner products of the sorted weights of these units (0 if their numbers differ)."""
        if len(self._left) != len(self._right):
            return 0.0
        one, other = self._left[:, left].sort(dim=0).values, self._right[:, right].sort(dim=0).values
        return one.T @ other

    def _current(self, indices: Indices) -> torch.Tensor:
        """Return the index of the source's rows that carries out these permutations, on the CPU."""
        flat = flat_selection(self._others, self._networks, indices)
        along = torch.arange(self._repeat)
        return (flat[:, None] * self._repeat + along).reshape(-1)

    def _here(self, index: torch.Tensor) -> torch.Tensor:
        return index.to(self._right.device, non_blocking=True)


def _rows(tensor: torch.Tensor, dimension: int, segment: tuple[int, int, int]) -> torch.Tensor:
    """Return a segment as (entries of all other axes and repeats, units)."""
    start, size, units = segment
    part = tensor.detach().narrow(dimension, start, size).movedim(dimension, -1)
    part = part.to(torch.promote_types(part.dtype, torch.float32))
    return (
        part.reshape(*part.shape[:-1], units, size // units).transpose(-1, -2).reshape(-1, units).contiguous()
    )


def _plain(axes: Axes, tensors: list[torch.Tensor]) -> _Plain:
    """Return the weights of a grouped convolution as those of a plain one, with zeros between its blocks."""
    within = axes[1] if len(axes) > 1 else None
    if isinstance(within, Within):
        tensors = [_dense(tensor, within.count) for tensor in tensors]
    return tuple(segments(axis) or None for axis in axes), tensors


def _dense(tensor: torch.Tensor, count: int) -> torch.Tensor:
    rows, columns, *rest = tensor.shape
    dense = tensor.new_zeros(count, rows // count, count, columns, *rest)
    blocks = torch.arange(count, device=tensor.device)
    dense[blocks, :, blocks] = tensor.detach().view(count, rows // count, columns, *rest)
    return dense.view(rows, count * columns, *rest)


def _repeated(values: torch.Tensor) -> torch.Tensor:
    """Return the positions of the values that occur more than once."""
    _, kinds, counts = values.unique(return_inverse=True, return_counts=True)
    repeated: torch.Tensor = (counts[kinds] > 1).nonzero().squeeze(1)
    return repeated


class Similarities:
    """The products of all parameters, by group; `specs` are those of the target and of the source."""

    def __init__(
        self,
        specs: tuple[PermutationSpec, PermutationSpec],
        targets: Sequence[State],
        sources: Sequence[State],
    ) -> None:
        self._products: dict[str, list[Product]] = {group: [] for group in specs[0].sizes}
        self._coupled: dict[str, list[Coupled]] = {group: [] for group in specs[0].sizes}
        for name in specs[0].axes:
            axes = specs[0].axes[name], specs[1].axes[name]
            tensors = [state[name] for state in targets], [state[name] for state in sources]
            found, covered = couplings(axes, tensors, specs[0].blocks)
            for each in found:
                self._coupled[each.group].append(each)
            self._multiply(axes, tensors, covered)

    def _multiply(
        self,
        axes: tuple[Axes, Axes],
        tensors: tuple[list[torch.Tensor], list[torch.Tensor]],
        covered: set[tuple[int, int]],
    ) -> None:
        """Add the products of a parameter, but for the segments that couplings cover."""
        own = tuple(segments(axis) for axis in axes[0]), tuple(segments(axis) for axis in axes[1])
        plain: tuple[_Plain, _Plain] | None = None
        for dimension, (axis, source_axis) in enumerate(zip(*own, strict=True)):
            start, source_start = 0, 0
            for one, other in zip(axis, source_axis, strict=True):
                if one.group is not None and (dimension, start) not in covered:
                    ranges = (
                        (start, one.size, one.size // one.repeat),
                        (source_start, other.size, other.size // other.repeat),
                    )
                    plain = plain or (_plain(axes[0], tensors[0]), _plain(axes[1], tensors[1]))
                    both = plain[0][0], plain[1][0]
                    product = Product(plain[0][1], plain[1][1], both, dimension, ranges)
                    self._products[one.group].append(product)
                start, source_start = start + one.size, source_start + other.size

    def of(self, group: str, indices: Indices) -> torch.Tensor:
        """Return S with S[i, j] the gain of matching unit i of the target to unit j of the source."""
        coupled = [each.value(indices) for each in self._coupled[group]]
        return sum(coupled, self._uncoupled(group, indices)) if coupled else self._uncoupled(group, indices)

    def uncoupled(self, blocks: Blocks, indices: Indices) -> dict[str, torch.Tensor]:
        """Return, for each group in these blocks, S without the couplings to other groups of the blocks."""
        return {
            group: sum(
                (c.value(indices) for c in self._coupled[group] if c.partner not in blocks.groups),
                self._uncoupled(group, indices),
            )
            for group in blocks.groups
        }

    def couplings(self, blocks: Blocks, indices: Indices) -> list[Coupled]:
        """Return the couplings between the groups of these blocks, given the permutations of others."""
        within = [each for group in blocks.groups for each in self._coupled[group]]
        return [each.given(indices) for each in within if each.partner in blocks.groups]

    def _uncoupled(self, group: str, indices: Indices) -> torch.Tensor:
        if not self._products[group]:
            return self._coupled[group][0].zeros()
        first, *rest = [product.value(indices) for product in self._products[group]]
        return sum(rest, first)

    def given(self, group: str, indices: Indices, settled: Collection[str]) -> torch.Tensor:
        """Return the part of the similarity that depends on the permutations of `settled` groups alone.

        Units that have equal values there, as in a pruned network without any weight there, are also compared
        by their other weights in sorted order, which no permutation changes. Couplings between groups whose
        blocks move together are left out.
        """
        products, coupled = self._products[group], self._coupled[group]
        known = [product for product in products if product.others <= set(settled)]
        if not known and coupled:
            return coupled[0].zeros()
        known = known or products
        first, *rest = [product.exact(indices) for product in known]
        similarity = sum(rest, first)
        fingerprints = [product.fingerprints() for product in known]
        left, right = (_repeated(sum(side)) for side in zip(*fingerprints, strict=True))
        open_: list[Product | Coupled] = [product for product in products if product not in known]
        open_ += coupled
        if len(left) and len(right) and open_:
            similarity = similarity.clone()  # a product keeps its value
            similarity[left[:, None], right] += sum(p.regardless_of_order(left, right) for p in open_)
        return similarity

    def gain(
        self, group: str, indices: Indices, rows: torch.Tensor, old: torch.Tensor, new: torch.Tensor
    ) -> float:
        """Return the gain of rematching target units `rows` from source units `old` to `new`, in float64."""
        return total(product.gain(indices, rows, old, new) for product in self._all(group))

    def norms(self, group: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the norms of the concatenated weight vectors of the units of target and source."""
        squares = [product.squares() for product in self._all(group)]
        return sum(a for a, _ in squares) ** 0.5, sum(b for _, b in squares) ** 0.5

    def _all(self, group: str) -> list[Product | Coupled]:
        return [*self._products[group], *self._coupled[group]]
