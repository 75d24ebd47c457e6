"""What a sweep that prunes asks for in addition: barriers at each level, and the branches of its chains."""

from itertools import combinations

from raysweep.choices import choose
from raysweep.plan.applied_permutations import FoundPermutation
from raysweep.plan.comparisons import Comparisons
from raysweep.plan.identity import AlignmentJob, Network, Trial
from raysweep.plan.trials import Trials
from raysweep.sweep.branches import BRANCHES
from raysweep.sweep.schema import Sections
from raysweep.vocabulary import Kind, LevelPermutation, LevelPoint, MaskPermutation

Pair = tuple[Trial, Trial]


class Levels:
    """Adds the comparisons and branches of chains that differ in the replicate alone.

    `dense` is the setting of their dense trials, which may be listed in another one that shares them.
    """

    def __init__(
        self, sections: Sections, trials: Trials, comparisons: Comparisons, chains: list[Trial], dense: str
    ) -> None:
        assert sections.prune is not None
        self._sections, self._prune = sections, sections.prune
        self._trials, self._comparisons, self._chains = trials, comparisons, chains
        self._dense = dense

    def compare(self) -> None:
        """Add the barriers of all pairs at every level, at the rewind point and at the end."""
        for pair in combinations(self._chains, 2):
            for level in range(self._prune.levels + 1):
                for point in self._sections.compare.level_points:
                    if (level, point) != (0, LevelPoint.END):  # the dense ends are compared as in any sweep
                        self._pair(pair, level, point)

    def _pair(self, pair: Pair, level: int, point: str) -> None:
        compare, setting = self._sections.compare, self._setting(pair[0], level)
        networks = (self._network(pair[0], level, point), self._network(pair[1], level, point))
        if Kind.UNALIGNED in compare.kinds:
            self._comparisons.unaligned(setting, networks)
        if Kind.DIRECT not in compare.kinds:
            return
        levels = dict.fromkeys(_found_at(each, level) for each in compare.level_permutations)
        for method in self._sections.align.methods:
            for at in levels:
                toward = self._network(pair[0], at, LevelPoint.END)
                found = self._alignment(method, pair, at).toward(toward)
                self._comparisons.direct(setting, networks, method, found)

    def branches(self) -> None:
        """Add the branches that the sweep names: a trial for each chain, or for each partner of a chain."""
        for branch in self._prune.branches:
            add = self._transport if BRANCHES[branch].of_others else self._own_masks
            for chain in self._chains:
                add(chain, branch)

    def _own_masks(self, chain: Trial, branch: str) -> None:
        self._trials.branch(chain, branch, chain)

    def _transport(self, chain: Trial, branch: str) -> None:
        method = self._sections.align.methods[0]
        for partner in _partners(chain, self._chains, self._prune.transport.partners):
            for permutation in self._prune.transport.permutations:
                found: dict[int, FoundPermutation] = {}
                if permutation != MaskPermutation.NONE:
                    for level in range(1, self._prune.levels + 1):
                        at = _found_at(permutation, level)
                        toward = self._network(chain, at, LevelPoint.END)
                        found[level] = self._alignment(method, (chain, partner), at).toward(toward)
                self._trials.branch(chain, branch, partner, permutation, found)

    def _alignment(self, method: str, pair: Pair, level: int) -> AlignmentJob:
        ends = self._network(pair[0], level, LevelPoint.END), self._network(pair[1], level, LevelPoint.END)
        return self._comparisons.alignment(method, self._setting(pair[0], level), ends)

    def _network(self, chain: Trial, level: int, point: str) -> Network:
        assert chain.parent is not None
        extent = self._trials.extents[chain.trial_id]
        step = choose("level point", point, {LevelPoint.REWIND: extent.start, LevelPoint.END: extent.total})
        return Network(chain.trial_id if level else chain.parent, level, step)

    def _setting(self, chain: Trial, level: int) -> str:
        return chain.setting if level else self._dense


def _found_at(permutation: str, level: int) -> int:
    """The level at which a permutation is found: level 0 (`dense`), or the level at which it is applied."""
    return choose("permutation", permutation, {LevelPermutation.DENSE: 0, LevelPermutation.LEVEL: level})


def _partners(chain: Trial, chains: list[Trial], partners: str) -> list[Trial]:
    """The chains whose masks are tried on this chain's rewind point."""
    at = chains.index(chain)
    others = chains[at + 1 :] + chains[:at]
    return choose("partners", partners, {"next": others[:1], "all": others})
