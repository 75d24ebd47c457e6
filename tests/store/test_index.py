"""The index of results saves reading, and is never believed against the objects."""

import os

import pytest

from raysweep.store.files import CorruptObject, Files
from raysweep.store.index import MOST_UNINDEXED, index_name
from raysweep.store.results import ResultStore
from tests.store.committed import committed
from tests.store.results import CountingFiles, barrier_rows

INDEX = index_name("barriers")
MANY = MOST_UNINDEXED + 6


def commit(files, number, *more):
    rows = [row for each in (number, *more) for row in barrier_rows(f"{each:020x}")]
    return ResultStore(files).commit("barriers", f"{number:020x}", rows)


def found(files):
    """What the index says, by object."""
    index = ResultStore(files).index("barriers")
    return {
        row["object"]: list(zip(row["ids"], row["splits"], strict=True)) for row in index.objects.to_pylist()
    }


def plain(files):
    """The same, from all objects."""
    rows = {}
    for key, row in committed(files, "barriers").items():
        rows.setdefault(row["_object"], []).append(key)
    return rows


@pytest.fixture
def files(tmp_path):
    files = CountingFiles(str(tmp_path))
    for number in range(MANY):
        commit(files, number)
    assert len(found(files)) == MANY
    files.reads.clear()
    return files


def flip(path, keep_time=False):
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_one_read_tells_where_everything_lies(files):
    assert found(files) == plain(Files(files.root))
    assert files.reads == {INDEX: 1}


def test_a_root_with_few_objects_has_no_index(tmp_path):
    files = Files(str(tmp_path))
    for number in range(MOST_UNINDEXED):
        commit(files, number)
    assert len(found(files)) == MOST_UNINDEXED
    assert not files.exists(INDEX)
    commit(files, MOST_UNINDEXED)
    assert len(found(files)) == MOST_UNINDEXED + 1
    assert files.exists(INDEX)


@pytest.mark.parametrize("damage", ["missing", "flipped", "other columns", "not Parquet"])
def test_an_index_that_cannot_be_used_is_made_again(files, damage):
    expected = plain(files)
    if damage == "missing":
        files.delete(INDEX)
    elif damage == "flipped":
        flip(files.directory / INDEX)
    elif damage == "other columns":
        files.put_checked(INDEX, files.get_checked(next(iter(expected))))
    else:
        files.put_checked(INDEX, b"something else")
    assert found(files) == expected
    files.reads.clear()
    assert found(files) == expected
    assert files.reads == {INDEX: 1}


def test_objects_that_came_went_or_changed_are_seen(files):
    added, changed = commit(files, MANY), commit(files, 3, MANY + 1)
    gone, damaged = sorted(found(files))[5:7]
    files.delete(gone)
    flip(files.directory / damaged)
    files.reads.clear()
    said = found(files)
    assert set(files.reads) == {INDEX, added, changed, damaged}
    assert gone not in said
    assert damaged not in said
    assert len(said[changed]) == 4
    files.delete(damaged)
    assert said == plain(files)


def test_who_meets_a_damaged_object_discards_the_index(files):
    name = sorted(found(files))[7]
    flip(files.directory / name, keep_time=True)
    assert name in found(files)  # nothing shows it but its content
    with pytest.raises(CorruptObject):
        ResultStore(files).read(name)
    assert name not in found(files)
    assert len(found(files)) == MANY - 1


def test_an_object_of_another_version_counts_as_not_there(files):
    name = sorted(found(files))[0]
    files.put_checked(name, files.get_checked(INDEX))
    with pytest.raises(CorruptObject, match="other columns"):
        ResultStore(files).read(name)
    assert name not in found(files)


def test_rows_say_where_they_lie_and_the_last_object_counts(tmp_path):
    files = Files(str(tmp_path))
    first, second = commit(files, 1, 2), commit(files, 3, 1)
    index = ResultStore(files).index("barriers")
    names = index.objects.column("object").to_pylist()
    assert names == sorted([first, second])
    rows = index.rows().to_pylist()
    splits = len(rows) // 4  # of each barrier
    for number, name in enumerate(names):
        own = ResultStore(files).read(name, ["barrier_id", "split"]).to_pylist()
        said = [row for row in rows if row["object"] == number]
        assert [row["position"] for row in said] == list(range(2 * splits))
        assert [(row["id"], row["split"]) for row in said] == [tuple(row.values()) for row in own]
    one, two, three, four = (f"{number:020x}" for number in (1, 2, 3, 4))
    assert index.last([one, two, three, four]) == {one: names[-1], two: first, three: second}


def test_an_empty_root_has_an_empty_index(tmp_path):
    index = ResultStore(Files(str(tmp_path))).index("alignments")
    assert len(index.rows()) == 0
    assert index.last(["a"]) == {}
