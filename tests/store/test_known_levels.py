"""The records that are kept together save reading, and are never believed against the records themselves."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raysweep.store import known_levels
from raysweep.store.files import CorruptObject
from raysweep.store.known_levels import FOLDER, known_contents
from tests.store.results import CountingFiles

NAMES = [f"trials/{number:02d}/level_000/done" for number in range(12)]
KEPT = f"{FOLDER}/s"


@pytest.fixture(params=["few other objects", "many other objects"])
def files(tmp_path, monkeypatch, request):
    """A root that is taken for one in a bucket; more than three records that are not kept yet are kept."""
    monkeypatch.setattr(known_levels, "MOST_UNKNOWN", 3)
    monkeypatch.setattr(known_levels, "OBJECTS", 100 if request.param.startswith("few") else 0.1)
    files = CountingFiles(str(tmp_path))
    files.directory = None
    return files


def found(files):
    def read(name):
        try:
            return files.find_checked(name)
        except CorruptObject:
            return None

    return dict(zip(NAMES, known_contents(files, "s", NAMES, read), strict=True))


def test_records_that_are_kept_are_not_read_again(files):
    for name in NAMES[:8]:
        files.put_checked(name, name.encode())
    expected = {name: name.encode() if name in NAMES[:8] else None for name in NAMES}
    assert found(files) == expected
    files.reads.clear()
    assert found(files) == expected
    assert not files.reads.keys() & set(NAMES[:8])
    assert files.reads[KEPT] == 1


def test_a_root_without_trials_is_listed_and_not_read(files):
    assert set(found(files).values()) == {None}
    assert files.reads == {KEPT: 1}


@pytest.mark.parametrize("damage", [b"", b"something else"])
def test_what_is_kept_and_damaged_is_made_again(files, damage):
    for name in NAMES:
        files.put_checked(name, name.encode())
    expected = found(files)
    files.put(KEPT, damage) if damage == b"" else files.put_checked(KEPT, damage)
    assert found(files) == expected
    files.reads.clear()
    assert found(files) == expected
    assert files.reads == {KEPT: 1}


changes = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 30)), max_size=10)


@given(st.lists(changes, max_size=4))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_is_always_what_reading_all_of_them_gives(files, rounds):
    """Records are committed, replaced (by those of another size) and removed between two looks."""
    for name in [*files.list("trials"), KEPT]:
        files.delete(name)
    for each in rounds:
        for name, size in each:
            files.put_checked(name, b"x" * size) if size else files.delete(name)
        assert found(files) == {name: files.find_checked(name) for name in NAMES}
