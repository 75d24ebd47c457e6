"""Trials and barriers that two sweeps share, each with checkpoints and splits of its own."""

from dataclasses import replace

from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.identity import data_config
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.work.data import resident
from raysweep.work.inputs import TrialTask
from raysweep.work.trial import run_trial
from tests.work.plans import BASE, carry_out, compare_all, plan


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
    task = TrialTask(trial, wanted.extents[trial_id], {})
    data = resident(data_config(trial.training, trial.replicate), None, False, "unit")
    list(run_trial(task, data, Overwritten(files), ResultStore(files), 60.0))
    assert {3, 7} <= TrialStore(files).record(trial_id, 0).checkpoints.keys()


def test_a_trial_that_is_trained_again_keeps_its_metrics(tmp_path):
    files = Files(str(tmp_path))
    for checkpoint in ("3st", "5st"):
        wanted = plan(replicates=1, epochs=1, checkpoints=[checkpoint])
        carry_out(wanted, files)
    (trial_id,) = wanted.trials
    metrics = TrialStore(files).record(trial_id, 0).metrics
    total = wanted.extents[trial_id].total
    expected = [(step, split) for step in (0, 3, 5, total) for split in ("train", "test")]
    assert [(metric.step, metric.split) for metric in metrics] == expected


def test_sweeps_that_compare_on_other_splits_keep_each_others_barriers(tmp_path):
    files = Files(str(tmp_path))
    plans = [
        desired(check("test", {"name": split, "train": BASE, "compare": {"splits": [split]}}))
        for split in ("train", "test")
    ]
    for wanted in plans:
        carry_out(wanted, files)
        compare_all(wanted, files)
    assert not any(todo(wanted, done(wanted, files)) for wanted in plans)
