"""The record of what a sweep asked for."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.plan.record import RECORD, read_record, record_sweep
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
    before = files.stamps("sweeps/s")[NAME]
    assert read_record(files, "s").rows.equals(found)
    record_sweep(files, wanted)
    assert files.stamps("sweeps/s")[NAME] == before
