"""How many networks would decide a claim, held against samples of so many."""

from itertools import combinations

import numpy as np
import pytest

from analysis.statistics.deciding import THRESHOLD
from analysis.statistics.jackknife import interval
from analysis.statistics.replicates import MOST, enough

NAMES = [f"n{i}" for i in range(MOST)]


def pairs(effects):
    """The interval of the mean over all pairs, whose barriers are the sums of their networks' effects."""
    numbers = list(combinations(range(len(effects)), 2))
    values = [effects[i] + effects[j] for i, j in numbers]
    return interval(values, [[NAMES[i], NAMES[j]] for i, j in numbers])


@pytest.mark.parametrize("mean", [0.012, 0.03])
def test_so_many_networks_decide_most_samples_and_far_fewer_do_not(mean):
    """On samples of 6 whose mean is the true one; the true standard deviation is known here."""
    generator = np.random.default_rng(0)

    def sample(count):
        drawn = generator.normal(0, 0.005, count)
        return mean / 2 + drawn - drawn.mean()

    def leaves(found):
        return found.high <= THRESHOLD or found.low > THRESHOLD

    counts = []
    for _ in range(50):
        found = pairs(sample(6))
        if not leaves(found):
            counts.append(enough(found.mean, found.low, found.high, 6) or MOST)
    count = int(np.median(counts))
    assert 6 < count < 20
    assert np.mean([leaves(pairs(sample(count))) for _ in range(100)]) > 0.5
    assert np.mean([leaves(pairs(sample(4))) for _ in range(100)]) < 0.4


def test_a_mean_at_the_threshold_is_decided_by_no_number():
    assert enough(0.0201, 0.01, 0.03, 6) is None


def test_more_networks_than_there_are_or_none():
    nan = float("nan")
    assert enough(0.01, nan, nan, 3) is None
    assert enough(0.01, 0.005, 0.0201, 6) == 7
