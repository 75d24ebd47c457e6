"""Barrier jobs and their ids. Making one is quick, because a sweep may ask for ten million of them."""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from raysweep.choices import choose
from raysweep.digest import canonical
from raysweep.plan.applied_permutations import AppliedPermutation
from raysweep.plan.barrier_ids import Texts
from raysweep.plan.barrier_table import Barriers, Part
from raysweep.plan.identity import Comparison, Network
from raysweep.plan.later import in_id
from raysweep.plan.measures import measures_of
from raysweep.plan.versions import BARRIER_VERSION, CUDA_BARRIER_VERSION
from raysweep.sweep.compare import Compare
from raysweep.vocabulary import Interpolation

Item = TypeVar("Item")


class Numbered(Generic[Item]):
    """Items, each with a number and the text that stands for it in ids; None has the number 0."""

    def __init__(self, text_of: Callable[[Item | None], Any]) -> None:
        self._text_of = text_of
        self._numbers: dict[Item | None, int] = {}
        self.items: list[Item | None] = []
        self.texts: list[bytes] = []
        self.number(None)

    def number(self, item: Item | None) -> int:
        """Return the number of an item."""
        found = self._numbers.get(item)
        if found is None:
            found = self._numbers[item] = len(self.items)
            self.items.append(item)
            self.texts.append(canonical(self._text_of(item)).encode())
        return found


@dataclass
class _Gathered:
    """A part of the table that grows; `calls` says which calls added rows, and `sizes` how many each."""

    like: Comparison
    how: str
    count: int
    width: int
    rows: "array[int]" = field(default_factory=lambda: array("i"))
    calls: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    @property
    def numbers(self) -> np.ndarray:
        return np.frombuffer(self.rows, np.int32).reshape(-1, self.width)


class BarrierMaker:
    """Makes the barriers of comparisons that share the settings of a sweep.

    `networks` and `permutations` have the numbers by which `add` is told of them.
    """

    def __init__(self, compare: Compare, threads: int) -> None:
        self._compare, self._threads, self._measures = compare, threads, measures_of(compare)
        self._version = CUDA_BARRIER_VERSION if compare.device == "cuda" else BARRIER_VERSION
        self.networks = Numbered[Network](str)
        self.permutations = Numbered[AppliedPermutation](
            lambda applied: applied.identity() if applied else None
        )
        self._gathered: dict[tuple[object, ...], _Gathered] = {}
        self._calls = 0

    def add_one(self, comparison: Comparison) -> None:
        """Add a comparison. Raises `ValueError` for an unknown interpolation."""
        c, networks = comparison, self.networks.number
        row = [*map(networks, c.networks), *map(self.permutations.number, c.permutations)]
        row += map(networks, (c.reference, *c.path))
        self.add(comparison, len(c.networks), np.array([row], np.int32))

    def add(self, like: Comparison, count: int, rows: np.ndarray) -> None:
        """Add comparisons of `count` networks that are like one but for networks and permutations.

        `rows` has a row for each: the numbers of its networks, of the permutations that are applied to them,
        of the reference, and of the networks on the path. Raises `ValueError` for an unknown interpolation.
        """
        part = self._part(like, count, rows.shape[1])
        part.rows.frombytes(rows.tobytes())
        part.calls.append(self._calls)
        part.sizes.append(len(rows))
        self._calls += 1

    def table(self) -> Barriers:
        """Return all barriers; of those that were added several times, the last addition counts.

        Barriers have one id where they have one text, and that is where they are alike and have the same
        numbers.
        """
        known = Texts(self.networks.texts, self.permutations.texts)
        parts = {key: Part(g.like, g.how, g.count, g.numbers, known) for key, g in self._gathered.items()}
        alike: defaultdict[tuple[str, int, int], list[tuple[object, ...]]] = defaultdict(list)
        for key, each in self._gathered.items():
            alike[each.how, each.count, each.width].append(key)
        for keys in alike.values():
            for key, kept in zip(keys, _last([self._gathered[key] for key in keys]), strict=False):
                parts[key] = parts[key].only(kept)
        some = [part for part in parts.values() if len(part.numbers)]
        return Barriers(self.networks.items, self.permutations.items, some, self._measures)

    def _part(self, c: Comparison, count: int, width: int) -> _Gathered:
        alike = (c.interpolation, c.kind, c.method, c.setting, c.hybrid, c.across, c.statistics)
        key = (*alike, count, width)
        found = self._gathered.get(key)
        if found is None:
            head = self._how(c.interpolation, c.kind, c.statistics, c.hybrid)
            how = canonical(["barrier", self._version, head])
            found = self._gathered[key] = _Gathered(c, how, count, width)
        return found

    def _how(
        self, interpolation: str, kind: str, statistics: str, hybrid: tuple[str, int] | None
    ) -> dict[str, Any]:
        """The grid and the examples belong to the identity, but not the splits, which have a row each."""
        compare = self._compare
        grids = {
            Interpolation.PAIR: compare.alphas,
            Interpolation.SIMPLEX: compare.subdivisions,
            Interpolation.MEAN: None,
        }
        numerics = {name: getattr(compare, name) for name in ("device", "compile", "precision")}
        return {
            "interpolation": interpolation,
            "kind": kind,
            "statistics": statistics,
            "hybrid": hybrid,
            "grid": choose("interpolation", interpolation, grids),
            "examples": compare.train_examples,
            "threads": self._threads,
            **in_id("compare", numerics),
        }


def _last(gathered: list[_Gathered]) -> Iterator[np.ndarray]:
    """Yield for each of these which of its rows are not in it or another one once more, by a later call.

    Yields nothing where there are no such rows, which is found by numbers that stand for them.
    """
    keys = np.concatenate([_keys(each.numbers) for each in gathered])
    ordered = np.sort(keys)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return
    places = np.flatnonzero(np.isin(keys, twice))
    rows = np.concatenate([each.numbers for each in gathered])[places]
    calls = np.concatenate([np.repeat(each.calls, each.sizes) for each in gathered])[places]
    order = np.lexsort((calls, *rows.T))
    same = (rows[order[1:]] == rows[order[:-1]]).all(axis=1)
    kept = np.ones(len(keys), bool)
    kept[places[order[:-1][same]]] = False
    yield from np.split(kept, np.cumsum([len(each.numbers) for each in gathered])[:-1])


def _keys(rows: np.ndarray) -> np.ndarray:
    """A number for each row, the same for equal rows and, but for rare chances, another for others."""
    factors = np.random.default_rng(0).integers(2**63, size=rows.shape[1:], dtype=np.uint64) * 2 + 1
    found = np.zeros(len(rows), np.uint64)
    for column in range(rows.shape[1]):
        found += rows[:, column].astype(np.uint64) * factors[column]
    return found
