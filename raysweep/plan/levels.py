"""What a sweep that prunes asks for besides its trials: barriers by level, and the branches of its chains."""

from itertools import combinations

from raysweep.choices import choose
from raysweep.plan.applied_permutations import Move
from raysweep.plan.comparisons import Comparisons
from raysweep.plan.identity import AlignmentJob, Network, Trial
from raysweep.plan.trials import Family, Trials
from raysweep.sweep.schema import Prune, Sections

Pair = tuple[Trial, Trial]


class Levels:
    """Adds the comparisons and branches of one family of chains."""

    def __init__(self, sections: Sections, trials: Trials, comparisons: Comparisons, family: Family) -> None:
        assert sections.prune is not None
        self._sections, self._prune = sections, sections.prune
        self._trials, self._comparisons, self._family = trials, comparisons, family

    def compare(self) -> None:
        """Add the barriers of all pairs at every level, at the rewind point and at the end."""
        for pair in combinations(self._family.chains, 2):
            for level in range(self._prune.levels + 1):
                for point in self._sections.compare.level_points:
                    if (level, point) != (0, "end"):  # the dense ends are compared like those of any sweep
                        self._pair(pair, level, point)

    def _pair(self, pair: Pair, level: int, point: str) -> None:
        compare, group = self._sections.compare, self._group(pair[0], level)
        networks = (self._network(pair[0], level, point), self._network(pair[1], level, point))
        if "unaligned" in compare.kinds:
            self._comparisons.unaligned(group, networks)
        if "direct" not in compare.kinds:
            return
        found = dict.fromkeys(_found_at(each, level) for each in compare.level_permutations)
        for method in self._sections.align.methods:
            for at in found:
                toward = self._network(pair[0], at, "end")
                move = self._alignment(method, pair, at).toward(toward)
                self._comparisons.direct(group, networks, method, move)

    def branches(self) -> None:
        """Add the branches that the sweep names, a trial of its own for each chain (and partner)."""
        add = {
            "random": self._own_masks,
            "one_shot": self._own_masks,
            "reinitialise": self._own_masks,
            "transport": self._transport,
        }
        for branch in self._prune.branches:
            for chain in self._family.chains:
                choose("branch", branch, add)(chain, branch)

    def _own_masks(self, chain: Trial, branch: str) -> None:
        self._trials.branch(chain, branch, chain)

    def _transport(self, chain: Trial, branch: str) -> None:
        method = self._sections.align.methods[0]
        for partner in _partners(chain, self._family.chains, self._prune):
            for permutation in self._prune.transport.permutations:
                moves: dict[int, Move] = {}
                if permutation != "none":
                    for level in range(1, self._prune.levels + 1):
                        at = _found_at(permutation, level)
                        toward = self._network(chain, at, "end")
                        moves[level] = self._alignment(method, (chain, partner), at).toward(toward)
                self._trials.branch(chain, branch, partner, permutation, moves)

    def _alignment(self, method: str, pair: Pair, level: int) -> AlignmentJob:
        ends = self._network(pair[0], level, "end"), self._network(pair[1], level, "end")
        return self._comparisons.alignment(method, self._group(pair[0], level), ends)

    def _network(self, chain: Trial, level: int, point: str) -> Network:
        assert chain.parent is not None
        extent = self._trials.extents[chain.trial_id]
        step = choose("level point", point, {"rewind": extent.start, "end": extent.total})
        return Network(chain.trial_id if level else chain.parent, level, step)

    def _group(self, chain: Trial, level: int) -> str:
        assert chain.parent is not None
        return chain.group if level else self._trials.trials[chain.parent].group


def _found_at(permutation: str, level: int) -> int:
    """The level at which a permutation is found: `dense` at level 0, `level` where it is used."""
    return choose("permutation", permutation, {"dense": 0, "level": level})


def _partners(chain: Trial, chains: list[Trial], prune: Prune) -> list[Trial]:
    """The chains whose masks are tried on this chain's rewind point."""
    at = chains.index(chain)
    others = chains[at + 1 :] + chains[:at]
    return choose("partners", prune.transport.partners, {"next": others[:1], "all": others})
