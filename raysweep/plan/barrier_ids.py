"""The ids of barriers and of their measurements, many at once, because a sweep may have ten million of them.

The id of a barrier is the digest of a list: what is compared and how, its networks, the reference and the
path, and the applied permutations. The canonical text of each part is made once and used again and again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from hashlib import sha256
from itertools import repeat

import numpy as np

from raysweep.plan.identity import Measure
from raysweep.store.ids import BYTES, PACKED, texts

AT_ONCE = 10_000  # rows that are Python's numbers at a time


class Texts:
    """The canonical texts of networks and of applied permutations, by their numbers."""

    def __init__(self, networks: Sequence[bytes], permutations: Sequence[bytes]) -> None:
        self.networks, self.permutations = networks, permutations
        self.network_before = cache(lambda after: [text + after for text in networks])
        self.permutation_before = cache(lambda after: [text + after for text in permutations])


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
    networks, moves, others = np.split(numbers.T, [count, 2 * count])
    pieces: list[Iterable[bytes]] = [repeat(f"{how[:-1]},[".encode())]
    for before, columns, last in (
        (known.network_before, networks, b"],["),
        (known.network_before, others, b"],["),
        (known.permutation_before, moves, b"]]"),
    ):
        for number, column in enumerate(columns, 1):
            items = before(b"," if number < len(columns) else last)
            pieces.append(map(items.__getitem__, column.tolist()))
    return map(b"".join, zip(*pieces, strict=False))


def _digests(identities: Iterable[bytes]) -> np.ndarray:
    digests = b"".join([sha256(each).digest() for each in identities])
    rows = np.frombuffer(digests, np.uint8).reshape(-1, sha256().digest_size)
    return rows[:, :BYTES].copy().view(PACKED)[:, 0]
