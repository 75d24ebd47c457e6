"""The record of what a sweep asked for."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raysweep.commands.gc import garbage
from raysweep.errors import UserError
from raysweep.plan import recording as recording_module
from raysweep.plan.barrier_table import Part
from raysweep.plan.record import RECORD, read_record
from raysweep.plan.recording import record_sweep, recording
from raysweep.store.files import Files
from tests.work.plans import plan

NAME = f"sweeps/s/{RECORD}"


def test_a_sweep_that_asks_for_the_same_is_recorded_once(tmp_path):
    wanted, files = plan(), Files(str(tmp_path))
    record_sweep(files, wanted)
    before = files.stamps("sweeps/s")[NAME]
    record_sweep(files, wanted)
    assert files.stamps("sweeps/s")[NAME] == before
    record_sweep(files, plan(weight_decay=0.1))
    assert files.stamps("sweeps/s")[NAME] != before
    rows = read_record(files, "s")
    assert len(rows.former) == len(wanted.trials) + len(wanted.alignments) + len(wanted.barriers)


def test_texts_that_rows_share_are_in_memory_once(tmp_path):
    """Those of ten million barriers would take gigabytes."""
    wanted, files = plan(), Files(str(tmp_path))
    record_sweep(files, wanted)
    identities = read_record(files, "s").rows.column("identity").combine_chunks()
    jobs = [*wanted.trials.values(), *wanted.alignments.values(), *wanted.barriers.values()]
    texts = {getattr(job, "how", None) or job.identity for job in jobs}
    assert len(identities.dictionary) == len(texts) + 1  # of the sweep file
    assert len(identities) == len(jobs) + 1


def test_the_record_of_an_earlier_version_is_the_same(tmp_path):
    """It had a text of its own in every row."""
    wanted, files = plan(), Files(str(tmp_path))
    record_sweep(files, wanted)
    found = read_record(files, "s").rows
    plain = pa.schema([(f.name, pa.string() if f.name != "dropped" else f.type) for f in found.schema])
    buffer = io.BytesIO()
    pq.write_table(found.cast(plain), buffer, compression="zstd")
    files.put_checked(NAME, buffer.getvalue())
    assert read_record(files, "s").rows.equals(found)
    record_sweep(files, wanted)
    assert read_record(files, "s").rows.equals(found)


def recorded(files):
    return read_record(files, "s").wanted.column("id").to_pylist()


def test_a_record_is_the_same_in_pieces(tmp_path, monkeypatch):
    files, wanted, more = Files(str(tmp_path)), plan(replicates=3), plan(replicates=4)
    record_sweep(files, more)
    whole = recorded(files)
    files.delete(NAME)
    monkeypatch.setattr(recording_module, "PIECE", 2)
    record_sweep(files, wanted)
    record_sweep(files, more)
    assert recorded(files) == whole
    assert not len(read_record(files, "s").former)
    record_sweep(files, wanted)
    gone = {*more.trials, *more.alignments, *more.barriers} - {
        *wanted.trials,
        *wanted.alignments,
        *wanted.barriers,
    }
    assert set(read_record(files, "s").former.column("id").to_pylist()) == gone


def test_a_sweep_is_recorded_by_the_end_of_its_run(tmp_path):
    """Work can begin before ten million barriers have ids; until then nothing is removed."""
    files, wanted, more = Files(str(tmp_path)), plan(replicates=2), plan(replicates=3)
    with recording(files, wanted):
        assert files.exists("sweeps/s/sweep.yaml")
    assert set(wanted.barriers) < set(recorded(files))
    with recording(files, more):
        pass
    assert set(more.barriers) < set(recorded(files))
    assert not garbage(files)


def test_nothing_is_removed_where_a_run_was_killed_before_it_replaced_the_record(tmp_path, monkeypatch):
    files, wanted, more = Files(str(tmp_path)), plan(replicates=2), plan(replicates=3)
    record_sweep(files, wanted)
    with monkeypatch.context() as killed, pytest.raises(OSError, match="killed"), recording(files, more):
        killed.setattr(files, "put_checked", interrupted)
    assert all(files.sizes("sweeps").values())  # listings of a bucket leave empty objects out
    with pytest.raises(UserError, match="is being replaced, or its run was killed"):
        garbage(files)
    with recording(files, wanted):
        pass
    assert not garbage(files)


def test_a_sweep_that_was_recorded_needs_no_ids_of_barriers(tmp_path, monkeypatch):
    files = Files(str(tmp_path))
    record_sweep(files, plan())
    again, renamed = plan(), plan(weight_decay=0.1)
    monkeypatch.setattr(Part, "ids", interrupted)
    record_sweep(files, again)
    with pytest.raises(OSError, match="killed"):
        record_sweep(files, renamed)


def interrupted(*_):
    raise OSError("killed")


def test_a_record_that_cannot_be_written_is_an_error(tmp_path):
    files = Files(str(tmp_path))
    (tmp_path / NAME / "taken").mkdir(parents=True)
    with pytest.raises((OSError, UserError)), recording(files, plan()):
        pass
