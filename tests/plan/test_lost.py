"""Trainings that have diverged are final, and what requires them is not begun."""

import pytest

from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.todo import todo
from raysweep.store.divergence import Divergence, forget_divergences, note_divergence
from raysweep.store.files import Files
from raysweep.store.records import LevelRecord
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check

HOW = Divergence("Diverged: the train loss is nan", 1, "host", 7.0)
SECTIONS = {
    "name": "s",
    "train": {"dataset": "digits", "width": 4, "epochs": 2, "replicates": 3},
    "compare": {"kinds": ["direct"]},
    "prune": {"levels": 2, "rewind": "1ep", "branches": ["transport"]},
}


@pytest.fixture(scope="module")
def wanted():
    return desired(check("test", SECTIONS))


@pytest.fixture
def files(tmp_path):
    return Files(str(tmp_path))


def touching(wanted, trial_id, jobs):
    return {key for key, job in jobs.items() if trial_id in {network.trial_id for network in job.networks}}


def test_all_that_requires_a_diverged_training_is_left_out(wanted, files):
    """Its pruned levels, the masks that are transported to or from it, and all comparisons with these."""
    dense = next(key for key, trial in wanted.trials.items() if trial.prune is None)
    note_divergence(files, dense, HOW)
    work = todo(wanted, done(wanted, files))
    assert work.diverged == {dense: HOW}
    lost = {key: (kind, words) for kind, key, words in work.lost}
    assert len(work.lost) == len(lost)
    left = {each.trial_id for each in work.trials}
    assert left | {dense} | {key for key, (kind, _) in lost.items() if kind == "trial"} == {*wanted.trials}
    chain = next(key for key, each in wanted.trials.items() if each.parent == dense and each.branch == "main")
    assert lost[chain] == ("trial", f"trial {dense}, which diverged")
    assert not left & {
        key for key, trial in wanted.trials.items() if dense in (trial.parent, trial.mask_trial)
    }
    for kind, jobs, rest in (
        ("alignment", wanted.alignments, {job.alignment_id for job in work.alignments}),
        ("barrier", wanted.barriers, {job.barrier_id for job in work.barriers}),
    ):
        gone = {key for key, (what, _) in lost.items() if what == kind}
        assert gone | rest == set(jobs)
        assert not gone & rest
        assert touching(wanted, dense, jobs) | touching(wanted, chain, jobs) <= gone
        assert all(f"trial {dense}, which diverged" in lost[key][1] for key in gone)


def test_levels_before_the_divergence_are_used(wanted, files):
    """A chain that diverges at its second level has a first one, which is compared."""
    chain = next(key for key, each in wanted.trials.items() if each.prune and each.branch == "main")
    extent = wanted.extents[chain]
    record = LevelRecord(extent.total, checkpoints=dict.fromkeys(extent.checkpoints, "0"))
    TrialStore(files).commit(chain, 1, record)
    note_divergence(files, chain, HOW)
    work = todo(wanted, done(wanted, files))
    levels = {(n.trial_id, n.level) for job in work.barriers for n in job.networks}
    assert (chain, 1) in levels
    assert (chain, 2) not in levels


def test_what_is_finished_or_forgotten_has_not_diverged(wanted, files):
    first, second = list(wanted.trials)[:2]
    note_divergence(files, first, HOW)
    note_divergence(files, second, HOW)
    forget_divergences(files, [first])
    assert set(done(wanted, files).diverged) == {second}
    files.put(f"diverged/{second}", b"damaged")
    assert list(todo(wanted, done(wanted, files)).lost) == []
