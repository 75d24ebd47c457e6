"""The ids of barriers and of their measurements, many at once, because a sweep may have ten million of them.

The id of a barrier is the digest of a list: what is compared and how, its networks, the reference and the
path, and the applied permutations. The canonical text of each part is made once and used again and again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import repeat

import numpy as np

from raysweep.plan.identity import Measure
from raysweep.store.ids import BYTES, PACKED, texts

AT_ONCE = 10_000  # rows that are Python's numbers at a time


@dataclass(frozen=True)
class Texts:
    """The canonical texts of networks and of applied permutations, by their numbers."""

    networks: Sequence[bytes]
    permutations: Sequence[bytes]


def barrier_ids(how: str, count: int, numbers: np.ndarray, known: Texts) -> np.ndarray:
    """Return the ids (rows,) of barriers of `count` networks, whose texts begin with those of `how`.

    `numbers` has a row for each: the numbers of its networks, of the permutations that are applied to them,
    of the reference, and of the networks on the path.
    """
    return _ids(numbers, lambda some: _texts(how, count, some, known))


def measurement_ids(measure: Measure, barriers: np.ndarray) -> np.ndarray:
    """Return the ids of the measurements of barriers, given the barriers' ids."""
    head = measure.how[:-1]
    return _ids(barriers, lambda some: (f'{head},"{each}"]'.encode() for each in texts(some)))


def _ids(rows: np.ndarray, identities: Callable[[np.ndarray], Iterable[bytes]]) -> np.ndarray:
    """Return the ids of rows, given the identities of some of them."""
    parts = (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))
    return np.concatenate([np.empty(0, PACKED), *(_digests(identities(some)) for some in parts)])


def _texts(how: str, count: int, numbers: np.ndarray, known: Texts) -> Iterator[bytes]:
    """The canonical text of the identity of each barrier."""
    columns = numbers.T
    networks = [map(known.networks.__getitem__, column.tolist()) for column in columns[:count]]
    others = [map(known.networks.__getitem__, column.tolist()) for column in columns[2 * count :]]
    moves = [map(known.permutations.__getitem__, column.tolist()) for column in columns[count : 2 * count]]
    between = [f"{how[:-1]},[".encode(), *[b","] * (len(columns) - 1), b"]]"]
    between[count] = between[len(columns) - count] = b"],["
    pieces: list[Iterable[bytes]] = [repeat(between[0])]
    for items, after in zip((*networks, *others, *moves), between[1:], strict=True):
        pieces += [items, repeat(after)]
    return map(b"".join, zip(*pieces, strict=False))


def _digests(identities: Iterable[bytes]) -> np.ndarray:
    digests = b"".join([sha256(each).digest() for each in identities])
    rows = np.frombuffer(digests, np.uint8).reshape(-1, sha256().digest_size)
    return rows[:, :BYTES].copy().view(PACKED)[:, 0]
