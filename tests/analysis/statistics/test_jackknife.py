from itertools import combinations, permutations, product
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.jackknife import bounds, interval, left_out, means_without, ratio, with_interval

PAIRS = list(combinations("abcd", 2))
SYMMETRIC = (1.0, 2.0, 4.0, 5.0)


def additive(effects, members):
    return [sum(effects[name] for name in group) for group in members]


def effects_of(values):
    return dict(zip("abcdefghijklmnop", values, strict=False))


@st.composite
def samples(draw, size=2):
    """Values of all sets of so many among five or six networks."""
    names = "abcdef"[: draw(st.integers(5, 6))]
    members = list(combinations(names, size))
    numbers = st.integers(-1000, 1000).map(lambda whole: whole / 16)
    return draw(st.lists(numbers, min_size=len(members), max_size=len(members))), members


def test_of_networks_alone_it_is_students_interval():
    found = interval(SYMMETRIC, [[name] for name in "abcd"])
    mean, error = np.mean(SYMMETRIC), stats.sem(SYMMETRIC)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 3, mean, error))
    assert found.mean == mean


@pytest.mark.parametrize("size", [2, 3])
def test_of_sums_over_networks_it_is_that_of_their_mean(size):
    """A network counts once however many comparisons it is in: a sum over m has m times the interval."""
    members = list(combinations("abcd", size))
    found = interval(additive(effects_of(SYMMETRIC), members), members)
    mean, error = np.mean(SYMMETRIC), stats.sem(SYMMETRIC)
    ends = stats.t.interval(0.95, 3, size * mean, size * error)
    assert (found.low, found.high) == pytest.approx(ends)


def test_of_two_kinds_of_networks_it_is_welchs():
    """Narrow networks with wide ones: each kind varies on its own."""
    narrow, wide = dict(zip("abcd", SYMMETRIC, strict=True)), dict(zip("vwxyz", range(5), strict=True))
    members = list(product("abcd", "vwxyz"))
    found = interval(additive(narrow | wide, members), members)
    welch = stats.ttest_ind(list(narrow.values()), [-v for v in wide.values()], equal_var=False)
    assert (found.low, found.high) == pytest.approx(tuple(welch.confidence_interval(0.95)))
    few = [group for group in members if group[1] in "vwx"]
    assert interval(additive(narrow | wide, few), few).reason == "fewer than four networks of one kind"


@given(samples(), st.integers(0, 2**32 - 1))
def test_a_network_left_out_takes_its_comparisons_along(sample, seed):
    values, members = sample
    kept = np.random.default_rng(seed).permutation(len(members))[:7]
    some = ([values[place] for place in kept], [members[place] for place in kept])
    found = means_without(some, "abcdefg")
    for name, mean in zip("abcdefg", found, strict=True):
        left = [value for value, group in zip(*some, strict=True) if name not in group]
        assert mean == pytest.approx(np.mean(left)) if left else np.isnan(mean)


@given(samples(), st.randoms(use_true_random=False))
def test_it_moves_with_the_values_and_knows_neither_names_nor_order(sample, random):
    values, members = sample
    found = interval(values, members)
    names = list("abcdef")
    random.shuffle(names)
    renamed = [[names["abcdef".index(name)] for name in group] for group in members]
    rows = list(zip([7 - 2 * value for value in values], renamed, strict=True))
    random.shuffle(rows)
    other = interval(*zip(*rows, strict=True))
    ends = [7 - 2 * end for end in (found.mean, found.high, found.low)]
    assert [other.mean, other.low, other.high] == pytest.approx(ends, abs=1e-6)


@given(samples(3))
def test_it_is_never_narrower_than_students(sample):
    values, members = sample
    found = interval(values, members)
    without = means_without(sample, sorted({name for group in members for name in group}))
    n = len(without)
    half = stats.t.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    assert found.low <= found.mean - half + 1e-9
    assert found.high >= found.mean + half - 1e-9


def test_a_network_that_stands_out_draws_its_end_away():
    values = additive(effects_of([0, 0.1, 0.2, 0.9]), PAIRS)
    found = interval(values, PAIRS)
    assert found.high - found.mean > 1.2 * (found.mean - found.low)


def test_equal_values_have_no_spread():
    found = interval([0.5] * 6, PAIRS)
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        (list(combinations("abc", 2)), "fewer than four networks"),
        ([tuple("abcd")] * 3, "without one of the networks nothing is left to compare"),
        ([("a", name) for name in "bcdef"], "fewer than four networks of one kind"),
    ],
)
def test_where_there_is_no_interval(members, reason):
    found = interval(np.arange(len(members)), members)
    assert np.isnan([found.low, found.high]).all()
    assert found.reason == reason
    assert found.mean == np.arange(len(members)).mean()


def test_a_value_that_is_no_number_is_counted_and_named():
    found = interval([0.1, np.nan, 0.1, 0.1, np.inf, 0.1], PAIRS)
    assert np.isnan([found.mean, found.low, found.high]).all()
    assert found.reason == "2 of 6 without a finite value: a with c, b with d"
    assert with_interval(found.mean, found.low, found.high) == "no mean"
    three, four = (interval([np.nan] * count + [0.1] * (6 - count), PAIRS).reason for count in (3, 4))
    assert three == "3 of 6 without a finite value: a with b, a with c, a with d"
    assert four == "4 of 6 without a finite value: a with b, a with c, a with d, ..."


def test_intervals_in_words():
    assert with_interval(0.0091, 0.005, 0.0139) == "0.009 [0.005, 0.014]"
    assert with_interval(0.0091, np.nan, np.nan) == "0.009"
    assert with_interval(-0.0001, -0.0002, 0.1) == "0.000 [0.000, 0.100]"
    assert with_interval(5000.0, 3000.0, 9000.0) == "5000.000 [3000.000, 9000.000]"


def test_an_upper_end_without_bounds_is_said_as_such():
    """Without one of the networks nearly nothing is left to divide by."""
    base = [float("d" in pair) or 1e-9 for pair in PAIRS]
    found = ratio(([1.0] * 6, PAIRS), (base, PAIRS))
    assert with_interval(found.mean, found.low, found.high) == "2.000 [0.000, over 1000]"


def test_a_ratio_leaves_each_network_out_of_both():
    values = np.linspace(0.1, 0.6, 6)
    found = ratio((2 * values, PAIRS), (values, PAIRS))
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    alone = ratio(([0.4], [tuple("abcd")]), (values, PAIRS))
    assert alone.mean == pytest.approx(0.4 / values.mean())
    assert np.isnan(alone.high)
    assert alone.reason == "without one of the networks nothing is left to compare"


def test_a_ratio_and_its_inverse_say_the_same():
    above, below = ([0.3, 0.1, 0.4, 0.1, 0.5, 0.9], PAIRS), ([1.1, 0.9, 1.3, 0.8, 1.2, 1.0], PAIRS)
    one, other = ratio(above, below), ratio(below, above)
    assert (1 / one.mean, 1 / one.high, 1 / one.low) == pytest.approx((other.mean, other.low, other.high))
    assert one.low > 0


def test_a_base_that_may_be_nothing_has_no_interval():
    """The bootstrap left out the draws in which it was not positive: 42 % of them in one case."""
    above = ([0.3, 0.1, 0.4, 0.1, 0.5, 0.9], PAIRS)
    base = (additive(effects_of([1.0, -0.1, -0.2, -0.3]), PAIRS), PAIRS)
    found = ratio(above, base)
    assert found.mean > 0
    assert np.isnan([found.low, found.high]).all()
    assert found.reason == "nothing positive to divide by without one of the networks"
    for nothing, why in (([], "measured"), ([0.0] * 6, "positive"), ([-0.1] * 6, "positive")):
        none = ratio(above, (nothing, PAIRS[: len(nothing)]))
        assert np.isnan([none.mean, none.high]).all()
        assert none.reason == f"nothing {why} to divide by"


def test_networks_of_two_widths_vary_on_their_own():
    values = additive(effects_of([0.4, 0.5, 0.7, 0.9]), PAIRS)
    wide = [tuple(f"wide {name}" for name in pair) for pair in PAIRS]
    found, (each,) = ratio((values, wide), (values, PAIRS)), left_out((values, PAIRS), [list("abcd")])
    whole = bounds(0.0, [np.log(each), -np.log(each)])
    assert (found.mean, found.low, found.high) == pytest.approx((1, np.exp(whole.low), np.exp(whole.high)))


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_a_missing_value_is_the_reason_that_there_is_no_ratio(missing):
    values = [missing, *[0.1] * 5]
    for found in (ratio((values, PAIRS), ([0.1] * 6, PAIRS)), ratio(([0.1] * 6, PAIRS), (values, PAIRS))):
        assert np.isnan([found.mean, found.low, found.high]).all()
        assert found.reason == "1 of 6 without a finite value: a with b"


def test_no_barrier_above_has_an_interval_too():
    found = ratio(([0.0] * 6, PAIRS), (np.linspace(0.1, 0.6, 6), PAIRS))
    assert (found.mean, found.low, found.high) == (0, 0, 0)


VIA = [group for group in permutations("abcd", 3) if group[0] < group[1]]
CYCLES = list(combinations("abcdef", 5))


@pytest.mark.parametrize("members", [PAIRS, VIA, CYCLES], ids=["pairs", "via", "cycles of five"])
def test_its_coverage_is_what_it_says(members):
    """Of 500 samples of networks with normal effects, and noise per comparison of half their size."""
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(500):
        values = additive(effects_of(draw.standard_normal(6)), members)
        found = interval(values + 0.5 * draw.standard_normal(len(members)), members)
        held += found.low <= 0 <= found.high
    assert 0.93 <= held / 500 <= 0.99


def test_a_hundred_thousand_pairs_take_no_time():
    members = list(combinations(map(str, range(448)), 2))
    values = np.random.default_rng(0).random(len(members))
    began = perf_counter()
    interval(values, members)
    assert perf_counter() - began < 5


@pytest.mark.parametrize("sign", [1, -1])
def test_the_end_on_the_side_of_the_skewness_solves_halls_equation(sign):
    """Of networks alone, by hand: the other end is Student's."""
    values = sign * np.array([0, 0.1, 0.2, 0.9])
    found = interval(values, [[name] for name in "abcd"])
    away = (values.mean() - values) / 3
    skewness = -(away**3).sum() / (away**2).sum() ** 1.5
    quantile, error = stats.t.ppf(0.975, 3), stats.sem(values)
    ends = [(found.mean - end) / error for end in (found.low, found.high)][::sign]
    assert ends[0] == pytest.approx(sign * quantile)
    halls = ends[1] + skewness * ends[1] ** 2 / 3 + skewness**2 * ends[1] ** 3 / 27 + skewness / 6
    assert halls == pytest.approx(-sign * quantile)
    assert abs(ends[1]) > 1.1 * quantile


def test_a_ratio_that_one_network_carries_alone_has_the_interval_of_the_ratio_itself():
    """Without that network nothing is left above, which has no logarithm."""
    above = ([float("a" in pair) for pair in PAIRS], PAIRS)
    found, alone = ratio(above, ([1.0] * 6, PAIRS)), interval(*above)
    assert (found.mean, found.low, found.high) == pytest.approx((alone.mean, alone.low, alone.high))
