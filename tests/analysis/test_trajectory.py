import math

import pandas as pd
import pytest

from analysis.trajectory import analyse
from analysis.trajectory.barriers import by_epoch, decisions, fixed_points, named, over_epochs
from analysis.trajectory.figure import curves
from analysis.trajectory.hybrids import hybrids_by_layer
from analysis.trajectory.hybrids import verdicts as hybrid_verdicts
from analysis.trajectory.stacks import stacks_by_epoch
from analysis.trajectory.stacks import verdicts as stack_verdicts
from analysis.trajectory.text import ratios, verdicts
from tests.analysis.trained import (
    EPOCHS,
    PER_EPOCH,
    agreements,
    along,
    hybrid,
    pairs,
    stack,
    write,
)


def means(rows):
    return by_epoch(pd.DataFrame(rows), PER_EPOCH)


def at(frame, **where):
    for column, value in where.items():
        frame = frame[frame[column].isna() if value is None else frame[column] == value]
    (row,) = frame.to_dict("records")
    return row


def test_means_by_epoch_found_and_epoch_applied():
    found = means(along() + stack(2, 0.02, 0.03))
    assert len(found) == 2 * (3 + 9 + 3)
    early = at(found, series="direct", found=1, epoch=3, risk="loss")
    assert (early["mean"], early["low"], early["high"]) == pytest.approx((0.8, 0.8, 0.8))
    assert (early["maximum"], early["connected"], early["n"]) == (0.8, 0.0, 6)
    assert [early[key] for key in ("share", "share_low", "share_high")] == pytest.approx([0.8] * 3)
    assert early["times"] == pytest.approx(0.8 / 0.02)
    assert at(found, series="unaligned", found=None, epoch=2, risk="error")["mean"] == pytest.approx(0.4)
    stacked = at(found, series="stacked 2", found=3, epoch=1, risk="error")
    assert (stacked["mean"], stacked["connected"]) == (pytest.approx(0.02), 1.0)


def test_a_share_of_nothing_is_none():
    found = means(along(unaligned=(0.4, 0.0)))
    assert found[found.risk == "loss"].share.isna().all()
    assert found[found.risk == "error"].share.notna().all()


def test_all_epochs_together():
    rows = along(last=(0.0, 0.0))
    for row in rows:
        if row["kind"] == "direct" and row["permutation_step"] == 9:
            row["loss_barrier"] = {3: 0.3, 6: 0.2, 9: 0.1}[row["step"]]
    last = at(over_epochs(pd.DataFrame(rows), PER_EPOCH), series="direct", found=3, risk="loss")
    assert (last["mean"], last["share"], last["times"]) == pytest.approx((0.2, 0.2, 2.0))


def test_fixed_points_by_epoch():
    found = fixed_points(pd.DataFrame(agreements((0.1, 0.4))), PER_EPOCH)
    assert found.epoch.tolist() == [1, 2]
    for column in ("mean", "low", "high"):
        assert found[column].tolist() == pytest.approx([0.1, 0.4])
    assert found.n.tolist() == [6, 6]


@pytest.mark.parametrize(
    ("last", "unaligned", "words"),
    [
        (
            0.02,
            0.4,
            "the claim holds in the mean along training ("
            "mean error barrier decided to be at most 0.02 at 3 of the 3 informative epochs",
        ),
        (
            0.03,
            0.4,
            "the claim fails at epoch 1, 2, 3 ("
            "mean error barrier decided to be at most 0.02 at 0 of the 3 informative epochs",
        ),
        (
            0.01,
            0.02,
            "the claim is not informative ("
            "mean error barrier decided to be at most 0.02 at 0 of the 0 informative epochs",
        ),
    ],
)
def test_the_last_permutation_is_decided_over_all_epochs(last, unaligned, words):
    found = decisions(means(along((unaligned, 1.0), (last, 0.02))))
    assert list(found) == [1, 2, 3]
    sentence = verdicts(found)[-1]
    assert sentence.startswith(f"permutation of epoch 3: {words}")
    assert f"{last:.3f} [{last:.3f}, {last:.3f}]" in sentence


def test_one_epoch_of_many_is_enough_to_fail():
    rows = along()
    for row in rows:
        if row["permutation_step"] == 9 and row["step"] == 3:
            row["error_barrier"] = 0.1
    last = decisions(means(rows))[3]
    assert (last.state, last.holds, last.informative, last.position) == ("fails", 2, 3, 1)


def test_three_networks_leave_it_undecided():
    rows = [row for row in along() if "d" not in {name[0] for name in row["networks"]}]
    assert {found.state for found in decisions(means(rows)).values()} == {"undecided"}


def test_text_and_figure_mean_the_same_first_and_middle():
    """Permutations of untrained networks count for neither, unless there are no others."""
    rows = along() + [row for epoch in EPOCHS for row in pairs("direct", epoch, 0.3, 0.9, 0, ["pair"])]
    found = means(rows)
    assert list(decisions(found)) == [1, 2, 3]
    shown = curves(found, "loss")
    assert {name: rows.found.iloc[0] for name, rows in shown.items() if name != "unaligned"} == {
        "first": 1,
        "middle": 2,
        "last": 3,
    }
    only = pd.DataFrame(pairs("direct", 1, 0.3, 0.9, 0, ["pair"]))
    assert list(decisions(by_epoch(only, PER_EPOCH))) == [0]


@pytest.mark.parametrize(("loss", "word"), [(0.4, "holds"), (0.6, "fails")])
def test_the_ratios_say_what_the_last_permutation_does_to_earlier_epochs(loss, word):
    rows = along()
    for row in rows:
        if row["permutation_step"] == 9 and row["step"] == 3:
            row["loss_barrier"] = loss
    frame = pd.DataFrame(rows)
    last = ratios(means(rows), over_epochs(frame, PER_EPOCH))[0]
    part = f"{loss:.3f} [{loss:.3f}, {loss:.3f}]"
    assert (
        f"below 0.5 of the unaligned one: {word} ({part} of it where it is largest, {part} at epoch 1" in last
    )
    times = (loss + 2 * 0.02) / 3 / 0.02
    assert f"{times:.3f} [{times:.3f}, {times:.3f}] times the 0.020 [0.020, 0.020] at the end" in last


@pytest.mark.parametrize(
    ("early", "words"),
    [
        ((0.3, 0.8), ("fails (0.800", "fails (0.300")),
        ((0.01, 0.1), ("holds (0.100", "holds in the mean (0.010")),
    ],
)
def test_the_ratios_say_what_early_permutations_do_to_the_end(early, words):
    rows = along(early=early)
    _, first, middle = ratios(means(rows), over_epochs(pd.DataFrame(rows), PER_EPOCH))
    for sentence, epoch in ((first, 1), (middle, 2)):
        assert sentence.startswith(f"permutation of epoch {epoch} at the end: loss barrier below 0.5")
        assert all(word in sentence for word in words)
        times = early[1] / 0.02
        assert f"{times:.3f} [{times:.3f}, {times:.3f}] times that of the last permutation" in sentence


def test_of_the_same_rows_all_sentences_say_the_same():
    """Connected without a permutation at the end: neither sentence on early ones may say that they hold."""
    rows = along(unaligned=(0.01, 1.0), early=(0.01, 0.1))
    found = means(rows)
    decided = decisions(found)
    early = ratios(found, over_epochs(pd.DataFrame(rows), PER_EPOCH))[1:]
    assert {one.state for one in decided.values()} == {"not informative"}
    assert all("error barrier at most 0.02: not informative (0.010" in sentence for sentence in early)


def test_without_unaligned_pairs_nothing_is_decided():
    rows = [row for row in along(early=(0.01, 0.1)) if row["kind"] != "unaligned"]
    found = means(rows)
    (*_, last) = verdicts(decisions(found))
    assert "the claim is undecided: no unaligned baseline at epoch 1, 2, 3 (" in last
    sentences = ratios(found, over_epochs(pd.DataFrame(rows), PER_EPOCH))[1:]
    assert all("at most 0.02: undecided: no unaligned baseline (" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("loss", "word"), [(0.005, "better"), (0.05, "worse"), (0.02, "undecided")], ids=lambda value: str(value)
)
def test_every_stack_is_compared_with_the_last_permutation(loss, word):
    rows = along() + stack(3, 0.01, loss) + stack(2, 0.03, 0.02)
    found = stacks_by_epoch(named(pd.DataFrame(rows), PER_EPOCH))
    three = at(found, series="stacked 3", epoch=2, risk="loss")
    assert [three[key] for key in ("mean", "low", "high")] == pytest.approx([loss - 0.02] * 3)
    assert at(found, series="stacked 2", epoch=None, risk="error")["mean"] == pytest.approx(0.02)
    two, last = stack_verdicts(found)
    assert two.startswith("super-alignment of 2 checkpoints")
    assert f"nats ({word}" in last
    assert last.endswith("), n = 6 pairs")


def test_hybrids_stand_beside_no_and_the_last_permutation():
    rows = along() + hybrid("bottom_up", 1, 0.01, 0.1) + hybrid("top_down", 1, 0.1, 0.4)
    found = hybrids_by_layer(pd.DataFrame(rows), PER_EPOCH)
    means = {(row["hybrid"], row["risk"]): row["mean"] for row in found.to_dict("records")}
    assert means == pytest.approx(
        {
            ("no permutation", "error"): 0.4,
            ("no permutation", "loss"): 1.0,
            ("last permutation", "error"): 0.01,
            ("last permutation", "loss"): 0.02,
            ("bottom_up", "error"): 0.01,
            ("bottom_up", "loss"): 0.1,
            ("top_down", "error"): 0.1,
            ("top_down", "loss"): 0.4,
        }
    )
    assert at(found, hybrid="bottom_up", risk="loss")["ratio"] == pytest.approx(0.25)
    assert set(found.early) == {1}
    assert hybrids_by_layer(pd.DataFrame(along()), PER_EPOCH).empty


@pytest.mark.parametrize(
    ("below", "above", "words"),
    [
        (
            (0.01, 0.1),
            (0.1, 0.4),
            ("up to 1 layer groups from below, in no layer groups from above", "lower layer groups tolerate"),
        ),
        (
            (0.1, 0.4),
            (0.01, 0.1),
            (
                "no layer groups from below, in up to 1 layer groups from above",
                "higher layer groups tolerate",
            ),
        ),
        (
            (0.1, 0.4),
            (0.1, 0.4),
            (
                "no layer groups from below, in no layer groups from above",
                "is undecided: the interval straddles 1 at number 1",
            ),
        ),
    ],
)
def test_which_layer_groups_tolerate_the_early_permutation(below, above, words):
    rows = along()
    for direction, one in (("bottom_up", below), ("top_down", above)):
        for layers, barriers in enumerate(((0.01, 0.02), one, (0.2, 0.8))):
            rows += hybrid(direction, layers, *barriers)
    (sentence,) = hybrid_verdicts(hybrids_by_layer(pd.DataFrame(rows), PER_EPOCH))
    assert "permutation of epoch 1 in some of 2 layer groups" in sentence
    assert all(word in sentence for word in words)


def test_single_layer_groups_alone_have_no_direction():
    rows = along() + hybrid("one_in", 0, 0.01, 0.1) + hybrid("one_in", 1, 0.1, 0.4)
    assert hybrid_verdicts(hybrids_by_layer(pd.DataFrame(rows), PER_EPOCH)) == []


def test_text_and_figure(tmp_path):
    rows = along() + stack(2, 0.02, 0.03) + hybrid("bottom_up", 1, 0.01, 0.1) + hybrid("one_in", 1, 0.1, 0.4)
    write(tmp_path, rows)
    text = analyse(tmp_path)
    assert "mlp-8 on digits, weight matching: test loss barrier by epoch (nats) [95 % interval]" in text
    assert "fixed points with the last permutation by epoch: 1: 0.100 [0.100, 0.100]" in text
    assert "super-alignment of 2 checkpoints" in text
    assert (tmp_path / "figures/trajectory_mlp_8_digits.png").stat().st_size > 0


def test_a_sweep_without_permutations_along_training(tmp_path):
    write(tmp_path, along(), agreements=[{**row, "kind": "path"} for row in agreements()])
    assert analyse(tmp_path).startswith("trajectory: no permutations along training")


def test_without_a_finite_barrier_everything_is_undecided(tmp_path):
    rows = along()
    for row in rows:
        if row["kind"] == "direct":
            row["error_barrier"] = row["loss_barrier"] = math.nan
    write(tmp_path, rows)
    text = analyse(tmp_path)
    assert "permutation of epoch 3: the claim is undecided: 6 of 6 without a finite value: a with b" in text
    assert (tmp_path / "figures/trajectory_mlp_8_digits.png").stat().st_size > 0
