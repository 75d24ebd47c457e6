"""Makes the barriers of a plan and their ids; quick, because a sweep may ask for a million of them."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from raysweep.choices import choose
from raysweep.digest import canonical, digest_of
from raysweep.plan.applied_permutations import AppliedPermutation
from raysweep.plan.identity import BARRIER_VERSION, BarrierJob, Network
from raysweep.sweep.schema import Compare

Key = TypeVar("Key")


class BarrierMaker:
    """Makes barriers that share the settings of a sweep.

    The id of a barrier is the digest of a list: what is compared and how, its networks, the reference and
    the path, and the moves. The canonical text of each part is made once and put together again and again.
    """

    def __init__(self, compare: Compare, threads: int) -> None:
        self._compare, self._threads = compare, threads
        self._heads = _Texts[tuple[Any, ...]](
            lambda key: canonical(["barrier", BARRIER_VERSION, self._how(*key)])
        )
        self._networks = _Texts[Network | None](lambda network: canonical(str(network)))
        self._moves = _Texts[AppliedPermutation | None](
            lambda move: canonical(asdict(move) if move else None)
        )

    def make(
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
        statistics: str = "kept",
    ) -> BarrierJob:
        """Return a comparison with its id."""
        text = (
            f"{self._heads[interpolation, kind, statistics, hybrid][:-1]},"
            f"[{','.join(map(self._networks.__getitem__, networks))}],"
            f"[{','.join(map(self._networks.__getitem__, (reference, *path)))}],"
            f"[{','.join(map(self._moves.__getitem__, moves))}]]"
        )
        return BarrierJob(
            digest_of(text),
            interpolation,
            kind,
            method,
            group,
            networks,
            moves,
            reference,
            statistics,
            path,
            hybrid,
            across,
        )

    def _how(
        self, interpolation: str, kind: str, statistics: str, hybrid: tuple[str, int] | None
    ) -> dict[str, Any]:
        """The grid and the examples belong to the identity; the splits do not (there is a row for each)."""
        compare = self._compare
        grids = {"pair": compare.alphas, "simplex": compare.subdivisions, "mean": None}
        return {
            "interpolation": interpolation,
            "kind": kind,
            "statistics": statistics,
            "hybrid": hybrid,
            "grid": choose("interpolation", interpolation, grids),
            "examples": compare.train_examples,
            "threads": self._threads,
            "device": compare.device,
        }


class _Texts(dict[Key, str]):
    """Texts of keys, made when they are first asked for."""

    def __init__(self, make: Callable[[Key], str]) -> None:
        self._make = make

    def __missing__(self, key: Key) -> str:
        text = self[key] = self._make(key)
        return text
