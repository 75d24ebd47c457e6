import pandas as pd
import pytest

from analysis.means import analyse, by_number, decided, verdicts
from tests.analysis.barrier_rows import NETWORKS, set_rows, trial_rows

FIVE = (*NETWORKS, "e@0@9")


def rows(**barriers):
    """Means of 2 and 3 networks of five, with these excesses by kind."""
    return [
        row
        for kind, excesses in barriers.items()
        for size, excess in zip((2, 3), excesses, strict=True)
        for row in set_rows(kind, 8, excess, size, "mean", FIVE)
    ]


def means(**barriers):
    return by_number(pd.DataFrame(rows(**barriers)))


def test_excess_and_growth_by_number():
    found = means(joint=(0.01, 0.03))
    loss = found[found.risk == "loss"].set_index("number")
    assert loss["mean"].to_dict() == pytest.approx({2: 0.01, 3: 0.03})
    assert loss.n.to_dict() == {2: 10, 3: 10}
    assert loss.growth.to_dict() == pytest.approx({2: 1.0, 3: 3.0})
    assert (loss.growth_low[3], loss.growth_high[3]) == pytest.approx((3.0, 3.0))


def test_states_ask_the_unaligned_mean_of_as_many():
    found = decided(means(unaligned=(0.01, 0.5), joint=(0.01, 0.01), via=(0.01, 0.1)))
    states = {(row.kind, row.number): row.state for row in found.itertuples()}
    assert states["joint", 2] == states["via", 2] == "not informative"
    assert states["joint", 3] == "holds"
    assert states["via", 3] == "fails"


def test_a_number_that_is_not_informative_is_passed_over():
    """The mean of two needs no permutation: it does not end what holds for three."""
    joint, _ = verdicts(means(unaligned=(0.01, 0.5), joint=(0.01, 0.01)))
    assert joint.splitlines()[0].endswith("at most 0.02 up to 3 networks")
    none, _ = verdicts(means(unaligned=(0.01, 0.01), joint=(0.01, 0.01)))
    assert none.splitlines()[0].endswith("at most 0.02: not informative")


def test_sentences():
    via, joint, none = verdicts(means(via=(0.02, 0.04), joint=(0.01, 0.02), unaligned=(0.3, 0.6)))[::-1]
    assert "up to 2 networks" in via
    assert via.splitlines()[2] == (
        "  3: fails (0.040 [0.040, 0.040], maximum 0.040, 0% of 10 means connected); "
        "excess loss 2.000 [2.000, 2.000] times that of 2"
    )
    assert "for no number of networks" in joint  # unaligned
    assert none.startswith("width 8, joint: mean excess test error of the mean at most 0.02 up to 3 networks")


def test_the_only_mean_of_all_networks_decides_nothing():
    found = by_number(pd.DataFrame(set_rows("joint", 8, 0.0, 5, "mean", FIVE)))
    assert set(decided(found).state) == {"undecided"}
    (text,) = verdicts(found)
    assert "growth unknown" in text
    assert "nan" not in text


def test_text(tmp_path):
    pd.DataFrame(rows(unaligned=(0.3, 0.6), joint=(0.01, 0.02))).to_parquet(tmp_path / "barriers")
    pd.DataFrame(trial_rows("abcde")).to_parquet(tmp_path / "trials")
    text = analyse(tmp_path)
    assert "mlp on digits, weight matching: excess test loss of the mean (nats)" in text
    assert (tmp_path / "figures/means_mlp_digits.png").stat().st_size > 0
