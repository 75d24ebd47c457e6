"""Every sweep file resolves; those of the paper's size take their first steps on small CIFAR files."""

import re
from pathlib import Path

import pandas as pd
import pytest

from raysweep.report import plan_table
from raysweep.store.files import Files
from raysweep.sweep.load import load_sweep
from raysweep.sweep.plan import desired, done, todo
from tests.data.formats import write_cifar_python, write_mnist
from tests.test_run import raysweep

SWEEPS = Path(__file__).parent.parent.parent / "sweeps"
IMP = ["imp_vgg16_cifar10", "imp_resnet20_cifar10"]


@pytest.fixture
def data(tmp_path):
    """Small data sets in their real file formats."""
    write_cifar_python(tmp_path / "data" / "cifar-10-batches-py", "cifar10")
    write_mnist(tmp_path / "data" / "FashionMNIST" / "raw")
    return tmp_path / "data"


def test_headers_say_what_a_reader_needs():
    for path in SWEEPS.glob("*.yaml"):
        header = path.read_text().split("name:")[0]
        for word in ("Claim", "Command: raysweep run sweeps/" + path.name, "Cost:", "Expect:"):
            assert word in header, f"{path.name}: {word}"
        assert re.search(rf"^name: {path.stem}$", path.read_text(), re.M)


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_plans_resolve(name, data, tmp_path):
    wanted = desired(load_sweep(str(SWEEPS / f"{name}.yaml"), [f"train.data_root={data}"]))
    assert len([t for t in wanted.trials.values() if t.branch == "main" and t.prune]) == 4
    assert wanted.cursors[next(k for k, t in wanted.trials.items() if t.prune)].levels == tuple(range(1, 21))
    training = wanted.sweep.trainings[0]
    assert (training.epochs, training.learning_rate, training.batch_size) == (160, 0.1, 128)
    assert "GFLOP" in plan_table(wanted, todo(wanted, done(wanted, Files(str(tmp_path)))))


@pytest.mark.parametrize("name", [*PAPER, "imp_fashion_mnist"])
def test_first_steps_run(name, data, tmp_path):
    reduced = {
        "train.data_root": data,
        "train.device": "cpu",
        "train.width": 2,
        "train.epochs": 2,
        "train.batch_size": 4,
        **({"train.milestones": "[1]"} if name in PAPER else {}),
        "train.checkpoints": "[]",
        "train.replicates": 2,
        "prune.levels": 1,
        "prune.branches": "[transport]",
        "prune.rewind": 1,
        "prune.transport.permutations": "[dense]",
        "compare.level_points": "[end]",
        "compare.splits": "[test]",
        "compare.alphas": 3,
        "resources.trial": "{cpu: 1}",
        "resources.align": "{cpu: 1}",
        "tracking.enabled": "false",
    }
    sets = [word for key, value in reduced.items() for word in ("--set", f"{key}={value}")]
    raysweep("run", SWEEPS / f"{name}.yaml", "--root", tmp_path / "runs", *sets)
    trials = pd.read_parquet(tmp_path / "runs/sweeps" / name / "trials")
    assert sorted(trials.branch) == ["main"] * 4 + ["transport"] * 2
    assert (trials[trials.level == 1].sparsity - 0.2).abs().max() < 0.01
    assert len(pd.read_parquet(tmp_path / "runs/sweeps" / name / "barriers")) == 2 + 3  # levels 0 and 1
