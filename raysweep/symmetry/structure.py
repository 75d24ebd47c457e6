"""What of a network moves together, and what a permutation makes of its weights."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch

from raysweep.models.given import Network, state_of
from raysweep.models.versions import like
from raysweep.symmetry.axes import Axis, Blocks, Within, groups_of, length
from raysweep.symmetry.blocks import check_blocks, random_blocks
from raysweep.symmetry.kind import Kind
from raysweep.symmetry.left_alone import LeftAlone
from raysweep.symmetry.movement import Movement, bound_groups, movement
from raysweep.symmetry.permutation import Permutation, check_permutation
from raysweep.symmetry.rotation import Rotation, folded_state, rotated_state
from raysweep.symmetry.scaling import Scaling, scaled_state
from raysweep.symmetry.selection import selected
from raysweep.symmetry.settling import Axes


@dataclass(frozen=True)
class Structure:
    """The axes of a network that a permutation reorders.

    `axes[name][d]` is the list of segments along axis d of a parameter or buffer, or None where the axis
    stays in place. The symmetries are those of the network in evaluation mode, so a parameter that is only
    read in training (an auxiliary head) has no entry. `sizes[group]` is the number of units of a group, in
    the order of the network. `buffers` names tensors that are permuted but never matched: buffers, and
    further names of a tied parameter. Groups in `blocks` move inside blocks of units, and in whole blocks
    (grouped convolution, GroupNorm); all others move freely. `left_alone` lists the hidden units that stay in
    place, with the reason; inputs and outputs of the network are not hidden units. `scalings` says, by group,
    by what the units may be multiplied besides, and `rotations` by which orthogonal matrices; both are empty
    unless `with_scalings` or `with_rotations` has filled them. `sums` are the groups whose units are sums of
    what several operations compute: those of residual streams. `bounded` are those that an operation compares
    with constants, as a clamp does.
    """

    axes: Mapping[str, Axes]
    sizes: Mapping[str, int]
    buffers: frozenset[str]
    blocks: tuple[Blocks, ...] = ()
    left_alone: tuple[LeftAlone, ...] = ()
    scalings: Mapping[str, Scaling] = field(default_factory=dict)
    rotations: Mapping[str, Rotation] = field(default_factory=dict)
    sums: frozenset[str] = frozenset()
    bounded: frozenset[str] = frozenset()

    @property
    def movement(self) -> Movement:
        """How many hidden units move freely, how many only in blocks, and how many stay."""
        return movement(self.axes, self.sizes, self.blocks, self.left_alone)

    def kind(self, group: str) -> Kind:
        """Return which units a group has: those of a residual stream, of blocks, or all others."""
        if group in self.sums:
            return Kind.STREAM
        return Kind.BLOCKS if group in self._bound else Kind.INNER

    @cached_property
    def _bound(self) -> frozenset[str]:
        return bound_groups(self.axes, self.sizes, self.blocks)

    def folded(self, network: Network, groups: Collection[str] | None = None) -> dict[str, torch.Tensor]:
        """Return a network's state with the gains of its norms folded into the weights behind them.

        This is the form in which the units of `groups` (by default of all that have `rotations`) can be
        rotated, and in which rotated networks are compared. Its function is that of the network. Without
        gains in the way it is the state as it is. Raises `ValueError` for a gain that cannot be folded and
        for a state that does not fit the spec (see `check_state`), and `TypeError` for what is no network.
        """
        result = like(state_of(network, "network"))
        self.check_state(result)
        rotated = {g: each for g, each in self.rotations.items() if groups is None or g in groups}
        result.update(folded_state(result, self.axes, rotated))
        return result

    def random(self, generator: torch.Generator) -> Permutation:
        """Draw a permutation of every group uniformly from those that respect its blocks."""
        if not isinstance(generator, torch.Generator):
            kind = type(generator).__name__
            raise TypeError(f"expected a torch.Generator, as torch.Generator().manual_seed(0), not a {kind}")
        inside = {group for each in self.blocks for group in each.groups}
        free = {group: size for group, size in self.sizes.items() if group not in inside}
        indices = dict(Permutation.random(free, generator).indices)
        for each in self.blocks:
            indices |= random_blocks(each, self.sizes, generator)
        return Permutation({group: indices[group] for group in self.sizes})

    def apply(self, permutation: Permutation, network: Network) -> dict[str, torch.Tensor]:
        """Return a network's state with its units reordered, multiplied and rotated.

        Where units are rotated, gains are `folded` first. Tensors in which nothing changes are shared.
        `network` is a module or a state dict, whose versions of modules are kept. Names that the spec does
        not have are passed through. Raises `ValueError` for a permutation that does not fit this spec (see
        `check`), for factors and rotations that the `scalings` and `rotations` do not allow, and for a tensor
        that has to move but is missing or has another size, and `TypeError` for what is no network.
        """
        self.check(permutation)
        rotated = permutation.rotations
        result = self.folded(network, rotated) if rotated else like(state_of(network, "network"))
        moving = permutation.moving()
        for name, axes in self.axes.items():
            own = [not moving.isdisjoint(groups_of(axis)) for axis in axes]
            for dimension, axis in enumerate(axes):
                if axis is not None and own[dimension]:
                    _check_size(result, name, dimension, axis)
            if any(own):
                result[name] = selected(result[name], axes, permutation.indices, own)
        if permutation.factors:
            result.update(scaled_state(result, self.axes, self.scalings, permutation.factors))
        if rotated:
            result.update(rotated_state(result, self.axes, self.rotations, rotated))
        return result

    def check(self, permutation: Permutation) -> None:
        """Raise `ValueError` unless the permutation has the groups of this spec, their sizes and blocks."""
        check_permutation(permutation)
        sizes = permutation.sizes()
        if sizes == self.sizes:
            check_blocks(self.blocks, permutation.indices)
            return
        wrong = next(g for g in (*self.sizes, *sizes) if sizes.get(g) != self.sizes.get(g))
        raise ValueError(
            f"the permutation does not fit the network: group {wrong} has {sizes.get(wrong, 'no')} units in "
            f"the permutation and {self.sizes.get(wrong, 'none')} in the network"
        )

    def check_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Raise `ValueError` unless the state has every tensor of this spec, in its size where units lie."""
        for name, axes in self.axes.items():
            for dimension, axis in enumerate(axes):
                if axis is not None:
                    _check_size(state, name, dimension, axis)


def _check_size(state: Mapping[str, torch.Tensor], name: str, dimension: int, axis: Axis | Within) -> None:
    if name not in state:
        raise ValueError(f"the state has no tensor {name}")
    tensor, size = state[name], length(axis)
    if tensor.dim() <= dimension or tensor.shape[dimension] != size:
        raise ValueError(
            f"tensor {name}: expected {size} entries along axis {dimension}, not {tuple(tensor.shape)}"
        )
