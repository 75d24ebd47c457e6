"""Permutations of the hidden units of a network, one per layer group, with scales, signs and rotations."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

TOLERANCE = 1e-6  # of the entries of rotations and of their products with their transposes


@dataclass(frozen=True)
class Permutation:
    """Indices by group: unit i of the permuted network is unit `indices[group][i]` of the network.

    Each value is an int64 tensor of shape (units,) on the CPU that holds 0..units-1 once each. With
    `factors`, by group in float64 of shape (units,), it is a monomial matrix: unit i is then
    factors[group][i] times that unit (see `Scaling`). Groups without factors have factors of 1. With
    `rotations`, by group in float64 of shape (blocks, units of a block, units of a block), the permuted units
    of each block are then multiplied by an orthogonal matrix (see `Rotation`). Raises `ValueError` for other
    indices, for factors and rotations that do not fit them, and for a factor that is zero or not finite.
    """

    indices: Mapping[str, torch.Tensor]
    factors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    rotations: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group, index in self.indices.items():
            if not isinstance(index, torch.Tensor):
                raise TypeError(f"group {group}: expected a tensor of int64, not a {type(index).__name__}")
            if index.dtype != torch.int64 or not torch.equal(index.sort().values, torch.arange(len(index))):
                raise ValueError(f"group {group}: not a permutation of 0..{len(index) - 1}, as int64")
        for group, factor in self.factors.items():
            if group not in self.indices or factor.shape != self.indices[group].shape:
                raise ValueError(f"group {group}: its factors do not fit its units")
            if not bool((factor.isfinite() & (factor != 0)).all()):
                raise ValueError(f"group {group}: a factor is zero or not finite")
        for group, matrices in self.rotations.items():
            _check_rotation(group, matrices, self.indices)
            if group in self.factors:
                raise ValueError(f"group {group}: its units have factors or rotations, not both")

    @staticmethod
    def identity(sizes: Mapping[str, int]) -> "Permutation":
        """Return the permutation that leaves every unit in place; `sizes` are the units of each group."""
        return Permutation({group: torch.arange(size) for group, size in sizes.items()})

    @staticmethod
    def random(sizes: Mapping[str, int], generator: torch.Generator) -> "Permutation":
        """Draw one uniformly, group by group; `sizes` are the units of each group."""
        return Permutation({g: torch.randperm(size, generator=generator) for g, size in sizes.items()})

    def inverse(self) -> "Permutation":
        """Return the permutation that undoes this one."""
        indices = {group: index.argsort() for group, index in self.indices.items()}
        factors = {group: 1 / f[indices[group]] for group, f in self.factors.items()}
        rotations = {g: _reordered(r.transpose(1, 2), indices[g]) for g, r in self.rotations.items()}
        return Permutation(indices, factors, rotations)

    def compose(self, first: "Permutation") -> "Permutation":
        """Return the permutation that applies `first` and then this one.

        Raises `ValueError` when the groups or their sizes differ.
        """
        check_permutation(first)
        if self.sizes() != first.sizes():
            raise ValueError("permutations of different groups cannot be composed")
        factors = dict(self.factors)
        for group, factor in first.factors.items():
            moved = factor[self.indices[group]]
            factors[group] = factors[group] * moved if group in factors else moved
        rotations = dict(self.rotations)
        for group, rotation in first.rotations.items():
            moved = _reordered(rotation, self.indices[group])
            rotations[group] = rotations[group] @ moved if group in rotations else moved
        indices = {group: first.indices[group][index] for group, index in self.indices.items()}
        return Permutation(indices, factors, rotations)

    def fixed_points(self) -> dict[str, float]:
        """Return, by group, the share of units that stay in place, and that no rotation mixes with others."""
        still = {group: index == torch.arange(len(index)) for group, index in self.indices.items()}
        for group, rotation in self.rotations.items():
            own = rotation.diagonal(dim1=1, dim2=2).reshape(-1)
            still[group] = still[group] & (own > 1 - TOLERANCE)
        return {group: each.double().mean().item() for group, each in still.items()}

    def agreement(self, other: "Permutation") -> dict[str, float]:
        """Return, by group, the share of units on which two permutations agree.

        Raises `ValueError` when the groups or their sizes differ.
        """
        return self.compose(other.inverse()).fixed_points()

    def share_of_fixed_points(self, other: "Permutation | None" = None) -> float:
        """Return the share of all units on which it agrees with another permutation, by default the identity.

        The share is 1 where there are no units. Raises `ValueError` when the groups or their sizes differ.
        """
        shares = self.agreement(other) if other else self.fixed_points()
        sizes = self.sizes()
        total = sum(sizes.values())
        return sum(shares[group] * size for group, size in sizes.items()) / total if total else 1.0

    def moving(self) -> set[str]:
        """Return the groups in which at least one unit moves."""
        return {g for g, index in self.indices.items() if not torch.equal(index, torch.arange(len(index)))}

    def sizes(self) -> dict[str, int]:
        """Return the number of units of every group."""
        return {group: len(index) for group, index in self.indices.items()}


def check_permutation(value: object) -> None:
    """Raise `TypeError` for anything but a permutation."""
    if not isinstance(value, Permutation):
        raise TypeError(f"expected a Permutation, not a value of type {type(value).__name__}")


def _check_rotation(group: str, matrices: torch.Tensor, indices: Mapping[str, torch.Tensor]) -> None:
    blocks, rows, columns = matrices.shape
    if group not in indices or rows != columns or blocks * rows != len(indices[group]):
        raise ValueError(f"group {group}: its rotations do not fit its units")
    change = matrices @ matrices.transpose(1, 2) - torch.eye(rows, dtype=matrices.dtype)
    if not bool((change.abs() < TOLERANCE).all()):
        raise ValueError(f"group {group}: a rotation is not orthogonal")


def _reordered(matrices: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return P R P^T for rotations R of blocks of units, and the permutation P with these indices."""
    blocks, size, _ = matrices.shape
    order, inside = index.view(blocks, size)[:, 0] // size, index.view(blocks, size) % size
    return matrices[order[:, None, None], inside[:, :, None], inside[:, None, :]]
