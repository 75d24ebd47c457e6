import pandas as pd
import pytest

from analysis.statistics.pairs import summarise, verdicts
from analysis.weak import analyse, pairs
from tests.analysis.barrier_rows import pair_rows, trial_rows


def words(barriers, trials):
    return verdicts(summarise(pairs(pd.DataFrame(barriers), pd.DataFrame(trials))), "here")


@pytest.mark.parametrize(
    ("unaligned", "direct", "word"),
    [
        (
            0.3,
            0.02,
            "test holds in the mean (0.020 [0.020, 0.020], maximum 0.020, 100% of 6 pairs connected)",
        ),
        (0.3, 0.03, "test fails (0.030 [0.030, 0.030], maximum 0.030, 0% of 6 pairs connected)"),
        (0.02, 0.01, "test not informative"),
    ],
)
def test_verdicts(unaligned, direct, word):
    barriers = pair_rows("unaligned", 8, unaligned) + pair_rows("direct", 8, direct, "weight_matching")
    first, second = words(barriers, trial_rows())
    assert first.startswith("here, independent, unaligned: ")
    assert second.startswith("here, independent, weight matching: ")
    assert word in second


def test_an_interval_across_the_threshold_is_undecided():
    barriers = pair_rows("unaligned", 8, 0.3) + pair_rows("direct", 8, 0.0, "weight_matching")
    for row, barrier in zip(
        barriers[12:], [0.0, 0.0, 0.01, 0.01, 0.02, 0.02, 0.02, 0.02, 0.03, 0.03, 0.04, 0.04], strict=True
    ):
        row["error_barrier"] = barrier
    assert "test undecided: the interval straddles 0.02 (" in words(barriers, trial_rows())[1]


@pytest.mark.parametrize(
    ("trials", "series"),
    [
        (trial_rows(), "independent"),
        (trial_rows(init_seed=0), "same initialisation"),
        (trial_rows(branch="spawned", init_seed=0, spawn_at="0st"), "same initialisation"),
        (trial_rows(branch="spawned", init_seed=0, start=22, spawn_at="1ep"), "spawned at 1ep"),
    ],
)
def test_what_networks_share(trials, series):
    chosen = pairs(pd.DataFrame(pair_rows("unaligned", 8, 0.3)), pd.DataFrame(trials))
    assert set(chosen.series) == {series}


def test_figure_and_text(tmp_path):
    barriers = pair_rows("unaligned", 8, 0.3)
    for method in ("weight_matching", "activation_matching"):
        barriers += pair_rows("direct", 8, 0.0, method)
    pd.DataFrame(barriers).to_parquet(tmp_path / "barriers")
    pd.DataFrame(trial_rows()).to_parquet(tmp_path / "trials")
    text = analyse(tmp_path)
    assert text.index("unaligned: ") < text.index("weight matching: ") < text.index("activation matching: ")
    assert (tmp_path / "figures/weak_mlp_8_digits.png").stat().st_size > 0
