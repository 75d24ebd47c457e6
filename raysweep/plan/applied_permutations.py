"""How a network is moved before it is compared: by an alignment, by several in turn, or by a mix of two."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Move:
    """An alignment that is applied to a network.

    `inverse`: it was found in the other direction. `member`: whose permutation of a joint alignment it is.
    """

    alignment_id: str
    inverse: bool
    member: int | None = None

    @property
    def alignments(self) -> tuple[str, ...]:
        return (self.alignment_id,)


@dataclass(frozen=True, slots=True)
class Path:
    """Moves that are applied one after the other, the first one first."""

    moves: tuple[Move, ...]

    @property
    def alignments(self) -> tuple[str, ...]:
        return tuple(move.alignment_id for move in self.moves)


@dataclass(frozen=True, slots=True)
class Hybrid:
    """The permutation `first` in the groups of that name and `second` in all others."""

    first: Move
    second: Move
    groups: tuple[str, ...]

    @property
    def alignments(self) -> tuple[str, ...]:
        return (self.first.alignment_id, self.second.alignment_id)


AppliedPermutation = Move | Path | Hybrid
