from raysweep.sweep.identity import make_trial
from raysweep.sweep.load import check
from raysweep.sweep.plan import desired

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
