"""A trial that two sweeps train at once, each with checkpoints of its own."""

from dataclasses import replace

from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.identity import data_config
from raysweep.work.data import resident
from raysweep.work.inputs import TrialTask
from raysweep.work.trial import run_trial
from tests.work.plans import plan


class Overwritten(TrialStore):
    """Another driver that has not seen it commits its own record right after ours."""

    overwritten = False

    def commit(self, trial_id, level, record):
        super().commit(trial_id, level, record)
        if not self.overwritten:
            self.overwritten = True
            written = self.write_checkpoint(trial_id, level, 7, {})
            super().commit(trial_id, level, replace(record, checkpoints={7: written}))


def test_both_sweeps_checkpoints_are_in_the_record(tmp_path):
    wanted = plan(replicates=1, epochs=1, checkpoints=["3st"])
    ((trial_id, trial),) = wanted.trials.items()
    files = Files(str(tmp_path))
    task = TrialTask(trial, wanted.cursors[trial_id], {})
    data = resident(data_config(trial.training, trial.replicate), None, False, "unit")
    list(run_trial(task, data, Overwritten(files), ResultStore(files), 60.0))
    assert {3, 7} <= TrialStore(files).record(trial_id, 0).checkpoints.keys()
