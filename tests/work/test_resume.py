"""A process that is killed between any two writes: the next one ends in the same bits."""

import random
import shutil
from itertools import islice

import pytest

from raysweep.cluster.imports import import_networks
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.recording import record_sweep
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.tables.publishing import publish_tables
from tests.faults import WRITES
from tests.test_run import same, tables
from tests.work.plans import (
    carry_out,
    compare_all,
    contents,
    each_change,
    killed_before,
    metrics,
    plan,
)

pytestmark = pytest.mark.slow

PRUNE = {"levels": 2, "fraction": 0.3, "rewind": "5st", "optimiser": "kept", "data_order": "new"}
PLANS = {
    "batchnorm": {
        "model": "lenet",
        "width": 2,
        "norm": "batch",
        "augment": "flip_crop",
        "channels_last": True,
        "replicates": 1,
        "epochs": 1,
        "checkpoints": ["5st"],
    },
    "chain": {"prune": PRUNE, "replicates": 1, "epochs": 1, "nesterov": True, "checkpoints": ["7st"]},
    "adamw": {
        "optimiser": "adamw",
        "learning_rate": 1e-3,
        "warmup": "4st",
        "replicates": 1,
        "epochs": 1,
        "checkpoints": ["5st"],
    },
}


class Silent:
    """A listener."""

    def stage(self, name, total):
        pass

    def advance(self, stage, jobs):
        pass


@pytest.fixture
def empty(tmp_path):
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def resumable(wanted, root):
    """Train and align, and note a resume point as often as possible."""
    carry_out(wanted, Files(str(root)), resume_seconds=0)


@pytest.mark.parametrize("name", PLANS)
def test_killed_while_training(name, empty, tmp_path):
    wanted = plan(**PLANS[name])
    calm, root = tmp_path / "calm", tmp_path / "killed"
    carry_out(wanted, Files(str(calm)))
    expected, points = (contents(calm), metrics(wanted, calm)), 0
    for points in each_change(empty, root, lambda: resumable(wanted, root)):
        assert (contents(root), metrics(wanted, root)) == expected, f"killed before change {points}"
    assert points >= WRITES[f"training, {name}"]


def test_killed_while_aligning_comparing_and_publishing(tmp_path):
    """The next run leaves the tables of an undisturbed one, but for times."""
    wanted = plan(replicates=2, epochs=1)
    trained, compared, calm, root = (tmp_path / name for name in ("trained", "compared", "calm", "killed"))

    def compare():
        resumable(wanted, root)
        compare_all(wanted, Files(str(root)))

    def publish():
        record_sweep(Files(str(root)), wanted)
        publish_tables(Files(str(root)), wanted, done(wanted, Files(str(root))), [])

    carry_out(wanted, Files(str(trained)), align=False)
    shutil.copytree(trained, calm)
    carry_out(wanted, Files(str(calm)))
    compare_all(wanted, Files(str(calm)))
    shutil.copytree(calm, compared)
    shutil.rmtree(compared / "sweeps")
    expected = tables(calm, "s")
    points = 0
    for points in islice(each_change(trained, root, compare), WRITES["aligning and comparing"]):
        assert same(tables(root, "s"), expected), f"killed before change {points}"
    assert points == WRITES["aligning and comparing"]  # those that follow are of publishing
    for points in each_change(compared, root, publish):
        assert same(tables(root, "s"), expected), f"killed before change {points}"
    assert points >= WRITES["publishing"]


def test_killed_while_importing(empty, tmp_path):
    trained = plan(replicates=2, epochs=1)
    carry_out(trained, Files(str(tmp_path / "trained")), align=False)
    ends = [
        str(max((tmp_path / "trained/trials" / trial / "level_000").glob("step_*.safetensors")))
        for trial in trained.trials
    ]
    train = {"dataset": "digits", "width": 6, "imports": ends}
    wanted = desired(check("test", {"name": "s", "train": train}))
    calm, root = tmp_path / "calm", tmp_path / "killed"
    import_networks(Files(str(calm)), wanted, Silent())
    expected, points = (contents(calm), metrics(wanted, calm)), 0
    for points in each_change(empty, root, lambda: import_networks(Files(str(root)), wanted, Silent())):
        assert (contents(root), metrics(wanted, root)) == expected, f"killed before change {points}"
    assert points >= WRITES["importing"]


def test_killed_again_and_again_at_random_changes(tmp_path):
    """No trial starts over: every life gets further, however short it is."""
    wanted = plan(prune=PRUNE, replicates=2, epochs=2)
    calm, root = tmp_path / "calm", tmp_path / "killed"
    carry_out(wanted, Files(str(calm)))
    chance, lives = random.Random(0), 0
    while killed_before(chance.randint(7, 13), root, lambda: resumable(wanted, root)):
        lives += 1
    assert lives > 5
    carry_out(wanted, Files(str(root)))
    assert (contents(root), metrics(wanted, root)) == (contents(calm), metrics(wanted, calm))


def interrupted(wanted, root):
    """Let a process die after its first resume point, and return that."""
    (trial,) = wanted.trials
    store, change = TrialStore(Files(str(root))), 5
    while store.read_resume(trial) is None:
        assert killed_before(change, root, lambda: resumable(wanted, root))
        change += 2
    return store.read_resume(trial)


def test_a_resume_point_is_where_the_trial_goes_on(tmp_path):
    wanted = plan(replicates=1)
    point = interrupted(wanted, tmp_path)
    while point.step == 0:
        assert killed_before(5, tmp_path, lambda: resumable(wanted, tmp_path))
        point = TrialStore(Files(str(tmp_path))).read_resume(*wanted.trials)
    steps = []

    def report(level, record):
        steps.append(record.metrics[-1].step)

    carry_out(wanted, Files(str(tmp_path)), report=report)
    assert min(steps) > point.step


def test_a_damaged_resume_point_is_not_used(tmp_path):
    wanted = plan(replicates=1)
    (trial,) = wanted.trials
    calm, root = tmp_path / "calm", tmp_path / "killed"
    carry_out(wanted, Files(str(calm)))
    interrupted(wanted, root)
    path = root / "trials" / trial / "resume"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    carry_out(wanted, Files(str(root)))
    assert contents(root) == contents(calm)
