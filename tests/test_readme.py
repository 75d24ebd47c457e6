"""The blocks of README.md, sweeps/ and analysis/ that need a root: one quickstart, and after it all commands.

Blocks marked long run at a reduced size. Only the quickstart starts Ray.
"""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from analysis import joint
from raysweep.tables.schemas import TABLES, schema
from tests.readmes import PROJECT, as_a_process, blocks, in_this_process, marked, run_python
from tests.tracking.servers import client_of

WIDTHS = [8, 16, 32, 64, 128]
INSTALLATION = ("python3 -m venv", ".venv/bin/pip")
SHORT = [
    "train.width=8",
    "train.epochs=4",
    "compare.splits=[test]",
    "compare.alphas=5",
    "compare.subdivisions=6",
    "tracking.enabled=false",
]
REDUCED = {  # what makes the sweeps of blocks marked long short, beside the changes of SHORT
    "imp_digits": ["train.replicates=2", "prune.levels=2"],
    "joint_digits": ["train.replicates=4", "compare.joint_networks=[3]"],
    "trajectory_digits": ["train.replicates=2"],
    "weak_digits": ["train.replicates=3"],
}


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    """A folder in which the README's first command has run, and what it printed."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "sweeps").symlink_to(PROJECT / "sweeps")
    lines = [each for each in marked(".", "quickstart").lines if not each.startswith(INSTALLATION)]
    return folder, as_a_process(*lines, folder)


@pytest.fixture(scope="module")
def tables(quickstart):
    return quickstart[0] / "runs/sweeps/quickstart"


@pytest.fixture(scope="module")
def commands(quickstart, tables):
    """The folder after the commands of these READMEs, in their order."""
    folder, _ = quickstart
    _own_networks(folder, tables)
    for each in (
        *blocks(".", "bash", ""),
        *blocks("sweeps", "bash", ""),
        *blocks("analysis", "bash"),
        marked("raysweep", "stored networks"),
    ):
        for line in each.lines:
            _run(line, folder, each.mark == "long")
    return folder


def _run(line, folder, long):
    changes = [*SHORT, *REDUCED[Path(shlex.split(line)[-1]).stem]] if long else []
    run = in_this_process if line.startswith("raysweep ") else as_a_process
    run(line, folder, changes)


def _own_networks(folder, tables):
    """The files that the example of own checkpoints names, from trained networks."""
    trials = pd.read_parquet(tables / "trials").query("width == 16").trial_id[:2]
    first, second = (
        max((folder / "runs/trials" / trial / "level_000").glob("step_*.safetensors")) for trial in trials
    )
    (folder / "first.safetensors").write_bytes(first.read_bytes())
    torch.save(load_file(second), folder / "second.pt")
    (folder / "mine.yaml").write_text(marked("sweeps", "imports").text)


def test_the_answer_is_the_quoted_one(quickstart):
    """The numbers may differ in a digit on another kind of machine; from where a claim holds does not."""
    _, printed = quickstart
    quoted, said = marked(".", "answer").lines, printed.splitlines()
    said = said[said.index(quoted[0]) :]
    assert 6 <= len(said) <= 10
    assert all(len(line) <= 100 for line in said if not line.startswith("mlflow"))
    claims, found = (re.findall(r"(\w+): from width (\d+) on", lines[1]) for lines in (quoted, said))
    assert claims == found
    assert _numbers(said[2]) == pytest.approx(_numbers(quoted[2]), abs=0.02)


def _numbers(line):
    return [float(number) for number in re.findall(r"\d+\.\d+", line)]


def test_joint_alignment_beats_a_reference(tables):
    rows = (pd.read_parquet(tables / name) for name in ("barriers", "alignments"))
    found = joint.summarise(*rows).query("kind == 'joint, 3 networks' and risk == 'loss'").set_index("width")
    assert list(found.index) == WIDTHS
    assert (found.ratio < 0.85).all()
    assert (found.ratio_high < 1).any()  # which widths six networks decide differs between machines


def test_the_science_of_the_quickstart(tables):
    barriers = pd.read_parquet(tables / "barriers")
    chosen = barriers[(barriers.split == "test") & (barriers.interpolation == "pair")]
    mean = chosen.groupby(["kind", "width"])["error_barrier"].mean().unstack("kind")
    assert mean.loc[128, "direct"] <= 0.01
    assert mean.loc[128, "via"] <= 0.02
    assert (mean.loc[128, ["direct", "via"]] <= mean.loc[8, ["direct", "via"]] / 10).all()
    assert (mean.unaligned > mean.direct).all()
    loss = chosen.groupby(["kind", "width"])["loss_barrier"].mean().unstack("kind")
    assert (loss.joint < loss.via).all()
    assert (loss.joint / loss.via).mean() < 0.7


def test_tables_have_the_documented_columns(tables):
    for table, columns in TABLES.items():
        frame = pd.read_parquet(tables / table)
        assert list(frame.columns) == [name for name, _, _ in columns] == schema(table).names


def test_mlflow_shows_the_runs(quickstart):
    client = client_of(f"sqlite:///{quickstart[0] / 'runs' / 'mlflow.db'}")
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
    assert all("test/pair_direct/error" in run.data.metrics for run in direct)


def test_commands_run(commands):
    assert len(pd.read_parquet(commands / "runs/sweeps/mine/barriers")) == 4
    assert {*REDUCED, "quickstart", "mine"} == {path.name for path in (commands / "runs/sweeps").iterdir()}
    assert (commands / "runs/claims.html").exists()


def test_python_blocks_of_the_tables_run(commands):
    run_python(blocks("analysis", "python"), commands)
