"""Which alignments and barriers a sweep asks for: pairs and triples of replicates."""

from itertools import combinations

from raysweep.sweep.identity import (
    AlignmentUnit,
    BarrierUnit,
    Move,
    Network,
    make_alignment,
    make_barrier,
    make_joint,
)
from raysweep.sweep.names import JOINT_METHODS
from raysweep.sweep.schema import Align, Compare

Pair = tuple[Network, Network]


class Comparisons:
    """Collects alignments and barriers; `batchnorm` names the groups whose networks have BatchNorm."""

    def __init__(self, align: Align, compare: Compare) -> None:
        self._align, self._compare = align, compare
        self.batchnorm: set[str] = set()
        self.alignments: dict[str, AlignmentUnit] = {}
        self.barriers: dict[str, BarrierUnit] = {}

    def alignment(self, method: str, group: str, pair: Pair) -> AlignmentUnit:
        """Add the alignment of two networks."""
        unit = make_alignment(method, group, *pair, self._align)
        return self.alignments.setdefault(unit.alignment_id, unit)

    def group(self, group: str, networks: list[Network]) -> None:
        """Add all pairs and triples of networks that differ in the replicate alone."""
        kinds, ordered = self._compare.kinds, sorted(networks)
        if "unaligned" in kinds:
            for pair in combinations(ordered, 2):
                self.unaligned(group, pair)
        for method in self._align.methods:
            if "direct" in kinds:
                for pair in combinations(ordered, 2):
                    self.direct(group, pair, method, self.alignment(method, group, pair).toward(pair[0]))
            if "via" in kinds:
                for triple in combinations(ordered, 3):
                    self._via(method, group, triple)
            if "joint" in kinds and method in JOINT_METHODS:
                for size in self._compare.joint_networks:
                    for chosen in combinations(ordered, size):
                        self._joint(method, group, chosen)

    def unaligned(self, group: str, pair: Pair) -> None:
        """Add the barrier of two networks as they are."""
        self._barrier("pair", "unaligned", group, pair)

    def direct(self, group: str, pair: Pair, method: str, move: Move) -> None:
        """Add the barrier between the first network and the second under a move toward the first."""
        self._barrier("pair", "direct", group, pair, method, (None, move))

    def _via(self, method: str, group: str, triple: tuple[Network, ...]) -> None:
        for reference in triple:
            moves = tuple(
                None
                if network == reference
                else self.alignment(method, group, (network, reference)).toward(reference)
                for network in triple
            )
            rest = tuple(network for network in triple if network != reference)
            self._barrier("pair", "via", group, rest, method, tuple(m for m in moves if m), reference)
            self._barrier("simplex", "via", group, triple, method, moves, reference)

    def _joint(self, method: str, group: str, networks: tuple[Network, ...]) -> None:
        unit = make_joint(method, group, networks, self._align)
        self.alignments[unit.alignment_id] = unit
        for pair in combinations(networks, 2):
            self._barrier("pair", "joint", group, pair, method, tuple(map(unit.of, pair)))
        if len(networks) == 3:
            self._barrier("simplex", "joint", group, networks, method, tuple(map(unit.of, networks)))

    def _barrier(
        self,
        interpolation: str,
        kind: str,
        group: str,
        networks: tuple[Network, ...],
        method: str | None = None,
        moves: tuple[Move | None, ...] = (),
        reference: Network | None = None,
    ) -> None:
        compare, threads = self._compare, self._align.threads
        for statistics in compare.statistics if group in self.batchnorm else ["kept"]:
            unit = make_barrier(
                interpolation, kind, group, networks, compare, threads, method, moves, reference, statistics
            )
            self.barriers[unit.barrier_id] = unit
