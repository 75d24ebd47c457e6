"""The inputs of a result: the checkpoints and permutations that it was computed from, by name and digest.

Ids say what was asked for. The same id may be computed to other bits on another kind of machine, so each row
also says which bits it was computed from, as texts `trial_id@level@step=digest` and `alignment_id=digest`. So
does a level that starts from objects of others: their weights, masks (`trial_id@level@mask`) and states of
optimisers (`trial_id@level@step optimiser`).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raysweep.store.records import LevelRecord

CHARACTERS = 16  # of a SHA-256 in hexadecimal digits: 64 bits


def named_input(name: str, digest: str) -> str:
    """Return the text for an input: a network or an alignment, with the SHA-256 of its content."""
    return f"{name}={digest[:CHARACTERS]}"


def split_input(text: str) -> tuple[str, str]:
    """Return the name and the digest in the text of an input."""
    name, _, digest = text.rpartition("=")
    return name, digest


def stored_objects(levels: Mapping[tuple[str, int], LevelRecord]) -> dict[str, str]:
    """Return the digests of what levels have stored, by the names under which it may be an input."""
    found: dict[str, str] = {}
    for (trial_id, level), record in levels.items():
        prefix = f"{trial_id}@{level}@"
        found |= {f"{prefix}{step}": sha256 for step, sha256 in record.checkpoints.items()}
        found |= {f"{prefix}{step} optimiser": sha256 for step, sha256 in record.optimisers.items()}
        if record.mask:
            found[f"{prefix}mask"] = record.mask
    return {name: sha256[:CHARACTERS] for name, sha256 in found.items()}


def level_of(name: str) -> tuple[str, int] | None:
    """Return the trial and the level that have stored an input; None for an alignment."""
    trial_id, *rest = name.split("@")
    return (trial_id, int(rest[0])) if rest else None


def permutation_digest(row: Mapping[str, Any]) -> str:
    """Return the digest of what an alignment found: of these columns of its row."""
    sha = hashlib.sha256()
    for group, units in zip(row["groups"], row["permutations"], strict=True):
        sha.update(f"{group} {len(units)} ".encode())
        sha.update(np.asarray(units, "<i4").tobytes())
    for numbers in (*(row.get("factors") or ()), *(row.get("rotations") or ())):
        sha.update(np.asarray(numbers, "<f8").tobytes())
    return sha.hexdigest()[:CHARACTERS]


def number_of(text: str) -> int:
    """Return 64 bits of a hash of a text, by which names and digests are compared in arrays."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


class Known:
    """What is stored now: arrays of the hashes of names and of digests, in the same order."""

    def __init__(self, names: np.ndarray, digests: np.ndarray) -> None:
        order = np.argsort(names)
        self._names, self._digests = names[order], digests[order]

    @classmethod
    def of(cls, digests: Mapping[str, str]) -> "Known":
        """Return what is stored now, from digests by name."""
        columns = (map(number_of, digests), map(number_of, digests.values()))
        return cls(*(np.fromiter(column, np.int64, len(digests)) for column in columns))

    def contradicts(self, inputs: np.ndarray) -> np.ndarray:
        """Return which of these inputs, (inputs, 2) hashes of names and digests, have other bits now.

        What is not stored contradicts nothing.
        """
        if not len(self._names):
            return np.zeros(len(inputs), bool)
        at = np.searchsorted(self._names, inputs[:, 0]).clip(max=len(self._names) - 1)
        found: np.ndarray = (self._names[at] == inputs[:, 0]) & (self._digests[at] != inputs[:, 1])
        return found


@dataclass(frozen=True)
class Inputs:
    """The inputs of rows: how many each has (rows,), and the hashes (inputs, 2) of names and digests."""

    counts: np.ndarray
    pairs: np.ndarray

    def fit(self, known: Iterable[Known]) -> np.ndarray:
        """Return of each row whether none of its inputs is known to have other bits now."""
        rows = np.repeat(np.arange(len(self.counts)), self.counts)
        found = np.ones(len(self.counts), bool)
        for each in known:
            found[rows[each.contradicts(self.pairs)]] = False
        return found

    def names(self) -> np.ndarray:
        """Return for each row the sum of the hashes of its inputs' names, which is 0 where it names none."""
        return self._totals(self.pairs[:, 0])

    def sums(self) -> np.ndarray:
        """Return for each row the sum of the hashes of its inputs' names and digests."""
        return self._totals(self.pairs.sum(axis=1))

    def _totals(self, values: np.ndarray) -> np.ndarray:
        ends = np.cumsum(self.counts)
        sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
        found: np.ndarray = sums[ends] - sums[ends - self.counts]
        return found


def numbers_of(inputs: Sequence[str]) -> list[int]:
    """Return the hashes of the name and the digest of each of these inputs, one after the other."""
    return [number_of(part) for text in inputs for part in split_input(text)]


def changed_inputs(inputs: Sequence[str], known: Iterable[Known]) -> list[str]:
    """Return the names of those of these inputs that are known to have other bits now."""
    numbers = np.array(numbers_of(inputs), np.int64).reshape(-1, 2)
    wrong = np.any([each.contradicts(numbers) for each in known], axis=0)
    return [split_input(text)[0] for text, changed in zip(inputs, wrong, strict=True) if changed]
