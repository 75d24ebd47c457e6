"""Tune gives up a trial whose process is lost as it takes it; the trial is then given to Tune again."""

from types import SimpleNamespace

import pytest

from raysweep.cluster.pool import Pool
from raysweep.cluster.suspects import Suspects
from raysweep.cluster.trials import EARLY, MOST_DEATHS, _Progress, _Ready
from raysweep.store.files import Files
from raysweep.sweep.resources import TrialWorker
from tests.cluster.test_pool import Hooks, Jobs
from tests.cluster.test_trials import Waiting
from tests.work.plans import plan


@pytest.mark.fast
@pytest.mark.parametrize(("failures", "times"), [(1, EARLY), (MOST_DEATHS + 1, 0)])
def test_a_trial_that_is_given_up_too_early_goes_on(failures, times, tmp_path, monkeypatch):
    monkeypatch.setattr("raysweep.cluster.trials.name_of", lambda node: node)  # there is no Ray
    hooks, source = Hooks(), Waiting(plan())
    ready = _Ready(source, TrialWorker(), Suspects(hooks))
    needs = {"CPU": 1.0}
    progress = _Progress(source, "run", needs, hooks, Files(str(tmp_path)), ready, Suspects(hooks), [])
    (task,) = source.tasks(1)
    trial_id = task.trial.trial_id
    tunes = SimpleNamespace(config={"trial_ids": [trial_id]}, num_failures=failures)
    for _ in range(times):
        ready._given = {trial_id: task}
        progress.on_trial_error(0, [], tunes)
        assert ready._again.popleft() == task
        assert hooks.failures == []
    ready._given = {trial_id: task}
    progress.on_trial_error(0, [], tunes)
    assert not ready._again
    (failure,) = hooks.failures
    assert failure.id == trial_id
    assert "died 100 times" in failure.error


def test_an_error_without_a_message_is_due_to_its_node_too(tmp_path, monkeypatch):
    """Such as a bare `raise ImportError` in a user's module."""
    monkeypatch.setattr("raysweep.cluster.suspects.name_of", lambda node: node)  # there is no Ray
    monkeypatch.setattr("raysweep.cluster.suspects.fitting_nodes", lambda needs: frozenset("ab"))
    wanted, said = plan(), []
    hooks = Hooks()
    monkeypatch.setattr(hooks, "waits", said.append)
    pool = Pool(str(tmp_path), wanted.sweep.sections, Jobs(wanted), hooks, Suspects(hooks))
    tile = Jobs(wanted).take(1, 0.0, None, ())
    assert pool._goes_elsewhere(tile, "a", ImportError())
    assert said == ["node a is avoided: ImportError"]
