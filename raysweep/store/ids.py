"""Ids in arrays, ten bytes each: as Python's strings they take seven times as much."""

import binascii
import contextlib
from collections.abc import Iterable, Iterator, Set
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.digest import ID_CHARACTERS

BYTES = ID_CHARACTERS // 2
PACKED = f"S{BYTES}"
AT_ONCE = 10_000  # ids whose texts are made at a time
FOREIGN = bytes(BYTES)  # stands for a text that is no id


def pack(texts: Iterable[str]) -> np.ndarray:
    """Return these ids in an array; a text that is no id becomes `FOREIGN`."""
    return np.frombuffer(b"".join(map(_one, texts)), PACKED)


def pack_column(column: pa.ChunkedArray) -> np.ndarray:
    """Return the ids in a column of texts in an array; a text that is no id becomes `FOREIGN`."""
    packed, end = np.empty(len(column), PACKED), 0
    for chunk in column.iterchunks():
        for start in range(0, len(chunk), AT_ONCE):
            some = _packed_chunk(chunk.slice(start, AT_ONCE))
            begin, end = end, end + len(some)
            packed[begin:end] = some
    return packed


def texts(packed: np.ndarray) -> Iterator[str]:
    """Yield the text of each of these ids."""
    for start in range(0, len(packed), AT_ONCE):
        digits = packed[start : start + AT_ONCE].tobytes().hex()
        yield from (digits[at : at + ID_CHARACTERS] for at in range(0, len(digits), ID_CHARACTERS))


def column(packed: np.ndarray) -> pa.Array:
    """Return the texts of these ids as a column."""
    ends = np.arange(len(packed) + 1, dtype=np.int32) * ID_CHARACTERS
    digits = binascii.hexlify(packed.tobytes())
    return pa.StringArray.from_buffers(len(packed), pa.py_buffer(ends), pa.py_buffer(digits))


class Ids(Set[str]):
    """Different ids in a fixed order: the place of an id is its position in `packed`."""

    def __init__(self, packed: np.ndarray) -> None:
        self.packed = packed

    @classmethod
    def of(cls, ids: Iterable[str] = ()) -> "Ids":
        """Return these ids, given as texts."""
        return cls(pack(dict.fromkeys(ids)))

    @classmethod
    def distinct(cls, packed: np.ndarray) -> "Ids":
        """Return the ids in an array in which some may be more than once; their order is not that of it."""
        found = packed[np.argsort(_beginnings(packed))]
        found = found[starts_of_runs(found)]
        return cls(found if starts_of_runs(_beginnings(found)).all() else np.unique(found))

    def __len__(self) -> int:
        return len(self.packed)

    def __iter__(self) -> Iterator[str]:
        return texts(self.packed)

    def __contains__(self, identity: object) -> bool:
        return isinstance(identity, str) and bool(self.places(pack([identity]))[0] >= 0)

    def places(self, packed: np.ndarray) -> np.ndarray:
        """Return the place of each of these ids, -1 for those that are not among these."""
        beginnings, places = _beginnings(packed), np.full(len(packed), -1, np.int32)
        left = np.argsort(beginnings)
        at = np.searchsorted(self._sorted, beginnings[left])
        while len(left):  # once, unless ids differ in their last bytes alone
            near = at < len(self._sorted)
            left, at = left[near], at[near]
            near = self._sorted[at] == beginnings[left]
            left, at = left[near], at[near]
            same = self.packed[self._order[at]] == packed[left]
            places[left[same]] = self._order[at[same]]
            left, at = left[~same], at[~same] + 1
        return places

    def among(self, others: "Ids") -> "Ids":
        """Return those of others that are among these."""
        return Ids(others.packed[self.places(others.packed) >= 0])

    def repeated(self) -> bool:
        """Whether there is an id twice, which must not be."""
        return len(Ids.distinct(self.packed)) < len(self.packed)

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(_beginnings(self.packed)).astype(np.int32)

    @cached_property
    def _sorted(self) -> np.ndarray:
        found: np.ndarray = _beginnings(self.packed)[self._order]
        return found


def _beginnings(packed: np.ndarray) -> np.ndarray:
    """The first eight bytes of each id as a number, by which they are sorted ten times as fast."""
    rows = np.ascontiguousarray(packed).view(np.uint8).reshape(-1, BYTES)
    return np.ascontiguousarray(rows[:, :8]).view(np.uint64)[:, 0]


def starts_of_runs(values: np.ndarray) -> np.ndarray:
    """Return which values are not the same as the ones before them."""
    found = np.ones(len(values), bool)
    found[1:] = values[1:] != values[:-1]
    return found


def _packed_chunk(chunk: pa.Array) -> np.ndarray:
    """As `pack`, without making Python's strings where all are ids."""
    lengths = pc.min_max(pc.binary_length(chunk)).as_py()
    if lengths == {"min": ID_CHARACTERS, "max": ID_CHARACTERS} and not chunk.null_count:
        characters = chunk.cast(pa.binary(ID_CHARACTERS))
        with contextlib.suppress(binascii.Error):
            digits = memoryview(characters.buffers()[1])[characters.offset * ID_CHARACTERS :]
            return np.frombuffer(binascii.unhexlify(digits[: len(chunk) * ID_CHARACTERS]), PACKED)
    return pack(chunk.to_pylist())


def _one(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        return FOREIGN
    return found if len(found) == BYTES and len(text) == ID_CHARACTERS else FOREIGN
