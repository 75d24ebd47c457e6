"""Comparisons between configurations: narrow networks in wide ones, and networks of several tasks."""

from collections.abc import Iterator
from itertools import combinations

from raysweep.choices import choose
from raysweep.digest import digest
from raysweep.errors import UserError
from raysweep.plan.alignments import make_embedding
from raysweep.plan.applied_permutations import FoundPermutation
from raysweep.plan.comparisons import Comparisons
from raysweep.plan.identity import Comparison, Network, Trial, data_config
from raysweep.plan.layer_groups import group_blocks, group_sizes
from raysweep.plan.probes import has_running_statistics
from raysweep.plan.trials import Family, Trials
from raysweep.registry import is_own
from raysweep.sweep.methods import able
from raysweep.sweep.schema import Sections
from raysweep.vocabulary import DATA_KEYS, Across, Branch, Interpolation, Kind

KEYS = {  # the keys of `train` in which the two configurations may differ
    Across.WIDTHS: {"width"},
    Across.TASKS: set(DATA_KEYS),
}


class AcrossSettings:
    """Adds the comparisons between families that differ in their width, or in their task, alone."""

    def __init__(self, sections: Sections, trials: Trials, comparisons: Comparisons) -> None:
        self._align, self._compare = sections.align, sections.compare
        self._trials, self._comparisons = trials, comparisons

    def compare(self, families: list[Family]) -> None:
        """Add them. Raises `UserError` where `train` has no two such configurations."""
        add = {Across.WIDTHS: self._embed, Across.TASKS: self._tasks}
        for across in self._compare.across:
            compare, pairs = choose("across", across, add), list(_pairs(families, KEYS[across]))
            if not pairs:
                raise UserError(
                    f"compare.across = {across}: train has no two configurations that differ in nothing but "
                    f"{', '.join(sorted(KEYS[across]))}; give a list there"
                )
            for one, other in pairs:
                compare(one, other)

    def _embed(self, one: Family, other: Family) -> None:
        """Add every narrow network in every wide one of another replicate."""
        narrow, wide = sorted((one, other), key=lambda family: family.training.width)
        setting = self._setting(Across.WIDTHS, wide, narrow)
        for small, large in _strangers(narrow, wide):
            pair = (self._trials.end(large), self._trials.end(small))
            self._pair(setting, Kind.UNALIGNED, None, pair, Across.WIDTHS)
            for method in self._methods(Across.WIDTHS):
                version = self._comparisons.version(setting)
                job = make_embedding(method, setting, pair[1], pair[0], self._align, version)
                found = (self._comparisons.align(job).toward(job.target), None)
                self._add(setting, Kind.EMBEDDED, method, pair, found, Across.WIDTHS)

    def _tasks(self, one: Family, other: Family) -> None:
        """Add pairs of two tasks, evaluated on either, and permutations of each task applied in the other."""
        configs = [self._trials.model(family.dense[0]) for family in (one, other)]
        units = [(group_sizes(config), group_blocks(config)) for config in configs]
        if units[0] != units[1]:
            raise UserError(
                f"compare.across = tasks: the hidden units of {configs[0].model} differ between the two tasks"
            )
        wholes = [data_config(family.training, 0).whole() for family in (one, other)]
        for target, source in ((one, other), (other, one)):
            self._transfer(source, target)
        if configs[0] == configs[1]:
            self._between(one, other)
            if wholes[0] != wholes[1]:
                self._between(other, one)

    def _transfer(self, source: Family, target: Family) -> None:
        """Add pairs of one task under the permutations of the same replicates of another task."""
        if Kind.DIRECT not in self._compare.kinds:
            return
        ends = {trial.replicate: self._trials.end(trial) for trial in source.dense}
        both = [trial for trial in target.dense if trial.replicate in ends]  # imports may be fewer there
        for runs in combinations(sorted(both, key=lambda trial: trial.replicate), 2):
            pair = (self._trials.end(runs[0]), self._trials.end(runs[1]))
            for method in self._align.methods:
                there = (ends[runs[0].replicate], ends[runs[1].replicate])
                found = self._comparisons.toward_first(method, source.dense[0].setting, there)
                self._add(target.dense[0].setting, Kind.TRANSFERRED, method, pair, (None, found))

    def _between(self, here: Family, there: Family) -> None:
        """Add pairs of two tasks, evaluated on the data of the first."""
        setting = self._setting(Across.TASKS, here, there)
        for one, other in _strangers(here, there):
            pair = (self._trials.end(one), self._trials.end(other))
            self._pair(setting, Kind.UNALIGNED, None, pair, Across.TASKS)
            for method in self._methods(Across.TASKS):
                self._pair(setting, Kind.DIRECT, method, pair, Across.TASKS)

    def _pair(
        self, setting: str, kind: Kind, method: str | None, pair: tuple[Network, Network], across: Across
    ) -> None:
        if kind not in self._compare.kinds:
            return
        found = self._comparisons.toward_first(method, setting, pair) if method else None
        self._add(setting, kind, method, pair, (None, found), across)

    def _add(
        self,
        setting: str,
        kind: Kind,
        method: str | None,
        pair: tuple[Network, Network],
        found: tuple[FoundPermutation | None, ...],
        across: Across | None = None,
    ) -> None:
        self._comparisons.add(
            Comparison(Interpolation.PAIR, kind, method, setting, pair, found, across=across)
        )

    def _methods(self, across: Across) -> list[str]:
        methods = self._align.methods if Kind.DIRECT in self._compare.kinds else []
        return [method for method in methods if method in able(across)]

    def _setting(self, across: Across, first: Family, second: Family) -> str:
        """The setting of comparisons between two families, in which the order of the two matters."""
        setting = digest(["across", across, first.dense[0].setting, second.dense[0].setting])
        if has_running_statistics(self._trials.model(first.dense[0])):
            self._comparisons.batchnorm.add(setting)
        if is_own(first.training.model):
            self._comparisons.own.add(setting)
        return setting


def _pairs(families: list[Family], keys: set[str]) -> Iterator[tuple[Family, Family]]:
    for one, other in combinations(families, 2):
        if one.training.model_dump(exclude=keys) == other.training.model_dump(exclude=keys):
            yield one, other


def _strangers(ones: Family, others: Family) -> Iterator[tuple[Trial, Trial]]:
    """Pairs of different replicates, because the same replicate has the same seeds; imports have any."""
    for one in ones.dense:
        for other in others.dense:
            if one.replicate != other.replicate or one.branch == Branch.IMPORTED:
                yield one, other
