"""Barrier jobs and their ids. Making one is quick, because a sweep may ask for a million of them."""

from collections.abc import Callable
from typing import Any, TypeVar

from raysweep.choices import choose
from raysweep.digest import canonical, digest_of
from raysweep.plan.applied_permutations import AppliedPermutation
from raysweep.plan.identity import BarrierJob, Comparison, Network
from raysweep.plan.later import in_id
from raysweep.plan.measures import measurement, measures_of
from raysweep.plan.versions import BARRIER_VERSION, CUDA_BARRIER_VERSION
from raysweep.sweep.compare import Compare
from raysweep.vocabulary import Interpolation

Key = TypeVar("Key")


class BarrierMaker:
    """Makes the barrier jobs of comparisons that share the settings of a sweep.

    The id of a barrier is the digest of a list: what is compared and how, its networks, the reference and the
    path, and the applied permutations. The canonical text of each part is made once and used again and again.
    """

    def __init__(self, compare: Compare, threads: int) -> None:
        self._compare, self._threads, self._measures = compare, threads, measures_of(compare)
        version = CUDA_BARRIER_VERSION if compare.device == "cuda" else BARRIER_VERSION
        self._heads = _Texts[tuple[Any, ...]](lambda key: canonical(["barrier", version, self._how(*key)]))
        self._network = _Texts[Network | None](lambda network: canonical(str(network))).__getitem__
        self._permutation = _Texts[AppliedPermutation | None](
            lambda applied: canonical(applied.identity() if applied else None)
        ).__getitem__

    def make(self, comparison: Comparison) -> BarrierJob:
        """Return the job of a comparison. Raises `ValueError` for an unknown interpolation."""
        c = comparison
        head = self._heads[c.interpolation, c.kind, c.statistics, c.hybrid]
        text = (
            f"{head[:-1]},"
            f"[{','.join(map(self._network, c.networks))}],"
            f"[{','.join(map(self._network, (c.reference, *c.path)))}],"
            f"[{','.join(map(self._permutation, c.permutations))}]]"
        )
        barrier_id = digest_of(text)
        measurements = tuple(measurement(measure, barrier_id) for measure in self._measures)
        return BarrierJob(barrier_id, comparison, head, measurements)

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


class _Texts(dict[Key, str]):
    """Texts of keys, made when they are first asked for."""

    def __init__(self, make: Callable[[Key], str]) -> None:
        self._make = make

    def __missing__(self, key: Key) -> str:
        text = self[key] = self._make(key)
        return text
