"""What the store holds is looked up in arrays: no job is made of a barrier that has rows."""

import pytest

from raysweep.plan.barrier_table import Barriers
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.store.files import Files
from raysweep.store.inputs import named_input
from raysweep.store.records import LevelRecord
from raysweep.store.results import RESULTS, ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from tests.store.results import barrier_rows
from tests.work.plans import BASE

FORMER, NOW = "0" * 64, "1" * 64  # of all checkpoints


@pytest.fixture
def wanted():
    compare = {"kinds": ["unaligned", "direct"], "measures": ["ensemble", "disagreement"]}
    return desired(check("test", {"name": "s", "train": {**BASE, "replicates": 3}, "compare": compare}))


def inputs(job):
    """What rows of a job say that they were computed from: checkpoints that have been replaced since."""
    return [named_input(str(network), FORMER) for network in job.networks]


def alignment_row(job):
    found = {"alignment_id": job.alignment_id, "inputs": inputs(job), "digest": "0"}
    return dict.fromkeys(RESULTS["alignments"].names) | found


def measure_rows(job, measure_id):
    found = dict.fromkeys(RESULTS["measures"].names) | {"measure_id": measure_id, "inputs": inputs(job)}
    return [found | {"split": split, "parts": []} for split in ("train", "test")]


def test_what_has_only_rows_of_other_bits_is_unfit_whichever_rows_these_are(wanted, tmp_path, monkeypatch):
    files, fits, *jobs, measured, without_rows = Files(str(tmp_path)), *wanted.barriers.values()
    for trial_id, extent in wanted.extents.items():
        TrialStore(files).commit(
            trial_id, 0, LevelRecord(extent.total, checkpoints=dict.fromkeys(extent.checkpoints, NOW))
        )
    aligned = next(iter(wanted.alignments.values()))
    barriers = [row | {"inputs": inputs(job)} for job in jobs for row in barrier_rows(job.barrier_id)]
    store = ResultStore(files)
    store.commit("alignments", "a" * 20, [alignment_row(aligned)])
    store.commit("barriers", "b" * 20, [*barriers, *barrier_rows(fits.barrier_id), *barrier_rows("f" * 20)])
    store.commit("measures", "c" * 20, measure_rows(measured, measured.measurements[1].measure_id))
    monkeypatch.setattr(Barriers, "jobs", None)
    present = done(wanted, files)
    assert present.unfit == {aligned.alignment_id, measured.barrier_id, *(job.barrier_id for job in jobs)}
    assert list(present.barriers) == [fits.barrier_id]
    assert without_rows.barrier_id not in present.unfit
