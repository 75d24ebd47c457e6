"""Which alignments and barriers a sweep asks for: pairs, triples, paths and means of replicates."""

from collections.abc import Iterable
from itertools import combinations, pairwise, permutations

from raysweep.choices import check_names
from raysweep.digest import digest
from raysweep.plan.applied_permutations import AppliedPermutation, Move, Path
from raysweep.plan.barriers import BarrierMaker
from raysweep.plan.identity import (
    ALIGNMENT_VERSION,
    OWN_NETWORKS_VERSION,
    AgreementJob,
    AlignmentJob,
    BarrierJob,
    Network,
    make_agreement,
    make_alignment,
    make_joint,
)
from raysweep.sweep.schema import Align, Compare

Pair = tuple[Network, Network]


class Comparisons:
    """Collects alignments and barriers.

    `batchnorm` names the groups whose networks have BatchNorm, `own` those of a user's own networks.
    """

    def __init__(self, align: Align, compare: Compare) -> None:
        self._align, self._compare = align, compare
        self._maker = BarrierMaker(compare, align.threads)
        self._moves: dict[tuple[str, Network, Network], Move] = {}
        self.batchnorm: set[str] = set()
        self.own: set[str] = set()
        self.alignments: dict[str, AlignmentJob] = {}
        self.barriers: dict[str, BarrierJob] = {}
        self.agreements: dict[str, AgreementJob] = {}
        self._pairs: dict[tuple[object, ...], Pair] = {}

    def version(self, group: str) -> int:
        """The version of the alignments of a group's networks."""
        return OWN_NETWORKS_VERSION if group in self.own else ALIGNMENT_VERSION

    def alignment(self, method: str, group: str, pair: Pair) -> AlignmentJob:
        """Add the alignment of two networks."""
        job = make_alignment(method, group, *pair, self._align, self.version(group))
        return self.alignments.setdefault(job.alignment_id, job)

    def toward_first(self, method: str, group: str, pair: Pair) -> Move:
        """Add the alignment of two networks; returns how the second moves to the first.

        A move is made once: triples share the pairs that they are made of.
        """
        key = (method, *pair)
        if key not in self._moves:
            self._moves[key] = self.alignment(method, group, pair).toward(pair[0])
        return self._moves[key]

    def group(self, group: str, networks: list[Network]) -> None:
        """Add all pairs and triples of networks that differ in the replicate alone."""
        kinds, ordered = self._compare.kinds, sorted(networks)
        if "unaligned" in kinds:
            for pair in combinations(ordered, 2):
                self.unaligned(group, pair)
        add = {
            "direct": self._pairs_of,
            "via": self._triples_of,
            "joint": self._sets_of,
            "composed": self._paths_of,
        }
        check_names("kind", kinds, ("unaligned", *add))
        for method in self._align.methods:
            for kind in add:
                if kind in kinds:
                    add[kind](method, group, ordered)
        for size in self._compare.mean_networks:
            for chosen in combinations(ordered, size):
                self._means(group, chosen)

    def _pairs_of(self, method: str, group: str, networks: list[Network]) -> None:
        for pair in combinations(networks, 2):
            self.direct(group, pair, method, self.toward_first(method, group, pair))

    def _triples_of(self, method: str, group: str, networks: list[Network]) -> None:
        for triple in combinations(networks, 3):
            self._via(method, group, triple)

    def _sets_of(self, method: str, group: str, networks: list[Network]) -> None:
        for size in self._compare.joint_networks:
            for chosen in combinations(networks, size):
                self._joint(method, group, chosen)

    def _paths_of(self, method: str, group: str, networks: list[Network]) -> None:
        for size in self._compare.path_networks:
            self._paths(method, group, networks, size)
            self._cycles(method, group, networks, size)

    def unaligned(self, group: str, pair: Pair) -> None:
        """Add the barrier of two networks as they are."""
        if self._is_new(("unaligned", group), pair):
            self.add("pair", "unaligned", None, group, pair, (None, None))

    def direct(self, group: str, pair: Pair, method: str, move: Move) -> None:
        """Add the barrier between the first network and the second under a move toward the first."""
        if self._is_new((method, group, move.alignment_id), pair):
            self.add("pair", "direct", method, group, pair, (None, move))

    def _is_new(self, how: tuple[str, ...], pair: Pair) -> bool:
        """Whether a pair was not compared like this in its other order, which says the same."""
        return self._pairs.setdefault((*how, frozenset(pair)), pair) == pair

    def add(
        self,
        interpolation: str,
        kind: str,
        method: str | None,
        group: str,
        networks: tuple[Network, ...],
        moves: tuple[AppliedPermutation | None, ...],
        reference: Network | None = None,
        path: tuple[Network, ...] = (),
        hybrid: tuple[str, int] | None = None,
        across: str | None = None,
    ) -> None:
        """Add a comparison; one of networks with BatchNorm for each way to treat its statistics."""
        for statistics in self._compare.statistics if group in self.batchnorm else ["kept"]:
            made = self._maker.make(
                interpolation,
                kind,
                method,
                group,
                networks,
                moves,
                reference,
                path,
                hybrid,
                across,
                statistics,
            )
            self.barriers[made.barrier_id] = made

    def agree(
        self,
        kind: str,
        method: str,
        group: str,
        networks: tuple[Network, ...],
        moved: AppliedPermutation,
        against: AppliedPermutation | None,
    ) -> None:
        """Add the comparison of two permutations."""
        job = make_agreement(kind, method, group, networks, moved, against)
        self.agreements[job.agreement_id] = job

    def _via(self, method: str, group: str, triple: tuple[Network, ...]) -> None:
        for reference in triple:
            moves = self._toward(method, group, triple, reference)
            rest = tuple(network for network in triple if network != reference)
            moved = tuple(move for move in moves if move)
            self.add("pair", "via", method, group, rest, moved, reference)
            self.add("simplex", "via", method, group, triple, moves, reference)

    def _toward(
        self, method: str, group: str, networks: tuple[Network, ...], reference: Network
    ) -> tuple[Move | None, ...]:
        """How each network moves to the reference, which stays."""
        return tuple(
            None if n == reference else self.toward_first(method, group, (reference, n)) for n in networks
        )

    def _aligned_jointly(self, method: str, group: str, networks: tuple[Network, ...]) -> AlignmentJob:
        job = make_joint(method, group, networks, self._align, self.version(group))
        return self.alignments.setdefault(job.alignment_id, job)

    def _joint(self, method: str, group: str, networks: tuple[Network, ...]) -> None:
        job = self._aligned_jointly(method, group, networks)
        for pair in combinations(networks, 2):
            self.add("pair", "joint", method, group, pair, tuple(map(job.of, pair)))
        if len(networks) == 3:
            moves = tuple(map(job.of, networks))
            self.add("simplex", "joint", method, group, networks, moves)

    def _means(self, group: str, networks: tuple[Network, ...]) -> None:
        """Add the mean of n networks: as they are, aligned to each of them, and aligned jointly."""
        kinds, still = self._compare.kinds, (None,) * len(networks)
        if "unaligned" in kinds:
            self.add("mean", "unaligned", None, group, networks, still)
        for method in self._align.methods:
            if "via" in kinds:
                for reference in networks:
                    moves = self._toward(method, group, networks, reference)
                    self.add("mean", "via", method, group, networks, moves, reference)
            if "joint" in kinds:
                job = self._aligned_jointly(method, group, networks)
                moved = tuple(map(job.of, networks))
                self.add("mean", "joint", method, group, networks, moved)

    def _paths(self, method: str, group: str, networks: list[Network], size: int) -> None:
        """Add barriers between the ends of paths; the reverse of a path says the same."""
        for path in self._some(p for p in permutations(networks, size) if p[0] < p[-1]):
            ends, moved = (path[0], path[-1]), self._along(method, group, path)
            self.add("pair", "composed", method, group, ends, (None, moved), path=path)
            straight = self.toward_first(method, group, ends)
            self.agree("path", method, group, path, moved, straight)

    def _cycles(self, method: str, group: str, networks: list[Network], size: int) -> None:
        """Add barriers between a network and itself after a cycle; its direction does not matter."""
        for start in self._some(p for p in permutations(networks, size) if p[0] == min(p) and p[1] < p[-1]):
            path = (*start, start[0])
            ends, moved = (path[0], path[0]), self._along(method, group, path)
            self.add("pair", "composed", method, group, ends, (None, moved), path=path)
            self.agree("cycle", method, group, path, moved, None)

    def _along(self, method: str, group: str, path: tuple[Network, ...]) -> Path:
        """How the last network of a path moves to the first, one step after the other."""
        steps = reversed(list(pairwise(path)))
        return Path(tuple(self.toward_first(method, group, step) for step in steps))

    def _some(self, paths: Iterable[tuple[Network, ...]]) -> list[tuple[Network, ...]]:
        """At most `compare.paths` of them, drawn by their names: the draw does not depend on the others."""
        return sorted(paths, key=lambda path: digest([*map(str, path)]))[: self._compare.paths]
