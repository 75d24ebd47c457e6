"""Trials of one process take turns, and none changes or ends another."""

import pytest
import torch

from raysweep.plan.done import done, finished
from raysweep.plan.identity import data_config
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.work import step_count
from raysweep.work.bundle import Event, run_bundle
from raysweep.work.data import resident
from raysweep.work.inputs import TrialTask
from raysweep.work.trial import run_trial
from tests.work.plans import carry_out, contents, plan


def tasks(wanted):
    return [TrialTask(trial, wanted.extents[key], {}) for key, trial in wanted.trials.items()]


def training(files):
    """Return what starts a trial of the digits."""

    def start(task):
        data = resident(data_config(task.trial.training, task.trial.replicate), None, False, "unit")
        return run_trial(task, data, TrialStore(files), ResultStore(files), 1e9)

    return start


@pytest.mark.parametrize("most", [1, 2, 4])
def test_packed_and_alone_give_the_same_bits(tmp_path, most):
    """Also where one of them diverges."""
    wanted = plan(replicates=2, learning_rate=[0.1, 1e30], norm="batch")
    carried = plan(replicates=2, learning_rate=0.1, norm="batch")
    carry_out(carried, Files(str(tmp_path / "alone")))
    files = Files(str(tmp_path / "packed"))
    events = list(run_bundle(tasks(wanted), training(files), most))
    ends = {event.trial_id: event.failure for event in events if event.level is None}
    assert ends.keys() == wanted.trials.keys()
    for key, trial in wanted.trials.items():
        assert ("not finite" in ends[key]) == (trial.training.learning_rate == 1e30)
    present = done(carried, files)
    assert all(finished(carried, present, key) for key in carried.trials)
    alone = contents(tmp_path / "alone")
    assert alone.items() <= contents(tmp_path / "packed").items()


def test_an_interrupted_bundle_goes_on_from_its_resume_points(tmp_path):
    """Every trial notes one, those that wait are not started, and the bits are the same."""
    wanted, files = plan(replicates=3), Files(str(tmp_path / "interrupted"))
    looks = iter([False, False, *[True] * 9])

    def start(task):
        data = resident(data_config(task.trial.training, task.trial.replicate), None, False, "unit")
        stops = looks.__next__
        return run_trial(task, data, TrialStore(files), ResultStore(files), 1e9, stops=stops)

    assert list(run_bundle(tasks(wanted), start, 2)) == []
    points = [TrialStore(files).read_resume(key) for key in wanted.trials]
    assert [point is not None and point.step > 0 for point in points] == [True, True, False]
    list(run_bundle(tasks(wanted), training(files), 2))
    carry_out(wanted, Files(str(tmp_path / "undisturbed")))
    assert contents(tmp_path / "undisturbed").items() <= contents(tmp_path / "interrupted").items()


def test_turns_are_taken():
    """A trial starts when the one before it has had a turn, which shows how much memory it takes."""
    order = []

    def start(task):
        for turn in range(3):
            order.append((task.trial.replicate, turn))
            yield None

    found = list(run_bundle(tasks(plan(replicates=3)), start, 2))
    assert order == [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    assert [event.failure for event in found] == ["", "", ""]


@pytest.mark.parametrize("error", [OSError("storage"), torch.OutOfMemoryError("full"), ValueError("wrong")])
def test_the_failure_of_one_leaves_the_others_alone(error):
    """A trial for which memory or storage fails is tried again at the end, when it is alone."""
    wanted = plan(replicates=3)
    bad = list(wanted.trials)[1]
    tried = []

    def start(task):
        tried.append(task.trial.trial_id)
        yield None
        if task.trial.trial_id == bad and tried.count(bad) == 1:
            raise error
        yield 0

    found = list(run_bundle(tasks(wanted), start, 3))
    lost = isinstance(error, ValueError)
    good = [Event(key, 0) for key in wanted.trials if key != bad or not lost]
    assert sorted(map(str, good)) == sorted(str(event) for event in found if event.level is not None)
    assert [event.trial_id for event in found if event.failure] == [bad] * lost
    assert tried.count(bad) == (1 if lost else 2)


def test_errors_of_a_trial_alone():
    def start(error):
        def begin(task):
            yield None
            raise error

        return begin

    (task,) = tasks(plan(replicates=1))
    with pytest.raises(OSError, match="storage"):
        list(run_bundle([task], start(OSError("storage")), 8))
    (event,) = run_bundle([task], start(torch.OutOfMemoryError("full")), 8)
    assert "full" in event.failure


@pytest.mark.parametrize(("memory", "most"), [(2, 1), (8, 2), (13, 3), (100, 5)])
def test_no_more_trials_are_packed_than_fit_into_memory(memory, most):
    """Each takes 4 bytes at its first turn, and gives them back at its end."""
    taken, order = {}, []

    def start(task):
        taken[task.trial.trial_id] = 4
        for _ in range(9):
            order.append(len(taken))
            yield None
        del taken[task.trial.trial_id]

    found = list(run_bundle(tasks(plan(replicates=5)), start, 5, lambda: memory - sum(taken.values())))
    assert [event.failure for event in found] == [""] * 5
    assert max(order) == most


def test_a_bundle_tells_of_the_steps_that_its_trials_take(tmp_path, monkeypatch):
    monkeypatch.setattr(step_count, "EVERY", 0.0)
    wanted, files, count = plan(replicates=2), Files(str(tmp_path)), step_count.StepCount()

    def start(task):
        data = resident(data_config(task.trial.training, task.trial.replicate), None, False, "unit")

        def report(level, record):
            count.report(task.trial.trial_id, level, record.metrics[-1].step)

        return run_trial(task, data, TrialStore(files), ResultStore(files), 1e9, report)

    def news(trial_id):
        steps = count.taken()
        return Event(trial_id, steps=steps) if steps else None

    events = list(run_bundle(tasks(wanted), start, 2, news=news))
    taken = sum(extent.total for extent in wanted.extents.values())
    told = [event.steps for event in events if event.steps]
    assert len(told) > 2
    assert sum(told) + count.taken() == taken
    assert all(event.level is None and not event.failure for event in events if event.steps)
