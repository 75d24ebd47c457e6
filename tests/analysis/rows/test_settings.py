import pandas as pd
import pytest

from analysis import weak, width_scaling
from analysis.rows.settings import (
    Setting,
    by_networks,
    by_setting,
    by_width,
    dense_ends,
    ends,
    one_statistics,
)
from tests.analysis.barrier_rows import pair_alignments, pair_rows, trial_rows
from tests.analysis.planned import planned

METHODS = ("activation_matching", "weight_matching")
OTHERS = tuple(f"{name}@0@9" for name in "efgh")


def swept(key, values):
    """Rows of `barriers` and `trials` of two variants: direct barriers of 0 and of 0.2."""
    trials, barriers = [], []
    for value, names, barrier in zip(values, ("abcd", "efgh"), (0.0, 0.2), strict=True):
        group = f"{key} {value}"
        trials += [{**row, key: value, "group": group} for row in trial_rows(names)]
        networks = tuple(f"{name}@0@9" for name in names)
        barriers += pair_rows("unaligned", 8, 0.5, None, networks, group=group)
        barriers += pair_rows("direct", 8, barrier, "weight_matching", networks, group=group)
    return pd.DataFrame(barriers), pd.DataFrame(trials)


@pytest.mark.parametrize(
    ("key", "values", "words"),
    [
        ("learning_rate", (0.05, 0.1), ["learning rate 0.05", "learning rate 0.1"]),
        ("half", (None, 1), ["no half", "half 1"]),
        ("subset_seed", (12345671, 12345672), ["subset seed 12345671", "subset seed 12345672"]),
        ("milestones", ([], ["80ep"]), ["milestones []", "milestones ['80ep']"]),
    ],
)
def test_what_a_sweep_varies_is_not_averaged_over(key, values, words):
    barriers, trials = swept(key, values)
    found = {setting.variant: rows for setting, rows in by_setting(barriers, trials)}
    assert set(found) == set(words)
    assert [set(found[word][found[word].kind == "direct"].error_barrier) for word in words] == [{0.0}, {0.2}]


def test_tables_of_trials_are_split_alike():
    barriers, trials = swept("learning_rate", (0.05, 0.1))
    of_trials = [setting for setting, _ in by_width(by_networks(trials, trials))]
    assert of_trials == [setting for setting, _ in by_width(by_networks(barriers, trials))]
    assert [len(rows) for _, rows in by_networks(trials, trials)] == [4, 4]


def test_networks_of_several_widths_belong_to_their_variant():
    """Their group is that of no trial."""
    _, trials = swept("learning_rate", (0.05, 0.1))
    rows = pair_rows("embedded", None, 0.1, "weight_matching", OTHERS, group="of both", across="widths")
    ((setting, found),) = by_setting(pd.DataFrame(rows), trials)
    assert (setting.variant, len(found)) == ("learning rate 0.1", 12)


def test_widths_of_a_column_with_nulls_are_integers():
    rows = pd.DataFrame(pair_rows("unaligned", 8, 0.5) + pair_rows("unaligned", None, 0.5, group="of both"))
    ((setting, _),) = by_width(by_setting(rows, pd.DataFrame(trial_rows())))
    assert setting.title == "mlp-8 on digits"


def test_seeds_of_replicates_set_nothing_apart():
    trials = pd.DataFrame(trial_rows()).assign(data_seed=[1, 2, 3, 4], half=[0, 1, 0, 1])
    ((setting, _),) = by_setting(pd.DataFrame(pair_rows("unaligned", 8, 0.5)), trials)
    assert setting == Setting("digits", "mlp", "none")


def test_unaligned_rows_go_with_every_method():
    rows = pd.DataFrame(
        pair_rows("unaligned", 8, 0.5) + [row for m in METHODS for row in pair_rows("direct", 8, 0.1, m)]
    )
    found = {
        setting.method: set(part.method.dropna())
        for setting, part in by_setting(rows, pd.DataFrame(trial_rows()))
        if (part.kind == "unaligned").sum() == 12
    }
    assert found == {method: {method} for method in METHODS}


def test_variants_have_texts_and_figures_of_their_own(tmp_path):
    barriers, trials = swept("learning_rate", (0.05, 0.1))
    alignments = pd.concat([pair_alignments(), pair_alignments(OTHERS)])
    for name, table in (("barriers", barriers), ("trials", trials), ("alignments", alignments)):
        table.to_parquet(tmp_path / name)
    for module, stem in ((weak, "weak_mlp_8_digits"), (width_scaling, "width_scaling_mlp_digits")):
        low, high = module.analyse(tmp_path).split("\n\n")
        for text, rate, word in ((low, "0.05", "holds"), (high, "0.1", "fails")):
            assert f"learning rate {rate}" in text
            assert word in text
            assert (tmp_path / "figures" / f"{stem}_learning_rate_{rate}.png").stat().st_size > 0
        assert "0.200" not in low


def test_recomputed_statistics_replace_kept_ones_of_the_same_group():
    rows = pair_rows("unaligned", 8, 0.3, group="batch") + pair_rows(
        "unaligned", 8, 0.1, group="batch", statistics="recomputed"
    )
    rows += pair_rows("unaligned", 8, 0.2, group="layer")
    kept = one_statistics(pd.DataFrame(rows))
    assert set(zip(kept.group, kept.statistics, strict=True)) == {("batch", "recomputed"), ("layer", "kept")}


def test_titles_and_file_names():
    setting = Setting("cifar10", "vgg16", "layer", "activation_matching", 64)
    assert setting.title == "vgg16-64 on cifar10, norm layer, activation matching"
    assert setting.stem == "vgg16_64_layer_cifar10_activation_matching"
    assert Setting("digits", "my:net", "none", "weight_matching").stem == "my_net_digits"
    varied = Setting("digits", "mlp", "none", variant="examples [0, 10], learning rate 0.1")
    assert varied.stem == "mlp_digits_examples_0_10_learning_rate_0.1"


def test_tasks_of_different_lengths_lose_no_comparison():
    """A permutation that is applied in another task was found at the end of its own."""
    train = {"fraction": [0.5, 1.0], "epochs": 2}
    tables = planned(train, compare={"kinds": ["unaligned", "direct"], "across": ["tasks"]})
    barriers, trials = tables["barriers"], tables["trials"]
    assert trials.steps.nunique() == 2
    of_two = barriers[barriers.across.notna() | (barriers.kind == "transferred")]
    assert len(of_two) > 0
    assert len(ends(barriers, trials)) == len(barriers)


def test_a_run_ends_where_its_steps_end():
    """While networks are compared along training, the latest of them are no ends yet."""
    half = pd.DataFrame(pair_rows("direct", 8, 0.1, "weight_matching", ("a@0@5", "b@0@5"), step=5))
    assert dense_ends(half, pd.DataFrame(trial_rows())).empty
