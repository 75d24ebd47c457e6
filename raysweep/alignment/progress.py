"""How far a method is that takes long, so that another process can go on from there."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch

from raysweep.symmetry import Permutation

Tensors = dict[str, torch.Tensor]


class Progress:
    """What a method notes of itself; this one finds nothing and keeps nothing.

    `found` are the tensors, on the CPU, that were noted last in a process that was ended before the method
    was done; it is empty where a method starts.
    """

    def __init__(self, found: Mapping[str, torch.Tensor] | None = None) -> None:
        self.found: Mapping[str, torch.Tensor] = found or {}

    def note(self, compute: Callable[[], Tensors]) -> None:
        """Keep the tensors that `compute` returns, which is called only when it is time for that."""


def part(tensors: Mapping[str, torch.Tensor], name: str) -> Tensors:
    """Return the tensors whose names begin with `name/`, without it."""
    return {key.removeprefix(f"{name}/"): each for key, each in tensors.items() if key.startswith(f"{name}/")}


def named(name: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Return the tensors under `name/`; `part` is the way back."""
    return {f"{name}/{key}": each for key, each in tensors.items()}


def tensors_of(permutations: Sequence[Permutation]) -> Tensors:
    """Return permutations without factors as tensors; `stored_permutations` is the way back."""
    return {
        f"permutation/{member}/{group}": index
        for member, permutation in enumerate(permutations)
        for group, index in permutation.indices.items()
    }


def stored_permutations(tensors: Mapping[str, torch.Tensor], groups: Iterable[str]) -> list[Permutation]:
    """Return the permutations of these groups, in their order, among tensors that `tensors_of` returned."""
    found = part(tensors, "permutation")
    members = sorted({int(name.partition("/")[0]) for name in found})
    return [Permutation({group: found[f"{member}/{group}"] for group in groups}) for member in members]
