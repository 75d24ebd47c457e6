from collections import Counter

import pytest

from raysweep.errors import UserError
from raysweep.plan.desired import desired
from raysweep.sweep.load import check
from tests.plan.compared import comparisons


def plan(kinds, joint=(3,), align=None, compare=None, **train):
    base = {"dataset": "digits", "width": 8, "epochs": 2, "replicates": 4}
    comparing = {"kinds": kinds, "joint_networks": list(joint), **(compare or {})}
    return desired(
        check("test", {"name": "s", "train": {**base, **train}, "compare": comparing, "align": align or {}})
    )


def count(wanted):
    kinds = [(each.interpolation, each.kind) for each in comparisons(wanted)]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def test_all_pairs_and_triples():
    wanted = plan(["unaligned", "direct", "via"])
    assert len(wanted.alignments) == 6
    assert count(wanted) == {
        ("pair", "direct"): 6,
        ("pair", "unaligned"): 6,
        ("pair", "via"): 12,
        ("simplex", "via"): 12,
    }


def test_joint_alignments_of_three_and_four():
    wanted = plan(["joint"], joint=(3, 4))
    assert sorted(len(job.networks) for job in wanted.alignments.values()) == [3, 3, 3, 3, 4]
    assert count(wanted) == {("pair", "joint"): 4 * 3 + 6, ("simplex", "joint"): 4}
    for each in comparisons(wanted):
        (alignment,) = each.alignments
        networks = wanted.alignments[alignment].networks
        assert [networks[move.member] for move in each.permutations] == list(each.networks)


def test_activations_are_aligned_jointly_too():
    wanted = plan(["joint"], align={"methods": ["activation_matching"]})
    assert [(job.method, job.joint) for job in wanted.alignments.values()] == [
        ("activation_matching", True)
    ] * 4
    assert count(wanted) == {("pair", "joint"): 4 * 3, ("simplex", "joint"): 4}


def test_what_a_method_cannot_do_is_refused():
    cosine = {"weight_matching": {"kernel": "cosine"}}
    with pytest.raises(UserError, match=r"kinds = joint: .*kernel linear"):
        plan(["joint"], align=cosine)
    plan(["joint"], align={**cosine, "methods": ["activation_matching"]})
    plan(["direct", "via"], align=cosine)


def test_a_move_says_in_which_direction_it_goes():
    wanted = plan(["direct", "via"])
    for each in comparisons(wanted):
        for network, move in zip(each.networks, each.permutations, strict=True):
            if move is None:
                continue
            found = wanted.alignments[move.alignment_id]
            toward = each.reference or each.networks[0]
            assert set(found.networks) == {network, toward}
            assert (found.target == toward) != move.inverse


def test_batchnorm_is_compared_with_both_statistics():
    kept = plan(["unaligned", "direct"])
    both = plan(["unaligned", "direct"], norm="batch")
    assert len(both.barriers) == 2 * len(kept.barriers)
    assert {each.statistics for each in comparisons(kept)} == {"kept"}
    assert {each.statistics for each in comparisons(both)} == {"kept", "recomputed"}


def test_hidden_units_of_any_network_are_repaired():
    """The barriers that were there before keep their ids."""
    statistics = {"statistics": ["kept", "recomputed", "repaired"]}
    for norm, ways in (("none", 2), ("batch", 3)):
        plain, more = plan(["direct"], norm=norm), plan(["direct"], norm=norm, compare=statistics)
        assert set(plain.barriers) < set(more.barriers)
        assert len({each.statistics for each in comparisons(more)}) == ways
    alone = plan(["direct"], compare={"statistics": ["repaired"]})
    assert {each.statistics for each in comparisons(alone)} == {"repaired"}


def test_settings_of_the_method_are_in_the_id():
    first = plan(["direct"])
    for change in ({"kernel": "cosine"}, {"order": "forward"}, {"biases": False}, {"restarts": 2}):
        assert not set(first.alignments) & set(plan(["direct"], align={"weight_matching": change}).alignments)


def test_methods_share_what_is_unaligned_and_do_not_mix():
    one = plan(["unaligned", "direct", "joint"])
    both = plan(
        ["unaligned", "direct", "joint"], align={"methods": ["weight_matching", "activation_matching"]}
    )
    assert set(one.alignments) < set(both.alignments)
    assert set(one.barriers) < set(both.barriers)
    assert count(both)["pair", "unaligned"] == 6
    assert count(both)["pair", "direct"] == 12
    assert count(both)["pair", "joint"] == 2 * count(one)["pair", "joint"]
    options = {"methods": ["activation_matching"], "activation_matching": {"examples": 100}}
    other = plan(["direct"], align=options)
    assert not set(other.alignments) & set(both.alignments)


def test_means_of_several_networks():
    base = {"dataset": "digits", "width": 8, "epochs": 2, "replicates": 4}
    compare = {"kinds": ["unaligned", "via", "joint"], "joint_networks": [], "mean_networks": [2, 4]}
    wanted = desired(check("test", {"name": "s", "train": base, "compare": compare}))
    means = [each for each in comparisons(wanted) if each.interpolation == "mean"]
    assert {(len(u.networks), u.kind) for u in means} == {
        (n, k) for n in (2, 4) for k in ("unaligned", "via", "joint")
    }
    assert len(means) == (6 + 12 + 6) + (1 + 4 + 1)


ALONG = {"replicates": 4, "epochs": 4, "batch_size": 64, "checkpoints": [1, 2]}  # 22 steps an epoch
EVERY = {
    "training": {"compare": {"trajectory": {}}},
    "pruning": {"prune": {"levels": 2, "rewind": 1}},
    "both": {"prune": {"levels": 2, "rewind": 1}, "compare": {"trajectory": {}}},
}


def along(name, norm="none"):
    train = {"dataset": "digits", "width": 8, "norm": norm, **ALONG}
    compare = {"kinds": ["unaligned", "direct"], **EVERY[name].get("compare", {})}
    return desired(check("test", {"name": "s", "train": train, **EVERY[name], "compare": compare}))


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("name", EVERY)
def test_each_unordered_pair_is_planned_once(name, norm):
    """At every level and step, under every permutation; the order of ids is not that of replicates."""
    places = Counter()
    for each in comparisons(along(name, norm)):
        found = tuple(sorted(each.alignments))
        places[frozenset(each.networks), found, each.statistics] += 1
    assert set(places.values()) == {1}
    dense = {pair for pair, _, _ in places if {(n.level, n.step) for n in pair} == {(0, 22)}}
    assert len(dense) == 6


def unordered(*plans):
    """What plans compare and how, but for the order of the networks."""
    return {
        (each.kind, each.statistics, frozenset(each.networks), frozenset(each.alignments))
        for wanted in plans
        for each in comparisons(wanted)
    }


def test_trajectories_and_levels_ask_for_the_same_together_as_alone():
    training, pruning, both = (along(name) for name in EVERY)
    assert unordered(both) == unordered(training, pruning)
    assert set(training.barriers) < set(both.barriers)
    assert set(both.alignments) == set(training.alignments) | set(pruning.alignments)


def test_the_order_of_a_pair_stays_what_it_was():
    """It is part of the id: of the replicates along pruning, of the ids of their trials along training."""
    training, pruning, both = (along(name) for name in EVERY)
    for wanted in (training, pruning, both):
        for each in comparisons(wanted):
            names = [network.trial_id for network in each.networks]
            if wanted is pruning and each.networks[0].step == 22:
                names = [wanted.trials[name].replicate for name in names]
            if each.networks[0].level == 0:
                assert names == sorted(names)
