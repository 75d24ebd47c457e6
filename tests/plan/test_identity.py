from raysweep.plan.alignments import make_alignment
from raysweep.plan.identity import Network, make_trial
from raysweep.plan.plan import desired
from raysweep.sweep.load import check
from raysweep.sweep.schema import Align

BASE = {"dataset": "digits", "width": 8, "epochs": 2, "replicates": 4}


def plan(**train):
    return desired(check("test", {"name": "s", "train": {**BASE, **train}}))


def test_golden_id():
    """Changes when an id changes: then a version in `identity` must change, or stored work is lost."""
    training = plan().sweep.trainings[0]
    assert make_trial(training, 1, "data").trial_id == "bd80a41ebda269e9bcdb"


def test_what_changes_no_number_changes_no_id():
    assert list(plan().trials) == list(plan(checkpoints=[1], data_root=None).trials)
    assert set(plan().trials) < set(plan(replicates=5).trials)
    assert set(plan().barriers) < set(plan(replicates=5).barriers)


def test_what_changes_numbers_changes_ids():
    for change in (
        {"width": 9},
        {"weight_decay": 0.0},
        {"split_seed": 1},
        {"init_seed": 7},
        {"norm": "layer"},
    ):
        assert not set(plan().trials) & set(plan(**change).trials)


def test_chains_of_spawned_runs_alone_have_a_version_of_their_own():
    """Golden: they took their run's order of examples, which raised a version; all others keep theirs."""

    def chains(**train):
        sections = {"name": "s", "train": {**BASE, "replicates": 1, **train}}
        return {
            order: next(
                trial.trial_id
                for trial in desired(
                    check("test", sections | {"prune": {"levels": 1, "rewind": 1, "data_order": order}})
                ).trials.values()
                if trial.prune
            )
            for order in ("same", "new")
        }

    assert chains() == {"same": "bbd3bef3dbf5a8880a91", "new": "e788566a3ae89c2e1bb2"}
    assert chains(spawn_at="3st") == {"same": "ba5f7e7b43b7404e91c9", "new": "3af081986b5627f43a79"}


def test_correlations_over_several_pixels_alone_have_a_version_of_their_own():
    """Golden: they changed when each unit's own number of values was counted; all others keep their ids."""
    one, other = Network("a", 0, 1), Network("b", 0, 1)

    def identity(**activations):
        align = Align.model_validate({"activation_matching": activations})
        return make_alignment("activation_matching", "g", one, other, align).alignment_id

    assert identity() == "1a7c08f972f500055d3e"
    assert identity(pixels=8, similarity="cosine") == "958ac35f6391c090bcd7"
    assert identity(pixels=8) == "4683a886ea901a8f4c4d"
    assert make_alignment("weight_matching", "g", one, other, Align()).alignment_id == "ca08e3855d6e75d0a144"
