"""Of barriers that lack inputs no jobs are made, and ids of no others; texts are shared."""

import numpy as np
import pytest

from raysweep.plan.barrier_table import Barriers, Part
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.frontier import Frontier
from raysweep.plan.lacking import Lacking
from raysweep.plan.todo import todo
from raysweep.store.divergence import Divergence, note_divergence
from raysweep.store.files import Files
from raysweep.sweep.load import check
from raysweep.vocabulary import LISTED_KINDS
from tests.work.plans import BASE


@pytest.fixture
def wanted():
    compare = {"kinds": list(LISTED_KINDS), "path_networks": [3], "mean_networks": [3]}
    compare |= {"trajectory": {"early": "0ep", "hybrids": ["one_in"]}}
    train = {**BASE, "replicates": 4, "checkpoints": ["0ep", "3ep"]}
    return desired(check("test", {"name": "s", "train": train, "compare": compare}))


@pytest.fixture
def made(monkeypatch):
    """The numbers of ids of barriers that are made; jobs of them cannot be made at all."""
    numbers, ids = [], Part.ids

    def counted(part, chosen):
        numbers.append(len(part.numbers[chosen]))
        return ids(part, chosen)

    monkeypatch.setattr(Part, "ids", counted)
    monkeypatch.setattr(Barriers, "jobs", None)
    return numbers


def inputs_of(job):
    return [*((network.trial_id, network.level) for network in job.networks), *job.comparison.alignments]


def test_they_are_the_barriers_with_these_inputs_in_the_order_of_their_inputs(wanted):
    """Where two inputs have the same words, these are there once."""
    every = np.arange(len(wanted.barriers), dtype=np.int32)
    jobs = list(wanted.barriers.values())
    words = {(key, 0): "a trial" for key in list(wanted.trials)[:2]}
    words |= {key: f"alignment {key}" for key in list(wanted.alignments)[::3]}
    lacked = [[words[each] for each in inputs_of(job) if each in words] for job in jobs]
    found = Lacking(wanted.barriers, words)
    places = found.among(every)
    assert places.tolist() == [place for place in every if lacked[place]]
    assert 0 < len(places) < len(every)
    assert list(found.of(places)) == [
        (jobs[place].barrier_id, " and ".join(dict.fromkeys(lacked[place]))) for place in places
    ]


def test_of_a_diverged_training_the_ids_of_lost_barriers_are_made_when_they_are_listed(
    wanted, made, tmp_path
):
    files, trial_id = Files(str(tmp_path)), next(iter(wanted.trials))
    note_divergence(files, trial_id, Divergence("nan", 1, "host", 7.0))
    work = todo(wanted, done(wanted, files))
    assert not made
    barriers = [words for kind, _, words in work.lost if kind == "barrier"]
    assert sum(made) == len(barriers) == len(wanted.barriers) - len(work.barriers)
    assert len(work.barriers)
    assert len(set(map(id, barriers))) < len(barriers)


def test_of_a_failed_training_the_ids_of_waiting_barriers_are_made_as_they_are_asked_for(
    wanted, made, tmp_path
):
    present = done(wanted, Files(str(tmp_path)))
    frontier = Frontier(wanted, present, todo(wanted, present))
    failed, *trained = wanted.trials
    for trial_id in trained:
        frontier.level_done(trial_id, 0)
    aligned = {
        key for key, job in wanted.alignments.items() if failed not in {n.trial_id for n in job.networks}
    }
    frontier.aligned(dict.fromkeys(aligned, "object"))
    waiting = frontier.waiting()
    next(waiting)
    assert not made
    barriers = [words for kind, _, words in waiting if kind == "barrier"]
    assert sum(made) == len(barriers)
    assert len(wanted.barriers) - len(barriers) + len(aligned) == frontier.ready
    assert len(set(map(id, barriers))) < len(barriers)
