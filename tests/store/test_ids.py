"""Ids in arrays: they are the same as texts, in the same order."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.digest import digest
from raysweep.store.ids import BYTES, FOREIGN, Ids, column, pack, pack_column, texts

IDS = [digest(number) for number in range(300)]
NOT_IDS = ["", "a", "z" * 20, "ab cd" * 4, "é" * 20, IDS[0] + "00"]


def test_texts_come_back():
    assert list(texts(pack(IDS))) == IDS
    assert column(pack(IDS)).to_pylist() == IDS
    assert len(column(pack([]))) == 0


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_column_is_packed_as_its_texts_are(kind):
    chunks = [pa.array(IDS, kind).slice(7, 200), pa.array([], kind), pa.array([*NOT_IDS, IDS[3]], kind)]
    expected = pack([*IDS[7:207], *NOT_IDS, IDS[3]])
    assert pack_column(pa.chunked_array(chunks)).tobytes() == expected.tobytes()


def test_what_is_no_id_is_foreign():
    assert pack(NOT_IDS).tobytes() == FOREIGN * len(NOT_IDS)
    assert not any(text in Ids.of(IDS) for text in NOT_IDS)


def test_a_set_of_ids_has_an_order_and_places():
    ids = Ids.of([*IDS, IDS[0]])
    assert list(ids) == IDS
    assert ids == set(IDS)
    assert IDS[5] in ids
    assert 5 not in ids
    assert ids.places(pack([IDS[9], "none", IDS[0]])).tolist() == [9, -1, 0]
    assert Ids.of().places(pack(IDS[:2])).tolist() == [-1, -1]


def test_ids_that_end_with_zeros_are_told_apart():
    packed = _packed([b"a" * BYTES, b"a" * (BYTES - 1) + b"\0", bytes(BYTES)])
    assert Ids(packed).places(packed[::-1]).tolist() == [2, 1, 0]
    assert not Ids(packed).repeated()
    assert Ids(packed[[0, 1, 0]]).repeated()
    assert Ids.distinct(packed[[1, 0, 1, 2, 0]]) == set(texts(packed))


# Ids are sorted by their first bytes: here many begin alike.
ALIKE = st.builds(
    lambda first, last: first * (BYTES - 2) + last,
    st.binary(min_size=1, max_size=1),
    st.binary(min_size=2, max_size=2),
)


@given(st.lists(ALIKE, unique=True), st.lists(ALIKE))
def test_places_are_those_of_a_dictionary(there, asked):
    known = {identity: place for place, identity in enumerate(there)}
    found = Ids(_packed(there)).places(_packed(there + asked)).tolist()
    assert found == [known.get(identity, -1) for identity in there + asked]
    distinct = Ids.distinct(_packed(there + asked))
    assert len(distinct) == len(set(there + asked))
    assert set(distinct) == set(texts(_packed(there + asked)))


def _packed(identities):
    return np.frombuffer(b"".join(identities), f"S{BYTES}")
