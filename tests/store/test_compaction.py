"""Many small objects are merged into few, and no reader ever lacks a row."""

import pytest

from raysweep.plan.permutations import CommittedPermutations
from raysweep.store import compaction
from raysweep.store.compaction import compact
from raysweep.store.files import Files
from raysweep.store.index import index_name
from raysweep.store.inputs import permutation_digest
from raysweep.store.results import RESULTS, ResultStore
from tests.store.committed import committed
from tests.store.results import CountingFiles, barrier_rows
from tests.work.plans import each_change

MANY = 6  # objects, where two count as few
KINDS = ("alignments", "barriers")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    for module in ("compaction", "index"):
        monkeypatch.setattr(f"raysweep.store.{module}.MOST_UNINDEXED", 2)


@pytest.fixture
def files(tmp_path):
    files = Files(str(tmp_path / "start"))
    store = ResultStore(files)
    for number in range(MANY):
        store.commit("barriers", named(number), barrier_rows(f"{number:020x}", value=number))
    for number in range(MANY):
        store.commit("alignments", named(number), [alignment(number, [[1, 0, 2]])])
    return files


def named(number):
    """A name that comes after that of a merged object, so that a listing may miss both."""
    return f"ff{number:018x}"


def alignment(number, permutations):
    row = {"groups": ["a"], "permutations": permutations}
    found = row | {"digest": permutation_digest(row), "inputs": [f"n@0@{number}=0"], "layers": []}
    return dict.fromkeys(RESULTS["alignments"].names) | found | {"alignment_id": f"{number:020x}"}


def rows(files):
    """All rows without the names of their objects, by kind and key."""
    return {
        (kind, *key): {name: value for name, value in row.items() if name != "_object"}
        for kind in KINDS
        for key, row in committed(files, kind).items()
    }


def test_all_rows_lie_in_one_object_afterwards_and_few_are_left_alone(files):
    before = rows(files)
    compact(files)
    assert rows(files) == before
    assert [len(files.list(f"results/{kind}")) for kind in KINDS] == [1, 1]
    names = files.list("results")
    compact(files)  # one object is few
    assert files.list("results") == names


def test_an_index_read_afterwards_needs_no_object(files):
    compact(files)
    counting = CountingFiles(files.root)
    assert len(ResultStore(counting).index("barriers").rows()) == 2 * MANY
    assert counting.reads == {index_name("barriers"): 1}


def test_a_merged_object_is_as_large_as_it_may_be(files, monkeypatch):
    sizes = files.sizes("results/barriers")
    monkeypatch.setattr(compaction, "TARGET", 3 * min(sizes.values()))
    before = rows(files)
    compact(files)
    assert rows(files) == before
    assert len(files.list("results/barriers")) == MANY // 3


class Straddling(Files):
    """A bucket whose first listing has objects of an earlier time, up to a name, and of now after that."""

    def __init__(self, root, earlier):
        super().__init__(root)
        self.earlier = earlier

    def stamps(self, folder):
        first = dict(sorted(self.earlier.items())[: len(self.earlier) // 2])
        self.earlier = {}
        last = max(first, default="")
        return first | {name: stamp for name, stamp in super().stamps(folder).items() if name > last}


def test_killed_at_any_change_it_loses_nothing_and_the_next_one_ends_it(files, tmp_path):
    """A reader whose listing began before, and ends after it was killed, has all rows too."""
    for name in files.list("results/alignments"):
        files.delete(name)
    before, root, points = rows(files), tmp_path / "killed", 0
    earlier = files.stamps("results/barriers")

    def again():
        index = ResultStore(Straddling(str(root), earlier)).index("barriers")
        assert {("barriers", *key) for key in zip(*ids_of(index), strict=True)} == before.keys()
        compact(Files(str(root)))

    for points in each_change(files.directory, root, lambda: compact(Files(str(root))), again):
        assert rows(Files(str(root))) == before, f"killed before change {points}"
        assert len(Files(str(root)).list("results")) <= compaction.MOST_UNINDEXED
    assert points >= 3 * 2 + MANY  # each object that is written is two changes


def ids_of(index):
    table = index.rows()
    return table.column("id").to_pylist(), table.column("split").to_pylist()


def test_rows_of_one_id_stay_in_objects_of_their_own(files):
    """One of them may fit what is stored, and only the name of its object tells which."""
    again = ResultStore(files).commit("barriers", "0" * 20, barrier_rows(f"{3:020x}", value=-1.0))
    compact(files)
    assert {again, f"results/barriers/ff/{named(3)}"} < set(files.list("results/barriers"))
    assert len(files.list("results/barriers")) == 3


def commit_each(files, checkpoint="0", value=0.0, splits=("train", "test")):
    """Commit the rows of barriers of a network with this checkpoint, of each as an object of its own."""
    names = []
    for number in range(MANY):
        rows = barrier_rows(f"{number:020x}", value, splits=splits)
        rows = [row | {"inputs": [f"n@0@{number}={checkpoint}"]} for row in rows]
        names.append(ResultStore(files).commit("barriers", named(number), rows))
    return names


@pytest.fixture
def merged(tmp_path):
    """A root with one object, to which the rows of all barriers were merged; it counts what is read."""
    files = CountingFiles(str(tmp_path / "merged"))
    commit_each(files)
    compact(files)
    return files


def reads_of_results(files):
    """Compact where the index is stored, and return how often which result was read."""
    ResultStore(files).index("barriers")
    files.reads.clear()
    compact(files)
    return {name: count for name, count in files.reads.items() if name.startswith("results/")}


@pytest.mark.parametrize(
    "again", [{"checkpoint": "1"}, {"splits": ("train", "test", "own")}], ids=["retrained", "a split more"]
)
def test_rows_of_other_inputs_and_with_other_splits_are_told_apart_by_the_index(again, merged):
    commit_each(merged, **again)
    names = merged.list("results/barriers")
    assert reads_of_results(merged) == {}
    merged.writes.clear()
    assert reads_of_results(merged) == {}
    assert not merged.writes
    assert merged.list("results/barriers") == names


def test_each_object_is_read_once_where_the_index_cannot_tell(merged):
    """Those that were left over are removed, those with rows that differ in what the index lacks are not."""
    (larger,) = merged.list("results/barriers")
    names = commit_each(merged)
    kept = ResultStore(merged).read(names[0]).to_pylist()
    ResultStore(merged).commit("barriers", named(0), [row | {"seconds": 7.0} for row in kept])
    assert reads_of_results(merged) == dict.fromkeys([larger, *names], 1)
    assert set(merged.list("results/barriers")) == {larger, names[0]}


def test_what_another_driver_removes_meanwhile_is_passed_over(merged, monkeypatch):
    def gone(*_):
        raise FileNotFoundError

    commit_each(merged)
    names = merged.list("results/barriers")
    ResultStore(merged).index("barriers")
    monkeypatch.setattr(ResultStore, "read", gone)
    compact(merged)
    assert merged.list("results/barriers") == names


def test_a_worker_finds_an_alignment_whose_object_was_merged(files):
    found = CommittedPermutations(ResultStore(files), limit=2**20)
    compact(files)
    for number in range(MANY):
        row = found.row(f"{number:020x}", f"results/alignments/ff/{named(number)}")
        assert row["permutations"] == [[1, 0, 2]]
