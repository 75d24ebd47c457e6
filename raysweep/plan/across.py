"""Comparisons between configurations: narrow networks in wide ones, and networks of several tasks."""

from collections.abc import Iterator
from itertools import combinations

from raysweep.choices import choose
from raysweep.digest import digest
from raysweep.errors import UserError
from raysweep.models.names import is_custom
from raysweep.plan.comparisons import Comparisons
from raysweep.plan.identity import Network, Trial, data_config, make_embedding
from raysweep.plan.probes import group_blocks, group_sizes, has_running_statistics
from raysweep.plan.trials import Family, Trials
from raysweep.sweep.schema import Sections
from raysweep.vocabulary import BY_WEIGHTS

KEYS = {  # what a task is, and what a width is, among the keys of `train`
    "widths": {"width"},
    "tasks": {"dataset", "split_seed", "half", "fraction", "examples", "subset_seed", "pixel_seed"},
}


class Across:
    """Adds the comparisons between families that differ in their width, or in their task, alone."""

    def __init__(self, sections: Sections, trials: Trials, comparisons: Comparisons) -> None:
        self._align, self._compare = sections.align, sections.compare
        self._trials, self._comparisons = trials, comparisons

    def compare(self, families: list[Family]) -> None:
        """Add them. Raises `UserError` where `train` has no two such configurations."""
        add = {"widths": self._embed, "tasks": self._tasks}
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
        group = self._group("widths", wide, narrow)
        for small, large in _strangers(narrow, wide):
            pair = (self._trials.end(large), self._trials.end(small))
            self._pair(group, "unaligned", None, pair, "widths")
            for method in self._methods():
                job = make_embedding(method, group, pair[1], pair[0], self._align)
                self._comparisons.alignments.setdefault(job.alignment_id, job)
                moves = (job.toward(job.target), None)
                self._comparisons.add("pair", "embedded", method, group, pair, moves, across="widths")

    def _tasks(self, one: Family, other: Family) -> None:
        """Add pairs of two tasks, evaluated on either, and permutations of each task applied in the other."""
        configs = [self._trials.model(family.dense[0]) for family in (one, other)]
        units = [(group_sizes(config), group_blocks(config)) for config in configs]
        if units[0] != units[1]:
            raise UserError(f"compare.across = tasks: {configs[0].model} has other hidden units on the two")
        wholes = [data_config(family.training, 0).whole() for family in (one, other)]
        for target, source in ((one, other), (other, one)):
            self._transfer(source, target)
        if configs[0] == configs[1]:
            self._between(one, other)
            if wholes[0] != wholes[1]:
                self._between(other, one)

    def _transfer(self, source: Family, target: Family) -> None:
        """Add pairs of one task under the permutations of the same replicates of another task."""
        if "direct" not in self._compare.kinds:
            return
        found = {trial.replicate: self._trials.end(trial) for trial in source.dense}
        for runs in combinations(sorted(target.dense, key=lambda trial: trial.replicate), 2):
            pair = (self._trials.end(runs[0]), self._trials.end(runs[1]))
            for method in self._align.methods:
                there = (found[runs[0].replicate], found[runs[1].replicate])
                move = self._comparisons.toward_first(method, source.dense[0].group, there)
                group = target.dense[0].group
                self._comparisons.add("pair", "transferred", method, group, pair, (None, move))

    def _between(self, here: Family, there: Family) -> None:
        """Add pairs of two tasks, evaluated on the data of the first."""
        group = self._group("tasks", here, there)
        for one, other in _strangers(here, there):
            pair = (self._trials.end(one), self._trials.end(other))
            self._pair(group, "unaligned", None, pair, "tasks")
            for method in self._methods():
                self._pair(group, "direct", method, pair, "tasks")

    def _pair(
        self, group: str, kind: str, method: str | None, pair: tuple[Network, Network], across: str
    ) -> None:
        if kind not in self._compare.kinds:
            return
        move = self._comparisons.toward_first(method, group, pair) if method else None
        self._comparisons.add("pair", kind, method, group, pair, (None, move), across=across)

    def _methods(self) -> list[str]:
        return [m for m in self._align.methods if m in BY_WEIGHTS and "direct" in self._compare.kinds]

    def _group(self, across: str, first: Family, second: Family) -> str:
        group = digest(["across", across, first.dense[0].group, second.dense[0].group])
        if has_running_statistics(self._trials.model(first.dense[0])):
            self._comparisons.batchnorm.add(group)
        if is_custom(first.training.model):
            self._comparisons.own.add(group)
        return group


def _pairs(families: list[Family], keys: set[str]) -> Iterator[tuple[Family, Family]]:
    for one, other in combinations(families, 2):
        if one.training.model_dump(exclude=keys) == other.training.model_dump(exclude=keys):
            yield one, other


def _strangers(ones: Family, others: Family) -> Iterator[tuple[Trial, Trial]]:
    """Pairs of other replicates: the same one has the same seeds."""
    for one in ones.dense:
        for other in others.dense:
            if one.replicate != other.replicate:
                yield one, other
