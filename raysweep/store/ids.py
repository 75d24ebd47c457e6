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
    parts = [_packed_chunk(chunk) for chunk in column.iterchunks()]
    return np.concatenate([np.empty(0, PACKED), *parts])


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

    def __len__(self) -> int:
        return len(self.packed)

    def __iter__(self) -> Iterator[str]:
        return texts(self.packed)

    def __contains__(self, identity: object) -> bool:
        return isinstance(identity, str) and bool(self.places(pack([identity]))[0] >= 0)

    def places(self, packed: np.ndarray) -> np.ndarray:
        """Return the place of each of these ids, -1 for those that are not among these."""
        if not len(self.packed):
            return np.full(len(packed), -1)
        order = np.argsort(packed)
        asked, places = packed[order], np.empty(len(packed), np.int32)
        at = np.searchsorted(self._sorted, asked).clip(max=len(self.packed) - 1)
        places[order] = np.where(self._sorted[at] == asked, self._order[at], -1)
        return places

    def among(self, others: "Ids") -> "Ids":
        """Return those of others that are among these."""
        return Ids(others.packed[self.places(others.packed) >= 0])

    def repeated(self) -> bool:
        """Whether there is an id twice, which must not be."""
        return bool((self._sorted[1:] == self._sorted[:-1]).any())

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self.packed, kind="stable").astype(np.int32)

    @cached_property
    def _sorted(self) -> np.ndarray:
        found: np.ndarray = self.packed[self._order]
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
