import pandas as pd
import pytest

from analysis.tasks import analyse, pairs, tasks_of
from raysweep.vocabulary import DATA_KEYS
from tests.analysis.barrier_rows import pair_rows, trial_rows


def trials(**keys):
    """Networks a and b of one task, c and d of another."""
    frame = pd.DataFrame(trial_rows()).assign(dataset="digits")
    for key in DATA_KEYS[1:]:
        frame[key] = pd.Series([0 if "seed" in key else None] * 4, dtype=object)
    for key, (one, other) in keys.items():
        frame[key] = pd.Series([one, one, other, other], dtype=object)
    return frame


def rows():
    found = pair_rows("direct", 8, 0.0, "weight_matching", ("a@0@9", "b@0@9"))
    found += pair_rows("transferred", 8, 0.1, "weight_matching", ("a@0@9", "b@0@9"), alignments=["cd"])
    found += pair_rows("unaligned", 8, 0.5, None, ("a@0@9", "c@0@9"), across="tasks", group="two")
    return pd.DataFrame(found)


ALIGNMENTS = pd.DataFrame(
    {"alignment_id": ["a@0@9b@0@9", "cd"], "networks": [["a@0@9", "b@0@9"], ["c@0@9", "d@0@9"]]}
)


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({"half": (0, 1)}, ("half 0", "half 1")),
        ({"pixel_seed": (None, 3)}, ("no pixel seed", "pixel seed 3")),
        ({"dataset": ("cifar10", "svhn")}, ("cifar10", "svhn")),
        ({"examples": ([0, 10], [10, 20])}, ("examples [0, 10]", "examples [10, 20]")),
    ],
)
def test_tasks_are_named_by_what_differs(keys, names):
    assert tasks_of(trials(**keys)) == dict(zip("abcd", (names[0], *names, names[1]), strict=True)) | {
        "b": names[0]
    }


def test_pairs_say_whose_networks_and_whose_permutation():
    chosen = pairs(rows(), ALIGNMENTS, trials(half=(0, 1)))
    assert set(zip(chosen.series, chosen.alignment, strict=True)) == {
        ("half 0", "direct"),
        ("half 0", "transferred"),
        ("half 0 with half 1", "unaligned"),
    }


def test_figure_and_text(tmp_path):
    for name, table in (("barriers", rows()), ("alignments", ALIGNMENTS), ("trials", trials(half=(0, 1)))):
        table.to_parquet(tmp_path / name)
    assert (
        "half 0, transferred: mean error barrier at most 0.02: train undecided: no unaligned baseline"
        in analyse(tmp_path)
    )
    assert (tmp_path / "figures/tasks_mlp_8_digits.png").stat().st_size > 0


def test_what_a_sweep_varies_besides_tasks_is_not_averaged_over(tmp_path):
    other = pair_rows("direct", 8, 0.2, "weight_matching", ("c@0@9", "d@0@9"), alignments=["cd"])
    barriers = pd.concat([rows()[lambda rows: rows.across.isna()], pd.DataFrame(other)])
    runs = trials(half=(0, 1), learning_rate=(0.05, 0.1))
    for name, table in (("barriers", barriers), ("alignments", ALIGNMENTS), ("trials", runs)):
        table.to_parquet(tmp_path / name)
    low, high = analyse(tmp_path).split("\n\n")
    assert low.startswith("mlp-8 on digits, weight matching, learning rate 0.05:")
    assert high.startswith("mlp-8 on digits, weight matching, learning rate 0.1:")
    assert "half 0" not in high
