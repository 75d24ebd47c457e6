"""README.md's command for all small experiments, and its example of a sweep file."""

import re

import pytest
import yaml

from raysweep.commands.load_all import load_one
from tests.data.formats import write_mnist
from tests.readmes import PROJECT, in_this_process, marked

SMALL = ["quickstart"] + [
    path.stem
    for end in ("digits", "fashion_mnist")
    for path in sorted((PROJECT / "sweeps").glob(f"*_{end}.yaml"))
]
# Only those run that no other test runs: the others are in test_readme.py and in tests/sweeps. The chains of
# rewind_digits are like those of imp_digits.
OTHERS = (
    "calibration_digits",
    "cross_task_digits",
    "halves_digits",
    "learned_digits",
    "narrow_in_wide_digits",
    "transitivity_digits",
    "width_fashion_mnist",
)
REDUCED = [
    "train.width=[2, 4]",
    "train.epochs=4",
    "train.replicates=2",
    "compare.splits=[test]",
    "compare.alphas=3",
    "compare.subdivisions=6",
    "align.learned.steps=40",
    "align.straight_through.steps=20",
    "tracking.enabled=false",
]


@pytest.fixture
def folder(tmp_path):
    write_mnist(tmp_path / "data" / "FashionMNIST" / "raw")
    (tmp_path / "sweeps").mkdir()
    return tmp_path


def link(folder, names):
    for name in names:
        path = folder / "sweeps" / f"{name}.yaml"
        if not path.exists():
            path.symlink_to(PROJECT / "sweeps" / path.name)


def test_all_small_experiments(folder):
    (line,) = marked(".", "long").lines
    changes = [*REDUCED, f"train.data_root={folder}/data"]
    link(folder, OTHERS)
    in_this_process(line.replace("sweeps/quickstart.yaml ", ""), folder, changes)
    assert {path.name for path in (folder / "runs/sweeps").iterdir()} == set(OTHERS)
    link(folder, SMALL)
    planned = in_this_process(line.replace("raysweep run", "raysweep plan"), folder, changes)
    assert re.findall("^sweep (.*)", planned, re.M) == SMALL


def test_the_example_of_a_sweep_file(tmp_path):
    (tmp_path / "my_sweep.yaml").write_text(marked(".", "sweep").text)
    wanted = load_one(str(tmp_path / "my_sweep.yaml"), None)
    assert wanted.sweep.name == "my_sweep"
    assert {job.comparison.kind for job in wanted.barriers.values()} == {
        "unaligned",
        "direct",
        "via",
        "joint",
    }
    sections = yaml.safe_load(marked(".", "sweep").text)
    assert len(wanted.trials) == 2 * 2 * sections["train"]["replicates"]
