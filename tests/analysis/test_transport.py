from itertools import pairwise, permutations

import pandas as pd
import pytest

from analysis.transport import analyse
from analysis.transport.differences import by_level, differences, verdicts
from analysis.transport.runs import RANDOM, TRANSPORTED, chance, named_runs
from tests.analysis.pruned import NAMES, branch, dense_and_chains, start_rows, write

EVERY = list(permutations(NAMES, 2))


def transported(none, permuted, pairs=EVERY):
    """Every network under every other's mask; the arguments are test losses, errors are half as large."""
    rows = []
    for name, mask in pairs:
        rows += branch("transport", name, mask, "none", loss=none, error=none / 2)
        rows += branch("transport", name, mask, "dense", loss=permuted, error=permuted / 2)
    return rows


def test_masks_handed_around_a_ring_of_four_have_intervals():
    """Each network under the next one's mask: no mask and network are of two kinds."""
    ring = transported(0.4, 0.1, pairs=[*pairwise(NAMES), (NAMES[-1], NAMES[0])])
    found = gains(dense_and_chains() + ring)
    chosen = found[found.reference == TRANSPORTED["none"]]
    assert chosen.n.tolist() == [4] * 4
    assert set(chosen.state) == {"better"}


def randoms(**more):
    return [row for name in NAMES for row in branch("random", name, name, **more)]


def gains(trials, limit=0.7):
    return differences(named_runs(pd.DataFrame(trials), limit))


@pytest.mark.parametrize(
    ("none", "permuted", "state"), [(0.4, 0.1, "better"), (0.1, 0.4, "worse"), (0.2, 0.2, "undecided")]
)
def test_paired_differences_against_the_unpermuted_mask(none, permuted, state):
    found = gains(dense_and_chains() + transported(none, permuted))
    loss = found[(found.reference == TRANSPORTED["none"]) & (found.risk == "loss")]
    assert loss["mean"].tolist() == pytest.approx([none - permuted] * 2)
    assert loss.n.tolist() == [12, 12]
    assert set(loss.state) == {state}


def test_the_own_mask_is_a_reference_of_the_same_rewind_point():
    found = gains(dense_and_chains(loss=0.1) + transported(0.4, 0.3))
    own = found[(found.reference == "own mask") & (found.risk == "loss")]
    assert own["mean"].tolist() == pytest.approx([-0.2, -0.2])
    assert set(own.state) == {"worse"}


def test_one_shot_masks_are_a_reference_of_the_same_rewind_point():
    shots = [row for name in NAMES for row in branch("one_shot", name, name, loss=0.35, error=0.1)]
    found = gains(dense_and_chains() + transported(0.4, 0.3) + shots)
    against = found[found.reference == "one-shot mask"].set_index(["risk", "level"])
    assert against.loc["loss", "mean"].tolist() == pytest.approx([0.05, 0.05])
    assert against.loc["error", "mean"].tolist() == pytest.approx([-0.05, -0.05])
    assert against.n.tolist() == [12] * 4
    assert against.state.to_dict() == {
        ("error", 1): "worse",
        ("error", 2): "worse",
        ("loss", 1): "better",
        ("loss", 2): "better",
    }


def test_two_networks_decide_nothing():
    found = gains(dense_and_chains() + transported(0.4, 0.1, [("a", "b"), ("b", "a")]))
    assert set(found.state) == {"undecided"}
    assert found.low.isna().all()
    assert set(found.reason) == {"fewer than four networks"}


def test_chance_is_known_from_the_networks_before_training():
    trials, metrics = pd.DataFrame(dense_and_chains(error=0.1)), pd.DataFrame(start_rows(0.9))
    assert chance(trials, metrics) == pytest.approx(0.9 - 0.2 * 0.8)
    assert chance(trials, metrics[metrics.step > 0]) == float("inf")


def test_collapsed_runs_count_in_errors_and_not_in_losses():
    trials = dense_and_chains() + transported(0.4, 0.1) + randoms(loss=0.5, error=0.2)
    for row in trials:
        if row["branch"] == "random" and row["level"] == 2 and row["parent_trial"] == "a":
            row["test_loss"], row["test_error"] = 9.0, 0.9
    runs = named_runs(pd.DataFrame(trials), 0.7)
    means = by_level(runs)
    sparsest = means[(means.run == RANDOM) & (means.level == 2)].set_index("risk")
    assert sparsest["mean"].to_dict() == pytest.approx({"error": 0.375, "loss": 0.5})
    assert sparsest.n.to_dict() == {"error": 4, "loss": 3}
    assert sparsest.collapsed.to_dict() == {"error": 1, "loss": 1}
    found = differences(runs)
    against = found[(found.reference == RANDOM) & (found.level == 2)].set_index("risk")
    assert against.n.to_dict() == {"error": 12, "loss": 9}
    assert against["mean"]["loss"] == pytest.approx(0.4)
    assert "left out of all losses: random mask 1 at level 2" in verdicts(found, means, 0.7)[-1]


def test_all_runs_of_a_level_at_chance():
    means = by_level(named_runs(pd.DataFrame(dense_and_chains() + randoms(error=0.9)), 0.7))
    lost = means[(means.run == RANDOM) & (means.risk == "loss")]
    assert lost["mean"].isna().all()
    assert lost.n.tolist() == [0, 0]
    assert lost.collapsed.tolist() == [4, 4]


def test_levels_are_written_as_ranges():
    trials = dense_and_chains() + transported(0.4, 0.1)
    runs = named_runs(pd.DataFrame(trials), 0.7)
    first = verdicts(differences(runs), by_level(runs), 0.7)[0]
    assert first.startswith("mask transport, dense permutation, against transported, no permutation: ")
    assert "test loss lower at levels 1-2, higher at none, undecided at 0 of 2" in first


def test_figure_and_text(tmp_path):
    trials = dense_and_chains() + transported(0.4, 0.1) + randoms(loss=2.3, error=0.9)
    write(tmp_path, trials=trials, metrics=start_rows())
    text = analyse(tmp_path)
    assert "mlp-8 on digits: mean test loss of the pruned networks, without those at chance" in text
    assert "random mask 4 at level 1, 4 at level 2" in text
    assert (tmp_path / "figures/transport_mlp_8_digits.png").stat().st_size > 0


def test_a_sweep_in_which_no_pruned_network_learnt_has_its_figure(tmp_path):
    trials = [{**row, "test_error": 0.9} for row in dense_and_chains() + transported(2, 2) if row["level"]]
    trials += [row for row in dense_and_chains() if row["level"] == 0]
    write(tmp_path, trials=trials, metrics=start_rows(0.9))
    text = analyse(tmp_path)
    assert "own mask 4 at level 1, 4 at level 2" in text
    assert (tmp_path / "figures/transport_mlp_8_digits.png").stat().st_size > 0


def test_chains_alone_have_nothing_to_transport(tmp_path):
    write(tmp_path, trials=dense_and_chains(), metrics=start_rows())
    assert analyse(tmp_path) == "transport: no transported masks yet (prune.branches)"
