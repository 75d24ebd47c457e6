import pytest

from raysweep.connectivity.measuring import EXAMPLES
from raysweep.plan.cost.estimate import cpu_hours, estimate, gpu_hours
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.sweep.load import check
from raysweep.sweep.measures import MEASURES
from raysweep.sweep.methods import METHODS
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


def costs(tmp_path, **sections):
    """The estimate of a sweep with nothing done, and the hours of a core."""
    base = {"name": "s", "train": {**BASE, "epochs": 1}, "compare": {"kinds": ["direct"]}}
    merged = {key: {**base.get(key, {}), **more} for key, more in sections.items()}
    wanted = desired(check("test", {**base, **merged}))
    work = todo(wanted, done(wanted, Files(str(tmp_path))))
    return estimate(wanted, work), cpu_hours(wanted, work), gpu_hours(wanted, work, "h100", everything=True)


def test_the_training_of_permutations_is_counted(tmp_path):
    """Six operations for each product and example, as in training."""

    def counted(batch_size):
        options = {"steps": 3, "batch_size": batch_size}
        align = {"methods": ["straight_through"], "straight_through": options}
        found = costs(tmp_path, align=align)[0]
        return found.alignment_flops, found.training_flops / (2 * 1437)  # of two networks

    (small, trained), (large, _) = counted(50), counted(100)
    assert large - small == pytest.approx(3 * 50 * trained, rel=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_its_cost(method, tmp_path):
    """It grows with the width, and of methods for any number of networks with theirs."""
    align = {"methods": [method]}
    narrow, *hours = costs(tmp_path, align=align)
    wide = costs(tmp_path, align=align, train={"width": 12})[0]
    assert 0 < narrow.alignment_flops < wide.alignment_flops
    assert narrow.alignment_seconds < wide.alignment_seconds
    assert hours[0].alignments == pytest.approx(narrow.alignment_seconds / 3600)
    assert hours[1].alignments > 0
    if METHODS[method].joint:
        joint = costs(tmp_path, align=align, train={"replicates": 3}, compare={"kinds": ["joint"]})[0]
        assert joint.alignment_flops > narrow.alignment_flops


def test_measures_are_counted(tmp_path):
    """On a core the 256 examples of which hidden units are needed; on a GPU a plain pass of all."""
    plain, whole, layers = (
        costs(tmp_path, compare={"splits": ["test"], "measures": names})
        for names in ([], ["ensemble"], ["ensemble", "feature_connectivity"])
    )
    assert plain[0].barrier_flops == whole[0].barrier_flops
    assert layers[0].barrier_flops / whole[0].barrier_flops == pytest.approx((400 + 256) / 400, rel=0.1)
    assert plain[2].barriers < whole[2].barriers < layers[2].barriers
    assert MEASURES["feature_connectivity"].examples == EXAMPLES


def test_a_method_of_the_users_own_is_taken_for_weight_matching(tmp_path, monkeypatch):
    (tmp_path / "my_method.py").write_text("def method(spec):\n    return spec.identity()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    own, ours = (
        costs(tmp_path, align={"methods": [name]})[0] for name in ("my_method:method", "weight_matching")
    )
    assert own == ours


def test_of_a_chain_only_the_levels_that_are_left_are_counted(tmp_path):
    short, long = (plan({"levels": levels}, width=4, epochs=1) for levels in (2, 3))
    files = Files(str(tmp_path))
    carry_out(short, files)
    one = estimate(long, todo(long, done(long, files))).training_flops
    whole = estimate(long, todo(long, done(long, Files(str(tmp_path / "empty"))))).training_flops
    assert whole == pytest.approx(one * (1 + 3))  # a dense level and three pruned ones


def test_mixtures_that_are_mended_pass_training_examples_first(tmp_path):
    def flops(statistics, **train):
        compare = {"splits": ["test"], "statistics": [statistics]}
        return costs(tmp_path, train={"norm": "batch", **train}, compare=compare)[0].barrier_flops

    assert flops("recomputed") / flops("kept") == pytest.approx((400 + 1397) / 400, rel=0.1)
    assert flops("kept", fraction=0.1) == flops("kept")  # networks are compared on the whole data set


def test_a_stack_costs_as_many_products_as_checkpoints_and_the_assignments_of_a_pair(tmp_path):
    def found(*stacks):
        trajectory = {"permutations": ["1st", "2st"], "stacks": list(stacks)}
        train = {"checkpoints": ["1st", "2st"], "width": 64}
        return costs(tmp_path, train=train, compare={"trajectory": trajectory})[1].alignments

    none, two, three = found(), found(2), found(3)
    assert none < two < three < 3 * none


def test_narrow_networks_of_images_are_bound_by_what_they_write(tmp_path):
    """A LeNet of half the width has a quarter of the products, but takes more than a quarter of the time."""
    align, compare = {"methods": ["straight_through"]}, {"kinds": ["direct"]}
    narrow, wide = (
        costs(tmp_path, train={"model": "lenet", "width": width}, align=align, compare=compare)
        for width in (4, 8)
    )
    assert wide[0].barrier_flops > 3 * narrow[0].barrier_flops
    assert wide[1].barriers < 2.5 * narrow[1].barriers
    assert wide[1].training < 2.5 * narrow[1].training
