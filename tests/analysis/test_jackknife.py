from itertools import combinations

import numpy as np
import pytest

from analysis.jackknife import interval, ratio


def test_interval_contains_the_mean_and_needs_four_networks():
    pairs = list(combinations("abcd", 2))
    values = np.linspace(0.1, 0.6, len(pairs))
    found = interval(values, pairs)
    assert found.low < found.mean < found.high
    assert found == interval(values, pairs)
    assert np.isnan(interval([1.0, 2.0, 3.0], list(combinations("abc", 2))).high)


def test_equal_values_have_no_spread():
    found = interval([0.5] * 6, list(combinations("abcd", 2)))
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))


def test_a_ratio_weighs_both_alike_and_needs_both_intervals():
    pairs = list(combinations("abcd", 2))
    values = np.linspace(0.1, 0.6, len(pairs))
    found = ratio((list(2 * values), pairs), (list(values), pairs))
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    alone = ratio(([0.4], [tuple("abcd")]), (list(values), pairs))
    assert alone.mean == pytest.approx(0.4 / values.mean())
    assert np.isnan(alone.high)
    for base in ([], [0.0] * 6):
        assert np.isnan(ratio((list(values), pairs), (base, pairs[: len(base)])).mean)
