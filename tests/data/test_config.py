from dataclasses import replace

import pytest

from raysweep.data import DataConfig


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        ({"half": 0, "fraction": 0.5}, "at most one of half, fraction and examples"),
        ({"fraction": 0.5, "examples": (0, 5)}, "at most one"),
        ({"half": 2}, "half must be 0 or 1, found 2"),
        ({"half": -1}, "half must be 0 or 1"),
        ({"fraction": 0.0}, "fraction must be above 0 and at most 1"),
        ({"fraction": 1.01}, "fraction must be"),
        ({"fraction": float("nan")}, "fraction must be"),
        ({"examples": (5, 5)}, "0 <= start < stop"),
        ({"examples": (-1, 5)}, "0 <= start < stop"),
        ({"examples": (1, 2, 3)}, "examples must be"),
    ],
)
def test_an_impossible_subset_is_refused(subset, message):
    with pytest.raises(ValueError, match=message):
        DataConfig("digits", **subset)


@pytest.mark.parametrize("subset", [{"half": 1}, {"fraction": 0.5}, {"examples": (2, 9)}, {}])
def test_whole_keeps_all_but_the_subset(subset):
    whole = DataConfig("digits", split_seed=3, pixel_seed=4)
    assert replace(whole, subset_seed=5, **subset).whole() == whole


def test_is_a_key():
    assert hash(DataConfig("digits", examples=(0, 3))) == hash(DataConfig("digits", examples=(0, 3)))
