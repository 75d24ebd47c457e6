"""Curves of trials in training are handed out seldom, whole, and never for trials that end soon."""

import pytest

from raysweep.store.records import LevelRecord
from raysweep.work import curves
from raysweep.work.curves import Curves


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second for each evaluation."""

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(curves, "time", clock)
    return clock


def evaluated(clock, found, trial_id, evaluations):
    """Note evaluations of a trial; returns after which of them a curve was handed out."""
    told = []
    for number in range(evaluations):
        clock.now += 1
        found.note(trial_id, 0, LevelRecord(steps=number))
        if due := found.due(trial_id):
            assert due == (0, LevelRecord(steps=number))
            told.append(number)
    return told


def test_a_curve_is_handed_out_once_in_an_interval(clock):
    found = Curves(10)
    assert evaluated(clock, found, "long", 35) == [10, 20, 30]
    assert evaluated(clock, found, "short", 10) == []
    assert evaluated(clock, Curves(float("inf")), "not tracked", 100) == []


def test_what_is_new_is_not_kept_until_the_next_evaluation(clock):
    found = Curves(10)
    evaluated(clock, found, "slow", 10)
    clock.now += 1
    assert found.due("slow") == (0, LevelRecord(steps=9))
    clock.now += 100
    assert found.due("slow") is None


def test_nothing_is_told_of_a_level_that_is_stored(clock):
    found = Curves(10)
    evaluated(clock, found, "trial", 10)
    found.drop("trial")
    clock.now += 100
    assert found.due("trial") is None
