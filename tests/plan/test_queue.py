"""Jobs are handed out in the order of the plan, whatever the order in which their inputs arrive."""

import pytest

from raysweep.plan.desired import desired
from raysweep.plan.queue import AlignmentRows, Queue
from raysweep.sweep.load import check


@pytest.fixture(scope="module")
def pairs():
    train = {"dataset": "digits", "width": 4, "epochs": 1, "replicates": 6}
    return list(desired(check("test", {"name": "s", "train": train})).alignments.values())


def levels(job):
    return {(network.trial_id, network.level) for network in job.networks}


def queue(pairs, here):
    rows = {trial_id: row for row, (trial_id, _) in enumerate(sorted(set().union(*map(levels, pairs))))}
    return Queue(AlignmentRows(pairs), here, rows)


def take(queue, setting, count):
    return [job.alignment_id for job in queue.take(setting, count)]


@pytest.mark.parametrize("late", [2, 3, 4])
def test_what_becomes_ready_comes_in_between_what_is_known_to_be_ready(pairs, late):
    setting, every = pairs[0].setting, sorted(set().union(*map(levels, pairs)))
    order = take(queue(pairs, every), setting, len(pairs))
    jobs = queue(pairs, every[late:])
    (first,) = take(jobs, setting, 1)
    jobs.arrived(every[:late])
    order.remove(first)
    assert take(jobs, setting, len(order)) == order
    assert not jobs.ready
    assert jobs.count == 0
