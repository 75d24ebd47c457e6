"""A killed trial ends in the same bits as an undisturbed one."""

import random
import shutil

import pytest

from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from tests.test_run import TABLES, same, tables
from tests.work.plans import carry_out, compare_all, contents, killed_at, metrics, plan

PRUNE = {"levels": 2, "fraction": 0.3, "rewind": "5st", "optimiser": "kept", "data_order": "new"}
PLANS = {
    "batchnorm": {
        "model": "lenet",
        "width": 2,
        "norm": "batch",
        "augment": "flip_crop",
        "replicates": 1,
        "epochs": 2,
    },
    "chain": {"prune": PRUNE, "replicates": 1, "epochs": 2, "nesterov": True, "checkpoints": ["7st"]},
    "adamw": {"optimiser": "adamw", "learning_rate": 1e-3, "warmup": "4st", "replicates": 1, "epochs": 2},
}


@pytest.mark.parametrize("name", PLANS)
def test_killed_between_any_two_writes(name, tmp_path):
    """Injection points: before and after every change of the store, so between each two of them."""
    wanted = plan(**PLANS[name])
    calm = tmp_path / "calm"
    carry_out(wanted, Files(str(calm)))
    expected = contents(calm), metrics(wanted, calm)
    change = 1
    while True:
        root = tmp_path / "killed"
        shutil.rmtree(root, ignore_errors=True)
        if not killed_at(wanted, root, change, after=False):
            break
        carry_out(wanted, Files(str(root)))
        assert (contents(root), metrics(wanted, root)) == expected, f"killed before change {change}"
        change += 1
    assert change > 6


def test_killed_again_and_again_at_random_changes(tmp_path):
    """No trial starts over: every life gets further, however short it is."""
    wanted = plan(prune=PRUNE, replicates=2, epochs=2)
    calm, root = tmp_path / "calm", tmp_path / "killed"
    carry_out(wanted, Files(str(calm)))
    chance, lives = random.Random(0), 0
    while killed_at(wanted, root, chance.randint(3, 6), after=True):
        lives += 1
    assert lives > 5
    carry_out(wanted, Files(str(root)))
    assert (contents(root), metrics(wanted, root)) == (contents(calm), metrics(wanted, calm))


def test_killed_while_comparing_and_publishing(tmp_path):
    """Between any two writes: the next run leaves the tables of an undisturbed one, but for times."""
    wanted = plan(replicates=2, epochs=1)
    trained, calm, root = (tmp_path / name for name in ("trained", "calm", "killed"))
    carry_out(wanted, Files(str(trained)))
    shutil.copytree(trained, calm)
    compare_all(wanted, Files(str(calm)))
    change = 1
    while True:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(trained, root)
        if not killed_at(wanted, root, change, after=False, act=compare_all):
            break
        compare_all(wanted, Files(str(root)))
        assert same(tables(root, "s"), tables(calm, "s")), f"killed before change {change}"
        change += 1
    assert change > len(TABLES)


def test_a_resume_point_is_where_the_trial_goes_on(tmp_path):
    wanted = plan(replicates=1)
    (trial,) = wanted.trials
    files = Files(str(tmp_path))
    while TrialStore(files).read_resume(trial) is None:
        assert killed_at(wanted, tmp_path, 4, after=True)
    point = TrialStore(files).read_resume(trial)
    steps = []
    carry_out(wanted, files, report=lambda level, step: steps.append(step))
    assert point.step > 0
    assert min(steps) > point.step


def test_a_damaged_resume_point_is_not_used(tmp_path):
    wanted = plan(replicates=1)
    (trial,) = wanted.trials
    calm, root = tmp_path / "calm", tmp_path / "killed"
    carry_out(wanted, Files(str(calm)))
    assert killed_at(wanted, root, 4, after=True)
    path = root / "trials" / trial / "resume"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    carry_out(wanted, Files(str(root)))
    assert contents(root) == contents(calm)
