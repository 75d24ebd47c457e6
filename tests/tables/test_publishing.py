"""Tables are the plan's rows of the committed results, and only buckets that change are written."""

import io
import os
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.todo import todo
from raysweep.store.compaction import compact
from raysweep.store.records import LevelRecord, Metric
from raysweep.store.results import LATER, ResultStore
from raysweep.sweep.load import check
from raysweep.tables.failures import Failure
from raysweep.tables.publication import wrong_files
from raysweep.tables.publishing import publish_tables
from raysweep.tables.schemas import read_table
from tests.store.committed import committed
from tests.store.results import CountingFiles, commit_barriers

pytestmark = pytest.mark.versions

TRAIN = {"dataset": "digits", "width": 8, "epochs": 1, "replicates": 6}
RECORD = LevelRecord(
    10, metrics=tuple(Metric(10, 0.0, split, 1.0, 0.5, 0.0) for split in ("train", "test")), sparsity=0.0
)
RESULTS = ("curve_loss", "curve_error", "curve_weights")


@pytest.fixture(scope="module")
def wanted():
    """A plan with 150 barriers of pairs and triples; nothing is trained."""
    return desired(check("test", {"name": "s", "train": TRAIN}))


@pytest.fixture
def files(wanted, tmp_path):
    """All barriers but the last are done, 12 in an object."""
    files, jobs = CountingFiles(str(tmp_path)), list(wanted.barriers.values())[:-1]
    for start in range(0, len(jobs), 12):
        commit_barriers(files, jobs[start : start + 12], f"{start:020x}", value=start)
    return files


def publish(files, wanted):
    """Publish; returns the failures and the names of what was written."""
    files.writes.clear()
    failures = publish_tables(files, wanted, done(wanted, files), [])
    return failures, {name for name in files.writes if name.endswith(".parquet")}


def rows(files, table, key=("barrier_id", "split")):
    found = read_table(files, "s", table).to_pylist()
    assert [tuple(row[name] for name in key) for row in found] == sorted(
        tuple(row[name] for name in key) for row in found
    )
    return {tuple(row[name] for name in key): row for row in found}


def buckets(job):
    return {f"sweeps/s/{table}/{int(job.barrier_id[0], 16):02d}.parquet" for table in ("barriers", "curves")}


def test_the_rows_are_those_of_the_results_and_of_the_plan(wanted, files):
    publish(files, wanted)
    stored = committed(files, "barriers")
    barriers, curves = rows(files, "barriers"), rows(files, "curves")
    assert barriers.keys() == curves.keys() == stored.keys()
    for key, row in barriers.items():
        job, result, curve = wanted.barriers[key[0]], stored[key], curves[key]
        compared, training = job.comparison, wanted.trials[job.networks[0].trial_id].training
        expected = {name: result[name] for name in result.keys() & row.keys()}
        expected |= {name: getattr(compared, name) for name in ("interpolation", "kind", "method")}
        expected |= {"group": job.setting, "width": training.width, "alignments": compared.alignments}
        expected |= {"networks": [str(network) for network in job.networks]}
        expected |= {"reference": str(compared.reference) if compared.reference else None}
        expected |= {"step": job.networks[0].step, "level": 0, "path": None, "statistics": "kept"}
        assert expected.items() <= row.items()
        assert [curve["loss"], curve["error"], curve["weights"]] == [result[name] for name in RESULTS]


def test_a_barrier_more_changes_its_buckets_alone(wanted, files):
    publish(files, wanted)
    files.reads.clear()
    assert publish(files, wanted) == ([], set())
    assert not [name for name in files.reads if name.startswith(("sweeps/s/barriers", "sweeps/s/curves"))]
    job = list(wanted.barriers.values())[-1]
    assert list(todo(wanted, done(wanted, files)).barriers) == [job]
    commit_barriers(files, [job], "f" * 20)
    assert publish(files, wanted) == ([], buckets(job))
    assert (job.barrier_id, "test") in rows(files, "curves")
    assert not todo(wanted, done(wanted, files)).barriers


def test_the_tables_shrink_with_the_sweep(wanted, files):
    publish(files, wanted)
    few = desired(
        check("test", {"name": "s", "train": TRAIN, "compare": {"kinds": ["direct"], "splits": ["test"]}})
    )
    publish(files, few)
    assert rows(files, "barriers").keys() == {(identity, "test") for identity in few.barriers}


def test_a_file_that_somebody_touched_is_made_again(wanted, files):
    publish(files, wanted)
    touched = next(name for name in files.list("sweeps/s/curves"))
    content = files.get(touched)
    files.put(touched, content[:-1] + b"?")
    assert publish(files, wanted) == ([], {touched})
    assert files.get(touched) == content
    files.put("sweeps/s/published.json", b"{")
    assert publish(files, wanted) == ([], set())  # all are made, and none has changed


def test_the_last_object_counts_where_several_hold_a_row(wanted, files):
    job = next(iter(wanted.barriers.values()))
    commit_barriers(files, [job], "e" * 20, value=7.0)
    commit_barriers(files, [job], "f" * 20, value=9.0)
    publish(files, wanted)
    assert rows(files, "barriers")[job.barrier_id, "train"]["loss_barrier"] == 9.0


def test_damage_that_nothing_showed_is_a_failure_and_done_again(wanted, files):
    for number in range(70):  # so many objects that there is an index
        job = list(wanted.barriers.values())[number]
        commit_barriers(files, [job], f"{0xF0 + number % 15:02x}{number:018x}")
    damaged = ResultStore(files).index("barriers").objects.column("object")[-1].as_py()
    path = files.directory / damaged
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    failures, _ = publish(files, wanted)
    assert {failure.what for failure in failures} == {"barrier"}
    assert {row["id"] for row in read_table(files, "s", "failures").to_pylist()} == {
        failure.id for failure in failures
    }
    failures, written = publish(files, wanted)  # the objects that hold the same rows count again
    assert failures == []
    assert {name.split("/")[2] for name in written} >= {"barriers", "curves"}
    assert read_table(files, "s", "failures").num_rows == 0
    assert len(rows(files, "barriers")) == 2 * (len(wanted.barriers) - 1)


def test_rows_that_could_not_be_read_come_back_with_their_object(wanted, tmp_path):
    """As it was, with its size and its time."""
    files, jobs = CountingFiles(str(tmp_path)), list(wanted.barriers.values())[:70]
    for number, job in enumerate(jobs):  # so many objects that there is an index
        commit_barriers(files, [job], f"{number:020x}")
    path = files.directory / ResultStore(files).index("barriers").objects.column("object")[-1].as_py()
    before, content = path.stat(), path.read_bytes()
    for lies, missing in ((content[:-1] + bytes([content[-1] ^ 1]), 1), (content, 0)):
        path.write_bytes(lies)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        failures, _ = publish(files, wanted)
        assert len(failures) == missing
        assert len(rows(files, "barriers")) == 2 * (len(jobs) - missing)


def alignment(job, permutations, layers):
    return {
        "alignment_id": job.alignment_id,
        "objective": 2.0,
        "objective_identity": 1.0,
        "iterations": 7,
        "groups": [str(number) for number in range(len(permutations))],
        "permutations": permutations,
        "factors": None,
        "rotations": None,
        "layers": [
            {"parameter": name, "before": 0.0, "after": 1.0, "displacement": 2.0, "fixed_points": None}
            for name in layers
        ],
        "seconds": 1.0,
        "hardware": "hardware",
        "software": "software",
        "provenance": "provenance",
        "inputs": None,
        "digest": None,
    }


def test_alignments_come_with_their_layers_and_the_share_of_units_that_stay(wanted, files):
    one, other = list(wanted.alignments.values())[:2]
    found = [alignment(one, [[0, 1, 2, 3], [1, 0, 2, 4, 3]], ["b", "a"]), alignment(other, [], ["c"])]
    ResultStore(files).commit("alignments", "a" * 20, found)
    publish(files, wanted)
    published = rows(files, "alignments", ("alignment_id",))
    assert {key: row["fixed_points"] for (key,), row in published.items()} == {
        one.alignment_id: pytest.approx(5 / 9),
        other.alignment_id: 1.0,
    }
    assert published[one.alignment_id,]["method"] == "weight_matching"
    layers = rows(files, "layers", ("alignment_id", "parameter"))
    assert set(layers) == {(one.alignment_id, "a"), (one.alignment_id, "b"), (other.alignment_id, "c")}


def test_results_that_an_earlier_version_stored_are_there_with_nulls(wanted, files):
    """They lack the columns that say on what a result was computed."""
    job = next(iter(wanted.barriers.values()))
    name = commit_barriers(files, [job], "f" * 20, value=9.0)
    stored, content = io.BytesIO(), files.get_checked(name)
    table = pq.read_table(pa.BufferReader(content))
    later = [column for column in LATER if column in table.column_names]
    pq.write_table(table.drop_columns(later), stored)
    files.put_checked(name, stored.getvalue())
    assert publish(files, wanted)[0] == []
    found = rows(files, "barriers")
    shown = set(LATER) & found[job.barrier_id, "test"].keys()
    assert {found[job.barrier_id, "test"][column] for column in shown} == {None}
    assert found[job.barrier_id, "test"]["loss_barrier"] == 9.0
    others = {row["hardware"] for key, row in found.items() if key[0] != job.barrier_id}
    assert others == {"hardware"}


def test_objects_that_are_merged_before_they_are_read_cost_no_row(wanted, files, monkeypatch):
    """By another driver, after this one has seen what is done."""
    present = done(wanted, files)
    monkeypatch.setattr("raysweep.store.compaction.MOST_UNINDEXED", 2)
    compact(files)
    assert len(files.list("results/barriers")) == 1
    assert publish_tables(files, wanted, present, []) == []
    assert {key[0] for key in rows(files, "barriers")} == present.barriers


def test_rows_are_the_same_whatever_is_made_at_once(wanted, files, monkeypatch):
    publish(files, wanted)
    at_once = rows(files, "barriers"), rows(files, "curves")
    monkeypatch.setattr("raysweep.tables.publishing.SLICE", 7)
    for name in files.list("sweeps/s"):
        files.delete(name)
    publish(files, wanted)
    assert (rows(files, "barriers"), rows(files, "curves")) == at_once


def test_failures_are_in_the_order_of_their_ids(wanted, files):
    failures = [Failure(identity, "barrier", "text", 3, "node") for identity in ("a2", "0f", "a1", "a3")]
    publish_tables(files, wanted, done(wanted, files), failures)
    assert list(rows(files, "failures", ("id",))) == [("0f",), ("a1",), ("a2",), ("a3",)]
    assert wrong_files(files, "s") == []
    publish_tables(files, wanted, done(wanted, files), [])
    assert read_table(files, "s", "failures").num_rows == 0


def test_trials_and_metrics_are_in_the_order_of_their_keys(files):
    sections = {"name": "s", "train": TRAIN, "prune": {"levels": 2, "rewind": 0}}
    pruned = desired(check("test", sections))
    steps, splits = (5, 0, 10), ("train", "test")
    metrics = tuple(
        Metric(step, 0.0, split, step + len(split), 0.5, 0.0) for step in steps for split in splits
    )
    levels = {identity: range(1, 3) if trial.prune else range(1) for identity, trial in pruned.trials.items()}
    keys = [(identity, level) for identity in reversed(list(levels)) for level in reversed(levels[identity])]
    records = {key: LevelRecord(10, metrics=metrics, sparsity=key[1] / 10) for key in keys}
    publish_tables(files, pruned, replace(done(pruned, files), records=records), [])
    trials = rows(files, "trials", ("trial_id", "level"))
    assert trials.keys() == records.keys()
    assert all(row["sparsity"] == key[1] / 10 for key, row in trials.items())
    assert {(row["train_loss"], row["test_loss"]) for row in trials.values()} == {(15.0, 14.0)}
    found = rows(files, "metrics", ("trial_id", "level", "step", "split"))
    assert found.keys() == {(*key, step, split) for key in records for step in steps for split in splits}


def test_levels_that_have_to_be_trained_again_keep_their_rows_until_then(wanted, files):
    """Barriers were computed from them, and are published: no name could be made for these otherwise."""
    key = (next(iter(wanted.trials)), 0)
    publish_tables(files, wanted, replace(done(wanted, files), stale={key: RECORD}), [])
    assert rows(files, "trials", ("trial_id", "level")).keys() == {key}


def test_imported_networks_are_numbered_anew_when_others_come_before_them(wanted, files):
    key = (next(iter(wanted.trials)), 0)
    for number in (1, 2):
        trial = replace(wanted.trials[key[0]], replicate=number, import_file=f"{number}.pt")
        planned = replace(wanted, trials={**wanted.trials, key[0]: trial})
        publish_tables(files, planned, replace(done(wanted, files), records={key: RECORD}), [])
        (row,) = rows(files, "trials", ("trial_id", "level")).values()
        assert (row["replicate"], row["import_file"]) == (number, f"{number}.pt")


@pytest.fixture
def agreeing(tmp_path):
    """Two of three pairs are aligned, by what was found early and by what was found at the end."""
    files, train = CountingFiles(str(tmp_path)), {**TRAIN, "epochs": 2, "replicates": 3, "checkpoints": [1]}
    compare = {"kinds": ["direct"], "trajectory": {"permutations": ["1ep"], "points": ["1ep"]}}
    wanted = desired(check("test", {"name": "s", "train": train, "compare": compare}))
    early, last = [[0, 1, 2], [1, 0]], [[0, 2, 1], [1, 0]]
    pairs = sorted({tuple(n.trial_id for n in job.networks) for job in wanted.alignments.values()})
    jobs = [job for job in wanted.alignments.values() if tuple(n.trial_id for n in job.networks) in pairs[:2]]
    final = max(job.target.step for job in jobs)
    found = [alignment(job, last if job.target.step == final else early, ["a"]) for job in jobs]
    name = ResultStore(files).commit("alignments", "a" * 20, found)
    return files, wanted, final, name


def test_agreements_are_there_where_both_alignments_are(agreeing):
    """The pair without alignments waits."""
    files, wanted, final, _ = agreeing
    assert publish(files, wanted)[0] == []
    agreements = rows(files, "agreements", ("agreement_id",)).values()
    shares = sorted((row["step"], row["fixed_points"]) for row in agreements)
    assert [step < final for step, _ in shares] == [True, True, False, False]
    assert [share for _, share in shares] == pytest.approx([3 / 5, 3 / 5, 1, 1])
    assert all(row["groups"] == ["0", "1"] for row in agreements)
    assert publish(files, wanted) == ([], set())


def test_an_agreement_of_a_damaged_alignment_is_a_failure_after_one_attempt(agreeing):
    files, wanted, _, name = agreeing
    present = done(wanted, files)
    files.put(name, files.get(name)[:-1] + b"?")
    failures = publish_tables(files, wanted, present, [])
    agreements = [failure for failure in failures if failure.what == "agreement"]
    assert {failure.id for failure in agreements} < set(wanted.agreements)
    assert [failure.attempts for failure in agreements] == [1] * 4
    assert all(name in failure.error for failure in agreements)
    assert rows(files, "agreements", ("agreement_id",)) == {}
