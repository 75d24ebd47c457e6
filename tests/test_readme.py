"""Every command and code block of the README runs, but for the test command itself."""

import os
import re
import shlex
import subprocess
import sys
from glob import glob
from itertools import chain
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from analysis import joint
from raysweep.tables.schemas import TABLES, describe, schema
from raysweep.vocabulary import ANALYSES
from tests.cluster.heads import ray_head
from tests.data.formats import write_cifar_python, write_mnist
from tests.store.servers import s3_server
from tests.sweeps.test_sweep_files import SMALL as SMALLEST

PROJECT = Path(__file__).parent.parent
README = (PROJECT / "README.md").read_text()
BLOCKS = re.findall(r"(?:<!-- ([a-z ]+) -->\n)?```(bash|python|yaml)\n(.*?)```", README, re.S)
SMALL = ["quickstart"] + [
    path.stem
    for end in ("digits", "fashion_mnist")
    for path in sorted((PROJECT / "sweeps").glob(f"*_{end}.yaml"))
]
# What makes the blocks marked long short, by the last file that a line names: they run, only smaller.
REDUCED = {
    "imp_digits": ["train.width=8", "train.epochs=4", "train.replicates=2", "prune.levels=2"],
    "joint_digits": ["train.width=8", "train.epochs=4", "train.replicates=4", "compare.joint_networks=[3]"],
    "trajectory_digits": ["train.width=8", "train.epochs=4", "train.replicates=2"],
    "weak_digits": ["train.width=8", "train.epochs=4", "train.replicates=3"],
    "*_fashion_mnist": [  # every small sweep, of which those of OTHERS run
        "train.width=[2, 4]",
        "train.epochs=4",
        "train.replicates=2",
        "train.data_root={folder}/data",
        "compare.splits=[test]",
        "compare.alphas=3",
        "compare.subdivisions=6",
        "resources.workers=1",
        "tracking.enabled=false",
    ],
}
# Starting workers for every small sweep would take minutes: only those run that no other test does.
OTHERS = (
    "quickstart",
    "cross_task_digits",
    "halves_digits",
    "narrow_in_wide_digits",
    "transitivity_digits",
    "width_fashion_mnist",
)
INSTALLATION = ("python3 -m venv", ".venv/bin/pip")


def execute(arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_line(line, cwd):
    first, *rest = shlex.split(line)
    start = {"raysweep": ["-m", "raysweep.cli"], "python": []}[Path(first).name]
    found = [sorted(glob(word, root_dir=cwd)) if "*" in word else [word] for word in rest]
    return execute([sys.executable, *start, *chain(*found)], cwd)


def run_reduced(line, folder):
    """Run a line of a block marked long with what makes it small."""
    stem = Path(shlex.split(line)[-1]).stem
    words = [word for change in REDUCED[stem] for word in ("--set", change.format(folder=folder))]
    line = f"{line} {shlex.join(words)}"
    if "*" not in stem:
        return run_line(line, folder)
    plan = run_line(line.replace("raysweep run", "raysweep plan"), folder)
    assert re.findall("^sweep (.*)", plan, re.M) == SMALL
    (folder / "others" / "sweeps").mkdir(parents=True)
    for name in OTHERS:
        (folder / "others" / "sweeps" / f"{name}.yaml").symlink_to(PROJECT / "sweeps" / f"{name}.yaml")
    return run_line(line, folder / "others")


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    """A folder in which the README's first command has run."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "sweeps").symlink_to(PROJECT / "sweeps")
    block = next(text for name, _, text in BLOCKS if name == "quickstart")
    lines = [line for line in block.splitlines() if not line.startswith(INSTALLATION)]
    assert "holds" in run_line(*lines, folder)
    return folder


@pytest.fixture(scope="module")
def own_networks(quickstart):
    """The files that the README's example of own checkpoints names, from trained networks."""
    trials = pd.read_parquet(quickstart / "runs/sweeps/quickstart/trials").query("width == 16")
    first, second = (
        max((quickstart / "runs/trials" / trial / "level_000").glob("step_*.safetensors"))
        for trial in trials.trial_id[:2]
    )
    (quickstart / "first.safetensors").write_bytes(first.read_bytes())
    torch.save(load_file(second), quickstart / "second.pt")
    (quickstart / "mine.yaml").write_text(next(text for name, _, text in BLOCKS if name == "imports"))


@pytest.fixture(scope="module")
def commands(quickstart, own_networks):
    """The folder after all commands of the README, in their order."""
    write_mnist(quickstart / "data" / "FashionMNIST" / "raw")
    for name, language, text in BLOCKS:
        if language == "bash" and name not in ("quickstart", "test command", "cluster"):
            for line in text.splitlines():
                (run_reduced if name == "long" else run_line)(line, quickstart)
    return quickstart


def test_joint_alignment_beats_a_reference_at_every_width(quickstart):
    tables = (pd.read_parquet(quickstart / "runs/sweeps/quickstart" / t) for t in ("barriers", "alignments"))
    found = (
        joint.summarise(*tables).query("kind == 'joint, 3 networks' and risk == 'loss'").set_index("width")
    )
    assert list(found.index) == [8, 16, 32, 64, 128]
    assert (found.ratio < 0.85).all()
    assert (found.ratio_high[found.index > 8] < 1).all()


def test_commands_run(commands):
    assert len(pd.read_parquet(commands / "runs/sweeps/mine/barriers")) == 4
    assert {path.name for path in (commands / "others/runs/sweeps").iterdir()} == set(OTHERS)


def test_cluster_commands_run(tmp_path):
    """On a cluster that was started apart, with an S3 server, at reduced size."""
    block = next(text for name, _, text in BLOCKS if name == "cluster")
    write_cifar_python(tmp_path / "data" / "cifar-10-batches-py", "cifar10")
    (tmp_path / "sweeps").symlink_to(PROJECT / "sweeps")
    size = {"train.width": 2, "train.replicates": 3, "train.milestones": "[1]", "compare.mean_networks": "[]"}
    changes = {"train.data_root": tmp_path / "data", **SMALLEST, **size, "analyses": "[]"}
    sets = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    with s3_server(), ray_head() as address:
        for line in block.splitlines():
            output = run_line(f"{line.replace('http://head:8265', address)} {shlex.join(sets)}", tmp_path)
            assert "s3://bucket/prefix/sweeps/strong_vgg16_cifar10" in output
        stored = "s3://bucket/prefix/sweeps/strong_vgg16_cifar10/barriers"
        assert set(pd.read_parquet(stored).kind) == {"unaligned", "direct", "via", "joint"}


def test_python_blocks_run(commands):
    """In one process and in their order, as in a notebook; a warning is an error."""
    blocks = [text for _, language, text in BLOCKS if language == "python"]
    script = "\n".join([*blocks, "print('the end')"])
    output = execute([sys.executable, "-W", "error", "-c", script], commands)
    assert output.endswith("the end\n")


def test_every_sweep_and_analysis_is_in_the_table_of_experiments():
    rows = README[README.index("## Experiments") : README.index("## In a notebook")]
    for name in [*(path.stem for path in (PROJECT / "sweeps").glob("*.yaml")), *ANALYSES]:
        assert f"`{name}`" in rows, name


def test_tables_are_as_documented(quickstart):
    assert describe() in README
    for table, columns in TABLES.items():
        frame = pd.read_parquet(quickstart / "runs/sweeps/quickstart" / table)
        assert list(frame.columns) == [name for name, _, _ in columns] == schema(table).names


def test_the_science_of_the_quickstart(quickstart):
    barriers = pd.read_parquet(quickstart / "runs/sweeps/quickstart/barriers")
    chosen = barriers[(barriers.split == "test") & (barriers.interpolation == "pair")]
    mean = chosen.groupby(["kind", "width"])["error_barrier"].mean().unstack("kind")
    assert mean.loc[128, "direct"] <= 0.01
    assert mean.loc[128, "via"] <= 0.02
    assert (mean.loc[128, ["direct", "via"]] <= mean.loc[8, ["direct", "via"]] / 10).all()
    assert (mean.unaligned > mean.direct).all()
    loss = chosen.groupby(["kind", "width"])["loss_barrier"].mean().unstack("kind")
    assert (loss.joint < loss.via).all()
    assert (loss.joint / loss.via).mean() < 0.7


def test_mlflow_shows_the_runs(quickstart):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{quickstart / 'runs' / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name.startswith("quickstart (")]
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    identities = [run.data.tags["raysweep.id"] for run in runs]
    assert len(identities) == len(set(identities)) == 1 + 30 + 2 * 5
    parent = next(run for run in runs if run.data.tags["raysweep.id"] == "sweep")
    assert {a.path for a in client.list_artifacts(parent.info.run_id)} == {"figures", "sweep.yaml"}
    history = client.get_metric_history(
        next(r for r in runs if r.data.tags["raysweep.id"].startswith("trial")).info.run_id, "test_error"
    )
    assert len(history) == 31
    direct = [run for run in runs if run.data.tags["raysweep.id"].endswith("weight_matching")]
    assert all("test/pair_direct/error_barrier_mean" in run.data.metrics for run in direct)
