"""Which barriers may have results is found by the inputs that committed rows name, without their ids."""

import numpy as np
import pytest

from raysweep.plan.candidates import Candidates
from raysweep.plan.desired import desired
from raysweep.store.ids import Ids
from raysweep.store.inputs import Inputs, named_input, numbers_of
from raysweep.sweep.load import check
from raysweep.vocabulary import LISTED_KINDS
from tests.work.plans import BASE


def inputs_of(job):
    """The names of the inputs in a row of a barrier, in the order in which workers write them."""
    return [*map(str, dict.fromkeys(job.networks)), *job.comparison.alignments]


def names_of(jobs):
    pairs = [numbers_of([named_input(name, "0" * 64) for name in inputs_of(job)]) for job in jobs]
    counts = np.array([len(each) // 2 for each in pairs], int)
    return Inputs(counts, np.array([number for each in pairs for number in each]).reshape(-1, 2)).names()


@pytest.fixture(scope="module")
def wanted():
    """Every kind of barrier: cycles compare a network with itself, and hybrids apply two permutations."""
    compare = {"kinds": list(LISTED_KINDS), "path_networks": [3], "mean_networks": [3], "alphas": 5}
    compare |= {
        "measures": ["ensemble", "disagreement"],
        "trajectory": {"early": "0ep", "hybrids": ["one_in"]},
    }
    train = {**BASE, "width": 6, "replicates": 4, "checkpoints": ["0ep", "3ep"]}
    return desired(check("test", {"name": "s", "train": train, "compare": compare}))


def test_they_are_the_barriers_of_the_same_networks_and_permutations(wanted):
    jobs = list(wanted.barriers.values())
    for some in (jobs[:1], jobs[-1:], jobs[5::40]):
        found = Candidates.of(wanted.barriers, np.unique(names_of(some)))
        asked = {frozenset(inputs_of(job)) for job in some}
        alike = [job for job in jobs if frozenset(inputs_of(job)) in asked]
        assert list(found.barriers.values()) == alike
        assert [jobs[place] for place in found.places] == alike
        ids = Ids.of([job.barrier_id for job in some] + ["0" * 20])
        assert [jobs[place] for place in np.sort(found.placed(ids))] == some
        last = some[-1].measurements[1].measure_id
        (place,), (number,) = found.measured(Ids.of([last]))
        assert (jobs[place], number) == (some[-1], 1)
    assert len(alike) < len(jobs)


def test_a_row_that_names_no_inputs_may_be_of_any_barrier(wanted):
    assert list(Candidates.of(wanted.barriers, np.array([0])).barriers) == list(wanted.barriers)
    assert not Candidates.of(wanted.barriers, np.array([], int)).barriers
