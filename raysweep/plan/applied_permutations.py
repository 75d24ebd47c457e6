"""The permutations that are applied to networks before they are compared.

Each says what it is made of; `identity` returns that for ids. Its keys are part of every stored id, so they
stay as they are whatever the fields are called.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FoundPermutation:
    """The permutation that an alignment found.

    It is inverted where it was found in the other direction (`inverse`). A joint alignment found one for each
    network; `member` is the position of the network.
    """

    alignment_id: str
    inverse: bool
    member: int | None = None

    @property
    def alignments(self) -> tuple[str, ...]:
        return (self.alignment_id,)

    def identity(self) -> dict[str, Any]:
        return {"alignment_id": self.alignment_id, "inverse": self.inverse, "member": self.member}


@dataclass(frozen=True, slots=True)
class ComposedPermutation:
    """Permutations that are applied one after the other, beginning with the first."""

    steps: tuple[FoundPermutation, ...]

    @property
    def alignments(self) -> tuple[str, ...]:
        return tuple(step.alignment_id for step in self.steps)

    def identity(self) -> dict[str, Any]:
        return {"moves": [step.identity() for step in self.steps]}


@dataclass(frozen=True, slots=True)
class HybridPermutation:
    """The permutation `first` in these layer groups and `second` in all others."""

    first: FoundPermutation
    second: FoundPermutation
    groups: tuple[str, ...]

    @property
    def alignments(self) -> tuple[str, ...]:
        return (self.first.alignment_id, self.second.alignment_id)

    def identity(self) -> dict[str, Any]:
        return {
            "first": self.first.identity(),
            "second": self.second.identity(),
            "groups": list(self.groups),
        }


AppliedPermutation = FoundPermutation | ComposedPermutation | HybridPermutation
