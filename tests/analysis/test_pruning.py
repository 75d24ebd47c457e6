import math

import pandas as pd
import pytest

from analysis.pruning import analyse
from analysis.pruning import barriers as of_levels
from analysis.pruning.barriers import by_level, errors_by_level, verdicts
from tests.analysis.pruned import END, LEVELS, REWIND, branch, dense_and_chains, level_rows, run, write


def barriers(dense, unaligned=(0.3, 1.0), own=(0.005, 0.05), **more):
    """Rows of all levels; each argument is an error and a loss barrier."""
    rows = level_rows("unaligned", 0, *unaligned, **more) + level_rows("direct", 0, *own, found=0, **more)
    for level in LEVELS:
        rows += level_rows("unaligned", level, *unaligned, **more)
        rows += level_rows("direct", level, *dense, found=0, **more)
        rows += level_rows("direct", level, *own, found=level, **more)
    return rows


def decided(rows, trials=None):
    return of_levels.decided(by_level(pd.DataFrame(rows), pd.DataFrame(trials or dense_and_chains())))


@pytest.mark.parametrize(
    ("dense", "unaligned", "states", "words"),
    [
        ((0.01, 0.2), (0.3, 1.0), ["holds"] * 3, "the claim holds in the mean along pruning"),
        ((0.05, 0.2), (0.3, 1.0), ["holds", "fails", "fails"], "the claim fails at level 1, 2"),
        ((0.05, 0.2), (0.02, 1.0), ["not informative"] * 3, "the claim is not informative"),
    ],
)
def test_the_error_barrier_of_the_dense_permutation_decides(dense, unaligned, states, words):
    found = decided(barriers(dense, unaligned))
    assert found.state.tolist() == states
    assert set(found.point) == {"end"}
    assert found.n.tolist() == [6, 6, 6]
    assert found["mean"].tolist() == pytest.approx([0.005, dense[0], dense[0]])
    assert found.unaligned.tolist() == pytest.approx([unaligned[0]] * 3)
    assert f"end: dense permutation: {words}" in verdicts(found)[0]


def test_three_networks_have_no_interval_and_decide_nothing():
    rows = [row for row in barriers((0.01, 0.2)) if not {"d", "D"} & {n[0] for n in row["networks"]}]
    found = decided(rows)
    assert set(found.state) == {"undecided"}
    error, loss = verdicts(found)
    assert "the claim is undecided: fewer than four networks at level 0, 1, 2 (mean error barrier" in error
    assert "largest at level 1: 0.010, maximum 0.010, 100% of 3 pairs connected" in error
    assert "may or may not keep" in loss
    assert "at every level (fewer than four networks at level 1, 2): at most 0.200 of it" in loss


@pytest.mark.parametrize(("loss", "word"), [(0.4, "keeps"), (0.6, "does not keep")])
def test_the_ratio_of_the_loss_barriers(loss, word):
    sentence = verdicts(decided(barriers((0.01, loss))))[1]
    assert f"the dense permutation {word} the test loss barrier below 0.5 of the unaligned one" in sentence
    assert f"at most {loss:.3f} [{loss:.3f}, {loss:.3f}] of it, at level 1" in sentence


def test_without_an_unaligned_loss_barrier_there_is_no_ratio():
    found = decided(barriers((0.01, 0.2), unaligned=(0.3, 0.0)))
    assert found.share.isna().all()
    assert "unaligned sparse pairs have no loss barrier" in verdicts(found)[1]


def test_unaligned_pairs_that_were_not_measured_leave_both_undecided():
    rows = [row for row in barriers((0.01, 0.2)) if row["kind"] != "unaligned"]
    error, loss = verdicts(decided(rows))
    assert "the claim is undecided: no unaligned baseline at level 0, 1, 2" in error
    assert "may or may not keep the test loss barrier" in loss
    assert "(nothing measured to divide by at level 1, 2): its share is not known at level 1" in loss


def test_a_level_without_a_finite_barrier_leaves_every_level_undecided():
    rows = barriers((0.01, 0.2))
    rows[-1] = {**rows[-1], "loss_barrier": math.nan}  # under the level's own permutation, which counts not
    dense = next(row for row in rows if row["level"] == 2 and row["permutation_level"] == 0)
    assert "keeps the test loss barrier" in verdicts(decided(rows))[1]
    dense["loss_barrier"] = math.nan
    sentence = verdicts(decided(rows))[1]
    assert "may or may not keep the test loss barrier" in sentence
    assert (
        "(1 of 6 without a finite value: A with B at level 2): its share is not known at level 2" in sentence
    )


def test_rewind_points_and_lengths_are_kept_apart_by_the_steps_of_each_trial():
    """A chain that is longer has its rewind point where a shorter one ends."""
    trials = [{**row, "steps": 20, "start": 9 if row["level"] else 0} for row in dense_and_chains()]
    rows = barriers((0.01, 0.2), step=20) + barriers((0.05, 0.2), step=9)
    found = decided(rows, trials).groupby("point").state.agg(list).to_dict()
    assert found == {"end": ["holds"] * 3, "rewind": ["holds", "fails", "fails"]}


def test_comparisons_along_training_are_none_along_pruning():
    """`prune` and `compare.trajectory` together: other steps, and permutations that were found there."""
    rows = barriers((0.01, 0.2)) + barriers((0.01, 0.2), step=REWIND)
    other = level_rows("unaligned", 0, 0.9, 9.0, step=6) + level_rows("direct", 0, 0.9, 9.0, step=6, found=0)
    for step in (REWIND, 6, END):
        other += level_rows("direct", 0, 0.9, 9.0, step=step, found=0, permutation_step=6)
    other += level_rows("direct", 0, 0.9, 9.0, step=REWIND, found=0, permutation_step=REWIND)
    alone, together = (decided(each) for each in (rows, rows + other))
    pd.testing.assert_frame_equal(alone, together)
    assert together[together.level == 0].point.tolist() == ["end", "rewind"]
    assert set(together.n) == {6}


def test_the_networks_themselves_are_dense_ones_and_chains():
    trials = dense_and_chains() + branch("random", "a", "a", error=0.9) + [run("e", 0, error=0.9)]
    errors = errors_by_level(pd.DataFrame(trials))
    assert errors.level.tolist() == [0, 1, 2]
    assert errors["mean"].tolist() == pytest.approx([0.05] * 3)
    assert errors.n.tolist() == [4, 4, 4]


def test_figures_and_text(tmp_path):
    """A figure per width, norm, method and length; rewind points beside ends."""
    rows = barriers((0.01, 0.2)) + barriers((0.05, 0.02), step=REWIND)
    wide = barriers((0.01, 0.2), norm="layer", width=16)
    for row in wide:
        row["networks"] = [f"wide{name}" for name in row["networks"]]
    trials = dense_and_chains()
    for row in dense_and_chains(norm="layer", width=16):
        parent = row["parent_trial"] and f"wide{row['parent_trial']}"
        trials.append({**row, "trial_id": f"wide{row['trial_id']}", "parent_trial": parent})
    write(tmp_path, barriers=rows + wide, trials=trials)
    text = analyse(tmp_path)
    assert "mlp-8 on digits, weight matching: mean test error barrier of pairs by level" in text
    assert "rewind: dense permutation: the claim fails at level 1, 2" in text
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "pruning_mlp_16_layer_digits.png",
        "pruning_mlp_8_digits.png",
    ]


def test_lengths_have_figures_of_their_own(tmp_path):
    trials = dense_and_chains()
    for row in dense_and_chains(epochs=6, steps=18):
        trials.append(
            {**row, "trial_id": row["trial_id"] * 2, "parent_trial": (row["parent_trial"] or "") * 2}
        )
    rows = barriers((0.01, 0.2))
    long = barriers((0.05, 0.2), step=18)
    for row in long:
        row["networks"] = [name[0] + name for name in row["networks"]]
    write(tmp_path, barriers=rows + long, trials=trials)
    short, longer = analyse(tmp_path).split("\n\n")
    assert "epochs 3" in short
    assert "the claim holds in the mean along pruning" in short
    assert "epochs 6" in longer
    assert "the claim fails at level 1, 2" in longer
    assert (tmp_path / "figures/pruning_mlp_8_digits_epochs_6.png").exists()


def test_nothing_pruned(tmp_path):
    write(tmp_path, barriers=level_rows("unaligned", 0, 0.3, 1.0), trials=[run(name, 0) for name in "abcd"])
    assert analyse(tmp_path) == "pruning: no pruned networks yet"
