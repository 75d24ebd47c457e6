from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.power_law import power_law
from analysis.width_scaling import power_laws
from tests.analysis.barrier_rows import pair_alignments, pair_rows

PAIRS = list(combinations("abcd", 2))


def sample(value, names="abcd"):
    pairs = list(combinations(names, 2))
    return [value] * len(pairs), pairs


def test_an_exact_power_law_is_recovered():
    law = power_law({width: sample(3 * width**-1.5) for width in (8, 16, 32, 64)})
    assert law.exponent.mean == pytest.approx(-1.5)
    assert (law.exponent.low, law.exponent.high) == pytest.approx((-1.5, -1.5))
    assert law.factor == pytest.approx(3)
    assert str(law) == "width^-1.50 [-1.50, -1.50] (4 widths)"


def test_widths_at_or_below_zero_are_left_out_and_named():
    samples = {width: sample(width**-1.0) for width in (8, 16, 32)} | {64: sample(0.0), 128: sample(-0.1)}
    law = power_law(samples)
    assert law.exponent.mean == pytest.approx(-1)
    assert law.censored == (64, 128)
    assert "left out, at or below zero: 64, 128" in str(law)


def test_a_barrier_that_is_no_number_is_not_at_or_below_zero():
    law = power_law({width: sample(width**-1.0) for width in (8, 16, 32)} | {64: sample(float("nan"))})
    assert (law.censored, law.unknown) == ((), (64,))
    assert str(law).endswith("(3 widths; left out, not a number: 64)")


def test_two_widths_are_not_enough():
    assert power_law({8: sample(1.0), 16: sample(0.5), 32: sample(0.0)}) is None


def test_three_networks_have_no_interval():
    law = power_law({width: sample(width**-1.0, "abc") for width in (8, 16, 32)})
    assert law.exponent.mean == pytest.approx(-1)
    assert np.isnan(law.exponent.low)
    assert str(law) == "width^-1.00 (3 widths; no interval: fewer than four networks at 8)"


def test_its_coverage_is_what_it_says():
    """Of 300 samples with four networks at each of four widths, whose effects have a spread of a fifth."""
    draw, held = np.random.default_rng(0), 0
    for _ in range(300):
        samples = {}
        for width in (8, 16, 32, 64):
            effects = dict(zip("abcd", 0.5 + 0.1 * draw.standard_normal(4), strict=True))
            samples[width] = ([(effects[a] + effects[b]) / width for a, b in PAIRS], PAIRS)
        found = power_law(samples).exponent
        held += found.low <= -1 <= found.high
    assert 0.93 <= held / 300 <= 0.99


def test_a_mean_that_one_network_holds_above_zero_has_no_logarithm_without_it():
    effects = {"a": 1.0, "b": -0.1, "c": -0.2, "d": -0.1}
    odd = ([effects[a] + effects[b] for a, b in PAIRS], PAIRS)
    law = power_law({8: sample(1.0), 16: odd, 32: sample(0.25)})
    assert law.exponent.reason == "no positive mean without one of the networks at 16"
    assert np.isnan(law.line(np.array([8.0]))[1]).all()


def test_networks_of_different_widths_are_different_networks():
    """Left out of all widths at once, this spread, the same at every width, would cancel in the slope."""
    spread = np.linspace(0.5, 2, len(PAIRS))
    law = power_law({width: (list(spread / width), PAIRS) for width in (8, 16, 32)})
    assert law.exponent.mean == pytest.approx(-1)
    assert law.exponent.low < -1.1
    assert law.exponent.high > -0.9


def test_the_laws_of_a_sweep_by_series():
    rows = [row for w in (8, 16, 32) for row in pair_rows("unaligned", w, w**-0.5)]
    rows += [row for w in (8, 16, 32) for row in pair_rows("direct", w, 2 / w, "weight_matching")]
    found = power_laws(pd.DataFrame(rows), pair_alignments())
    assert {name: str(law) for name, law in found.items()} == {
        "unaligned": "width^-0.50 [-0.50, -0.50] (3 widths)",
        "direct": "width^-1.00 [-1.00, -1.00] (3 widths)",
    }


def test_the_band_lies_around_the_line():
    spread = np.linspace(0.5, 2, len(PAIRS))
    law = power_law({width: (list(spread / width), PAIRS) for width in (8, 16, 32)})
    value, low, high = law.line(np.array([8.0, 16.0, 32.0]))
    assert value == pytest.approx(spread.mean() / np.array([8, 16, 32]))
    assert (low < value).all()
    assert (value < high).all()
    assert high[1] / low[1] < min(high[0] / low[0], high[2] / low[2])  # narrowest amid the data


def test_three_networks_have_a_line_without_a_band():
    law = power_law({width: sample(width**-1.0, "abc") for width in (8, 16, 32)})
    value, low, high = law.line(np.array([8.0]))
    assert value == pytest.approx(1 / 8)
    assert np.isnan([low, high]).all()
