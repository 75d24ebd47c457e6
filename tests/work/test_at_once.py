import threading
import time

import pytest

from raysweep.work.at_once import AtOnce


def test_results_are_in_the_order_of_the_jobs():
    for count in (1, 3):
        assert AtOnce(count, 1).each(lambda job: job * job, range(5)) == [0, 1, 4, 9, 16]


def test_a_failure_is_raised_when_no_other_job_runs_any_more():
    running, begun = [], []

    def work(job):
        begun.append(job)
        if not job:
            raise ValueError("the first")
        running.append(threading.get_ident())
        time.sleep(0.05)
        running.pop()

    with pytest.raises(ValueError, match="the first"):
        AtOnce(3, 1).each(work, range(100))
    assert not running
    assert len(begun) < 100
