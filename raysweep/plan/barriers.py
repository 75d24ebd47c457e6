"""Barrier jobs and their ids. Making one is quick, because a sweep may ask for ten million of them."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Generic, TypeVar

import numpy as np

from raysweep.choices import choose
from raysweep.digest import canonical
from raysweep.plan.applied_permutations import AppliedPermutation
from raysweep.plan.barrier_table import Barriers, Part
from raysweep.plan.identity import Comparison, Network
from raysweep.plan.later import in_id
from raysweep.plan.measures import measures_of
from raysweep.plan.versions import BARRIER_VERSION, CUDA_BARRIER_VERSION
from raysweep.store.ids import BYTES, PACKED, Ids
from raysweep.sweep.compare import Compare
from raysweep.vocabulary import Interpolation

Item = TypeVar("Item")
AT_ONCE = 10_000  # rows that are Python's numbers at a time


class Numbered(Generic[Item]):
    """Items, each with a number and the text that stands for it in ids; None has the number 0."""

    def __init__(self, text_of: Callable[[Item | None], Any]) -> None:
        self._text_of = text_of
        self._numbers: dict[Item | None, int] = {}
        self.items: list[Item | None] = []
        self.texts: list[str] = []
        self.number(None)

    def number(self, item: Item | None) -> int:
        """Return the number of an item."""
        found = self._numbers.get(item)
        if found is None:
            found = self._numbers[item] = len(self.items)
            self.items.append(item)
            self.texts.append(canonical(self._text_of(item)))
        return found


@dataclass
class _Gathered:
    """A part of the table that grows; `calls` says in which call each row was added."""

    like: Comparison
    how: str
    count: int
    width: int
    rows: "array[int]" = field(default_factory=lambda: array("i"))
    ids: bytearray = field(default_factory=bytearray)
    calls: "array[int]" = field(default_factory=lambda: array("i"))

    def part(self) -> Part:
        numbers = np.frombuffer(self.rows, np.int32).reshape(-1, self.width)
        return Part(self.like, self.how, self.count, numbers, np.frombuffer(self.ids, PACKED))


class BarrierMaker:
    """Makes the barriers of comparisons that share the settings of a sweep.

    The id of a barrier is the digest of a list: what is compared and how, its networks, the reference and the
    path, and the applied permutations. The canonical text of each part is made once and used again and again.
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
        head = part.how[:-1]
        networks, permutations = self.networks.texts, self.permutations.texts
        for start in range(0, len(rows), AT_ONCE):
            for row in rows[start : start + AT_ONCE].tolist():
                text = (
                    f"{head},"
                    f"[{','.join([networks[number] for number in row[:count]])}],"
                    f"[{','.join([networks[number] for number in row[2 * count :]])}],"
                    f"[{','.join([permutations[number] for number in row[count : 2 * count]])}]]"
                )
                part.ids += sha256(text.encode()).digest()[:BYTES]
        part.rows.frombytes(rows.tobytes())
        part.calls.extend([self._calls] * len(rows))
        self._calls += 1

    def table(self) -> Barriers:
        """Return all barriers; of those that were added several times, the last addition counts."""
        gathered = list(self._gathered.values())
        parts = [each.part() for each in gathered]
        ids = np.concatenate([np.empty(0, PACKED), *(part.ids for part in parts)])
        if Ids(ids).repeated():
            calls = np.concatenate([np.frombuffer(each.calls, np.int32) for each in gathered])
            order = np.lexsort((calls, ids))
            kept = np.ones(len(ids), bool)
            kept[order[:-1][ids[order[1:]] == ids[order[:-1]]]] = False
            ends = np.cumsum([len(part.ids) for part in parts])[:-1]
            parts = [part.only(chosen) for part, chosen in zip(parts, np.split(kept, ends), strict=True)]
        parts = [part for part in parts if len(part.ids)]
        return Barriers(self.networks.items, self.permutations.items, parts, self._measures)

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
