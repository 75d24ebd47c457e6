from itertools import combinations, permutations

import pandas as pd
import pytest

from analysis.transitivity import analyse, barriers_by_length, fixed_points_by_length, verdicts
from tests.analysis.barrier_rows import METHOD, NETWORKS, composed_rows, fixed_rows, pair_rows, trial_rows

PATHS = list(permutations(NETWORKS, 3))
CYCLES = [(*three, three[0]) for three in combinations(NETWORKS, 3)]


def rows(unaligned=0.5, direct=0.01, path=0.1, cycle=0.01):
    pairs = pair_rows("unaligned", 8, unaligned, None, splits=("test",))
    pairs += pair_rows("direct", 8, direct, METHOD, splits=("test",))
    composed = composed_rows(8, path, PATHS) + composed_rows(8, cycle, CYCLES)
    return [{**row, "path": None} for row in pairs] + composed


AGREEMENTS = fixed_rows(8, 0.2, PATHS) + fixed_rows(8, 0.1, CYCLES)


def test_barriers_by_length():
    found = barriers_by_length(pd.DataFrame(rows()))
    errors = found[found.risk == "error"].set_index(["series", "networks"])
    assert errors["mean"].to_dict() == pytest.approx(
        {("unaligned", 2): 0.5, ("path", 2): 0.01, ("path", 3): 0.1, ("cycle", 3): 0.01}
    )
    assert errors.n.to_dict() == {
        ("unaligned", 2): 6,
        ("path", 2): 6,
        ("path", 3): 24,
        ("cycle", 3): 4,
    }
    assert errors.connected.to_dict()["path", 3] == 0


def test_fixed_points_by_length():
    found = fixed_points_by_length(pd.DataFrame(AGREEMENTS)).set_index(["series", "networks"])
    assert found["mean"].to_dict() == pytest.approx({("path", 3): 0.2, ("cycle", 3): 0.1})
    assert found.low[("cycle", 3)] == pytest.approx(0.1)


def sentences(**barriers):
    means = barriers_by_length(pd.DataFrame(rows(**barriers)))
    return verdicts(means, fixed_points_by_length(pd.DataFrame(AGREEMENTS)))


def test_verdicts():
    cycle, pair, path, fixed_cycle, fixed_path = sentences()
    assert cycle.startswith(
        "cycle of 3: mean error barrier at most 0.02: holds in the mean (0.010 [0.010, 0.010]"
    )
    assert pair.endswith("holds in the mean (0.010 [0.010, 0.010], maximum 0.010, 100% of 6 paths connected)")
    assert path.endswith("fails (0.100 [0.100, 0.100], maximum 0.100, 0% of 24 paths connected)")
    assert fixed_cycle == "cycle of 3: fixed points (stays in place) 0.100 [0.100, 0.100] (n = 4)"
    assert "agrees with the direct permutation) 0.200" in fixed_path


def test_unaligned_networks_say_nothing_of_cycles():
    """A cycle compares a network with itself, which no unaligned pair is like."""
    cycle, pair, *_ = sentences(unaligned=0.01)
    assert "holds" in cycle
    assert "not informative" in pair


def test_three_networks_have_no_interval():
    three = NETWORKS[:3]
    means = barriers_by_length(pd.DataFrame(composed_rows(8, 0.1, [three, three[::-1]])))
    (path,) = verdicts(
        means, fixed_points_by_length(pd.DataFrame(fixed_rows(8, 0.2, [three])[:0], columns=AGREEMENTS[0]))
    )
    assert "undecided: no unaligned baseline (0.100, maximum" in path
    assert "nan" not in path


def test_table_and_figure(tmp_path):
    tables = {"barriers": rows(), "agreements": AGREEMENTS, "trials": trial_rows()}
    for name, table in tables.items():
        pd.DataFrame(table).to_parquet(tmp_path / name)
    text = analyse(tmp_path)
    assert "mlp-8 on digits, weight matching: mean test barrier of composed permutations" in text
    for risk in ("error", "loss", "fixed points"):
        assert any(line.startswith(risk) for line in text.splitlines())
    assert (tmp_path / "figures/transitivity_mlp_8_digits.png").stat().st_size > 0
