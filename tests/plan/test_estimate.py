import pytest

from raysweep.plan.estimate import estimate
from raysweep.plan.plan import desired, done, todo
from raysweep.store.files import Files
from raysweep.sweep.load import check
from tests.work.plans import BASE, carry_out, contents, plan


def left(wanted, root):
    return estimate(wanted, todo(wanted, done(wanted, Files(str(root))))).bytes


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_as_much_is_expected_as_is_written(optimiser, tmp_path):
    """Checkpoints, optimiser states and masks, and a resume point for each trial; sizes differ by headers."""
    prune = {"levels": 1, "rewind": "5st", "optimiser": "kept"}
    rate = {"sgd": 0.1, "adamw": 1e-3}[optimiser]
    wanted = plan(prune, width=64, epochs=1, optimiser=optimiser, learning_rate=rate)
    expected = left(wanted, tmp_path)
    carry_out(wanted, Files(str(tmp_path)))
    parts = contents(tmp_path)
    written = sum(map(len, parts.values()))
    checkpoint = max(len(content) for name, content in parts.items() if "step_" in name)
    resume = len(wanted.trials) * checkpoint * {"sgd": 2, "adamw": 3}[optimiser]
    assert expected == pytest.approx(written + resume, rel=0.2)


def test_the_training_of_permutations_is_counted(tmp_path):
    """Six operations for each product and example, as in training."""

    def counted(**align):
        sections = {"name": "s", "train": {**BASE, "epochs": 1}, "compare": {"kinds": ["direct"]}}
        wanted = desired(check("test", sections | {"align": align}))
        found = estimate(wanted, todo(wanted, done(wanted, Files(str(tmp_path)))))
        return found.alignment_flops, found.training_flops / (2 * 1437)  # of two networks

    options = {"steps": 3, "batch_size": 50}
    assert counted(methods=["weight_matching"])[0] == 0
    aligned, trained = counted(methods=["straight_through"], straight_through=options)
    assert aligned == pytest.approx(3 * 50 * trained, rel=0.1)
    both = counted(methods=["straight_through", "sinkhorn_rebasin"], straight_through=options)[0]
    assert both == pytest.approx((3 * 50 + 200 * 1000) * trained, rel=0.1)
