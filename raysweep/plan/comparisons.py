"""Which alignments and barriers a sweep asks for: pairs, triples, paths and means of replicates."""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from heapq import nsmallest
from itertools import chain, combinations, pairwise, permutations

import numpy as np

from raysweep.choices import check_names
from raysweep.digest import digest
from raysweep.plan.alignments import alignment_version, make_agreement, make_alignment, make_joint
from raysweep.plan.applied_permutations import ComposedPermutation, FoundPermutation
from raysweep.plan.barrier_table import Barriers
from raysweep.plan.barriers import BarrierMaker
from raysweep.plan.identity import AgreementJob, AlignmentJob, Comparison, Network
from raysweep.plan.own_methods import aligns_jointly
from raysweep.sweep.align import Align
from raysweep.sweep.compare import Compare
from raysweep.vocabulary import AgreementKind, Interpolation, Kind, Statistics

Pair = tuple[Network, Network]
Networks = tuple[Network, ...]


def _without_running_statistics(statistics: Statistics) -> Statistics:
    return Statistics.REPAIRED if statistics == Statistics.REPAIRED else Statistics.KEPT


def _subsets(networks: list[Network], size: int) -> np.ndarray:
    """All choices of so many of these networks, by their positions, with a row for each."""
    chosen = combinations(range(len(networks)), size)
    return np.fromiter(chain.from_iterable(chosen), np.int32).reshape(-1, size)


def _like(interpolation: Interpolation, kind: Kind, method: str | None, setting: str) -> Comparison:
    """What comparisons of this kind share."""
    return Comparison(interpolation, kind, method, setting, (), ())


class Comparisons:
    """Collects alignments, barriers and agreements.

    `batchnorm` names the settings whose networks have BatchNorm, `own` those of a user's own networks.
    """

    def __init__(self, align: Align, compare: Compare) -> None:
        self._align, self._compare = align, compare
        self._maker = BarrierMaker(compare, align.threads)
        # Without BatchNorm there are no statistics to be recomputed.
        self._kept = list(dict.fromkeys(map(_without_running_statistics, compare.statistics)))
        self._found: dict[tuple[str, Network, Network], FoundPermutation] = {}
        self.batchnorm: set[str] = set()
        self.own: set[str] = set()
        self.alignments: dict[str, AlignmentJob] = {}
        self.agreements: dict[str, AgreementJob] = {}
        self._pairs: dict[tuple[object, ...], Pair] = {}
        self._aligns_jointly = lru_cache(aligns_jointly)

    def version(self, setting: str) -> int:
        """Return the version of the alignments of a setting's networks."""
        return alignment_version(setting in self.own)

    def align(self, job: AlignmentJob) -> AlignmentJob:
        """Add an alignment. Returns the one that was added first where several settings ask for it."""
        return self.alignments.setdefault(job.alignment_id, job)

    def alignment(self, method: str, setting: str, pair: Pair) -> AlignmentJob:
        """Add the alignment of two networks."""
        return self.align(make_alignment(method, setting, *pair, self._align, self.version(setting)))

    def toward_first(self, method: str, setting: str, pair: Pair) -> FoundPermutation:
        """Add the alignment of two networks; returns what brings the second close to the first.

        It is made once, because triples share the pairs that they consist of.
        """
        key = (method, *pair)
        if key not in self._found:
            self._found[key] = self.alignment(method, setting, pair).toward(pair[0])
        return self._found[key]

    def replicates(self, setting: str, networks: list[Network]) -> None:
        """Add all comparisons of networks that differ in the replicate alone."""
        kinds, ordered = self._compare.kinds, sorted(networks)
        if Kind.UNALIGNED in kinds:
            for pair in combinations(ordered, 2):
                self.unaligned(setting, pair)
        add = {
            Kind.DIRECT: self._all_pairs,
            Kind.VIA: self._all_triples,
            Kind.JOINT: self._all_joint,
            Kind.COMPOSED: self._all_paths,
        }
        check_names("kind", kinds, (Kind.UNALIGNED, *add))
        for method in self._align.methods:
            for kind, add_all in add.items():
                if kind in kinds:
                    add_all(method, setting, ordered)
        for size in self._compare.mean_networks:
            self._means(setting, ordered, size)

    def _all_pairs(self, method: str, setting: str, networks: list[Network]) -> None:
        for pair in combinations(networks, 2):
            self.direct(setting, pair, method, self.toward_first(method, setting, pair))

    def _all_triples(self, method: str, setting: str, networks: list[Network]) -> None:
        """Add triples, and the pairs in them, aligned to each of the three."""
        chosen = _subsets(networks, 3)
        if not len(chosen):
            return
        pair, simplex = (
            _like(each, Kind.VIA, method, setting) for each in (Interpolation.PAIR, Interpolation.SIMPLEX)
        )
        numbers, toward = self._numbers(networks), self._toward(method, setting, networks)
        for at in range(3):
            references, moved = numbers[chosen[:, at]], toward[chosen[:, [at]], chosen]
            others = np.delete(chosen, at, axis=1), np.delete(moved, at, axis=1)
            self._add_all(pair, numbers[others[0]], others[1], references)
            self._add_all(simplex, numbers[chosen], moved, references)

    def _all_joint(self, method: str, setting: str, networks: list[Network]) -> None:
        if not self._aligns_jointly(method):
            return
        for size in self._compare.joint_networks:
            chosen = _subsets(networks, size)
            numbers, found = self._numbers(networks)[chosen], self._jointly(method, setting, networks, chosen)
            parts = [(Interpolation.PAIR, list(members)) for members in combinations(range(size), 2)]
            parts += [(Interpolation.SIMPLEX, [0, 1, 2])] if size == 3 else []
            for interpolation, members in parts:
                like = _like(interpolation, Kind.JOINT, method, setting)
                self._add_all(like, numbers[:, members], found[:, members])

    def _all_paths(self, method: str, setting: str, networks: list[Network]) -> None:
        for size in self._compare.path_networks:
            self._paths(method, setting, networks, size)
            self._cycles(method, setting, networks, size)

    def unaligned(self, setting: str, pair: Pair) -> None:
        """Add the barrier of two networks as they are."""
        if self._is_new((Kind.UNALIGNED, setting), pair):
            self.add(Comparison(Interpolation.PAIR, Kind.UNALIGNED, None, setting, pair, (None, None)))

    def direct(self, setting: str, pair: Pair, method: str, found: FoundPermutation) -> None:
        """Add the barrier between the first network and the second under a permutation toward the first."""
        if self._is_new((method, setting, found.alignment_id), pair):
            self.add(Comparison(Interpolation.PAIR, Kind.DIRECT, method, setting, pair, (None, found)))

    def _is_new(self, how: tuple[str, ...], pair: Pair) -> bool:
        """Whether the pair was not compared in this way in its other order, which gives the same barrier."""
        return self._pairs.setdefault((*how, frozenset(pair)), pair) == pair

    def add(self, comparison: Comparison) -> None:
        """Add a comparison for each way to treat statistics."""
        for statistics in self._statistics(comparison.setting):
            same = statistics == comparison.statistics
            self._maker.add_one(comparison if same else replace(comparison, statistics=statistics))

    def _add_all(
        self,
        like: Comparison,
        networks: np.ndarray,
        permutations: np.ndarray,
        references: np.ndarray | None = None,
    ) -> None:
        """Add comparisons like one, given the numbers of their networks, permutations and references."""
        none = np.zeros(len(networks), np.int32)
        rows = np.column_stack([networks, permutations, none if references is None else references])
        for statistics in self._statistics(like.setting):
            self._maker.add(replace(like, statistics=statistics), networks.shape[1], rows)

    def _statistics(self, setting: str) -> list[Statistics]:
        return self._compare.statistics if setting in self.batchnorm else self._kept

    def barriers(self) -> Barriers:
        """Return all barriers that were added."""
        return self._maker.table()

    def agree(self, job: AgreementJob) -> None:
        """Add the comparison of two permutations."""
        self.agreements[job.agreement_id] = job

    def _numbers(self, networks: list[Network]) -> np.ndarray:
        return np.array([self._maker.networks.number(network) for network in networks], np.int32)

    def _toward(self, method: str, setting: str, networks: list[Network]) -> np.ndarray:
        """The numbers of what brings each network (column) close to each other one (row)."""
        found = np.zeros((len(networks), len(networks)), np.int32)
        for row, column in permutations(range(len(networks)), 2):
            applied = self.toward_first(method, setting, (networks[row], networks[column]))
            found[row, column] = self._maker.permutations.number(applied)
        return found

    def _aligned_jointly(self, method: str, setting: str, networks: Networks) -> AlignmentJob:
        return self.align(make_joint(method, setting, networks, self._align, self.version(setting)))

    def _jointly(self, method: str, setting: str, networks: list[Network], chosen: np.ndarray) -> np.ndarray:
        """The numbers of what joint alignments of chosen networks give to each of them."""
        found = []
        for row in chosen.tolist():
            members = tuple([networks[number] for number in row])
            job = self._aligned_jointly(method, setting, members)
            found.append([self._maker.permutations.number(job.of(network)) for network in members])
        return np.array(found, np.int32).reshape(chosen.shape)

    def _means(self, setting: str, networks: list[Network], size: int) -> None:
        """Add the means of n networks: as they are, aligned to each of them, and aligned jointly."""
        chosen = _subsets(networks, size)
        if not len(chosen):
            return
        kinds, mean, numbers = self._compare.kinds, Interpolation.MEAN, self._numbers(networks)
        if Kind.UNALIGNED in kinds:
            like = _like(mean, Kind.UNALIGNED, None, setting)
            self._add_all(like, numbers[chosen], np.zeros_like(chosen))
        for method in self._align.methods:
            if Kind.VIA in kinds:
                like, toward = _like(mean, Kind.VIA, method, setting), self._toward(method, setting, networks)
                for at in range(size):
                    moved = toward[chosen[:, [at]], chosen]
                    self._add_all(like, numbers[chosen], moved, numbers[chosen[:, at]])
            if Kind.JOINT in kinds and self._aligns_jointly(method):
                like = _like(mean, Kind.JOINT, method, setting)
                self._add_all(like, numbers[chosen], self._jointly(method, setting, networks, chosen))

    def _paths(self, method: str, setting: str, networks: list[Network], size: int) -> None:
        """Add barriers between the ends of paths; a path and its reverse give the same barrier."""
        for path in self._some(p for p in permutations(networks, size) if p[0] < p[-1]):
            composed = self._composed(method, setting, path)
            straight = self.toward_first(method, setting, (path[0], path[-1]))
            self.agree(make_agreement(AgreementKind.PATH, method, setting, path, composed, straight))

    def _cycles(self, method: str, setting: str, networks: list[Network], size: int) -> None:
        """Add barriers between a network and itself after a cycle, whose direction does not matter."""
        for start in self._some(p for p in permutations(networks, size) if p[0] == min(p) and p[1] < p[-1]):
            path = (*start, start[0])
            composed = self._composed(method, setting, path)
            self.agree(make_agreement(AgreementKind.CYCLE, method, setting, path, composed, None))

    def _composed(self, method: str, setting: str, path: Networks) -> ComposedPermutation:
        """Add the barrier of the ends of a path; returns what brings its last network close to its first."""
        steps = tuple(self.toward_first(method, setting, step) for step in reversed(list(pairwise(path))))
        composed, ends = ComposedPermutation(steps), (path[0], path[-1])
        self.add(
            Comparison(Interpolation.PAIR, Kind.COMPOSED, method, setting, ends, (None, composed), path=path)
        )
        return composed

    def _some(self, paths: Iterable[Networks]) -> list[Networks]:
        """At most `compare.paths` of them, drawn by their names, so that no path's draw depends on others."""
        return nsmallest(self._compare.paths, paths, key=lambda path: digest([*map(str, path)]))
