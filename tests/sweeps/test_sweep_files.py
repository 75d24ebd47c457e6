"""Every sweep file resolves; those of the paper's size take their first steps on small CIFAR files.

Their jobs are carried out in this process: that workers give the same bits is tested elsewhere.
"""

import re
from pathlib import Path

import pandas as pd
import pytest

from raysweep.commands.plan import plan_table
from raysweep.commands.run import execute
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.sweep.load import load_sweep
from tests.data.formats import write_cifar_python, write_mnist, write_svhn
from tests.inside import carried_out

SWEEPS = Path(__file__).parent.parent.parent / "sweeps"
IMP = [f"{kind}_{model}_cifar10" for kind in ("imp", "transport") for model in ("vgg16", "resnet20")]
PAPER = [path.stem for path in SWEEPS.glob("*_cifar10.yaml")]


@pytest.fixture
def data(tmp_path):
    """Small data sets in their real file formats."""
    write_cifar_python(tmp_path / "data" / "cifar-10-batches-py", "cifar10")
    write_svhn(tmp_path / "data")
    write_mnist(tmp_path / "data" / "FashionMNIST" / "raw")
    return tmp_path / "data"


def test_headers_say_what_a_reader_needs():
    for path in SWEEPS.glob("*.yaml"):
        header = path.read_text().split("name:")[0]
        for word in ("Claim", "Command: raysweep run sweeps/" + path.name, "Cost:", "Expect:"):
            assert word in header, f"{path.name}: {word}"
        assert re.search(rf"^name: {path.stem}$", path.read_text(), re.M)


@pytest.mark.parametrize("name", IMP)
def test_the_papers_chains_have_twenty_levels(name, data):
    wanted = desired(load_sweep(str(SWEEPS / f"{name}.yaml"), [f"train.data_root={data}"]))
    assert len([t for t in wanted.trials.values() if t.branch == "main" and t.prune]) == 4
    assert wanted.extents[next(k for k, t in wanted.trials.items() if t.prune)].levels == tuple(range(1, 21))


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_plans_resolve(name, data, tmp_path):
    wanted = desired(load_sweep(str(SWEEPS / f"{name}.yaml"), [f"train.data_root={data}"]))
    training = wanted.sweep.trainings[0]
    assert (training.epochs, training.learning_rate, training.batch_size) == (160, 0.1, 128)
    assert training.device == wanted.sweep.sections.compare.device == "cuda"
    assert "GFLOP" in plan_table(wanted, todo(wanted, done(wanted, Files(str(tmp_path)))))


SMALL = {
    "train.device": "cpu",
    "train.precision": "float32",
    "train.channels_last": "false",
    "train.epochs": 2,
    "train.batch_size": 4,
    "train.checkpoints": "[]",
    "align.device": "cpu",
    "compare.device": "cpu",
    "compare.precision": "float32",
    "compare.splits": "[test]",
    "compare.alphas": 3,
    "resources.trial": "{cpu: 1}",
    "resources.align": "{cpu: 1}",
    "resources.workers": 1,
    "tracking.enabled": "false",
}


def run_reduced(name, data, tmp_path, **changes):
    """Run a sweep file with every size made small; returns the folder of its tables."""
    reduced = {"train.data_root": data, **SMALL, **changes}
    if name in PAPER:
        reduced["train.milestones"] = "[1]"
    sets = [f"{key}={value}" for key, value in reduced.items()]
    path, root = str(SWEEPS / f"{name}.yaml"), tmp_path / "runs"
    carried_out(path, root, sets)
    assert execute([path], str(root), sets, None) == 0  # what is left: the analyses
    return root / "sweeps" / name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["imp_vgg16_cifar10", "transport_resnet20_cifar10", "imp_fashion_mnist"])
def test_chains_take_their_first_steps(name, data, tmp_path):
    prune = {
        "prune.levels": 1,
        "prune.fraction": 0.2,
        "prune.branches": "[transport]",
        "prune.rewind": 1,
        "prune.transport.permutations": "[dense]",
        "compare.level_points": "[end]",
        "compare.level_permutations": "[dense, level]",
    }
    folder = run_reduced(name, data, tmp_path, **{"train.width": 2, "train.replicates": 2}, **prune)
    trials = pd.read_parquet(folder / "trials")
    assert sorted(trials.branch) == ["main"] * 4 + ["transport"] * 2
    assert (trials[trials.level == 1].sparsity - 0.2).abs().max() < 0.01
    assert len(pd.read_parquet(folder / "barriers")) == 2 + 3  # levels 0 and 1


OTHERS = {
    "joint_fashion_mnist": {
        "train.width": "[2, 3]",
        "train.replicates": 3,
        "compare.joint_networks": "[3]",
        "compare.mean_networks": "[2, 3]",
    },
    # Each of these two takes half of the methods, which are the same.
    "width_vit_fashion_mnist": {
        "train.width": 2,
        "train.replicates": 3,
        "train.fraction": "null",
        "align.methods": "[branch_matching, orthogonal_matching]",
    },
    "width_gpt_text": {
        "train.width": 2,
        "train.replicates": 3,
        "train.fraction": 0.01,
        "align.methods": "[inner_matching, weight_matching]",
        "compare.splits": "[test]",
    },
    "narrow_in_wide_vgg16_cifar10": {"train.width": "[2, 3]", "train.replicates": 2},
    "halves_vgg16_cifar10": {"train.width": 2, "train.replicates": 2},
    "cross_task_vgg16_cifar10": {"train.width": 2, "train.replicates": 2},
    "strong_vgg16_cifar10": {
        "train.width": "[1, 2]",
        "train.replicates": 3,
        "compare.joint_networks": "[3]",
        "compare.splits": "[test]",
    },
    "trajectory_vgg16_cifar10": {
        "train.width": 2,
        "train.replicates": 2,
        "train.checkpoints": "[1]",
        "compare.trajectory": "{stacks: [2], hybrids: [bottom_up]}",
    },
    "transitivity_vgg16_cifar10": {"train.width": 2, "train.replicates": 3, "compare.path_networks": "[3]"},
    "weak_vgg16_cifar10": {
        "train.width": 2,
        "train.replicates": 2,
        "train.spawn_at": "[null, 0st, 1ep]",
        "align.activation_matching.examples": 20,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_sweeps_take_their_first_steps(name, data, tmp_path):
    changes = {"compare.splits": "[train, test]", "compare.subdivisions": 6, **OTHERS[name]}
    folder = run_reduced(name, data, tmp_path, **changes)
    assert len(pd.read_parquet(folder / "failures")) == 0
    wanted = load_sweep(str(SWEEPS / f"{name}.yaml"), [f"train.data_root={data}"]).sections
    figures = [path.name for path in (folder / "figures").iterdir()]
    for analysis in set(wanted.analyses) - {"means"}:
        assert any(figure.startswith(analysis) for figure in figures), (analysis, figures)
