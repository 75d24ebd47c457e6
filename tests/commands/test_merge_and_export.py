"""Networks that a command names, merged or copied into files."""

import json
import shutil

import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import raysweep
from raysweep.errors import CorruptObject
from raysweep.models.build import build
from raysweep.models.registry import MODELS
from raysweep.plan.desired import desired
from raysweep.plan.recording import record_sweep
from raysweep.store.files import Files
from raysweep.sweep.load import check
from raysweep.training.evaluation import evaluate
from tests.conftest import mlp
from tests.inside import here
from tests.work.plans import BASE, carry_out, compare_all


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("merged")
    train = {**BASE, "width": [6, 7], "checkpoints": [1]}
    wanted = desired(check("test", {"name": "s", "train": train, "compare": {"kinds": []}}))
    carry_out(wanted, Files(str(root)))
    compare_all(wanted, Files(str(root)))
    return root


@pytest.fixture
def trials(root):
    return pd.read_parquet(root / "sweeps/s/trials").sort_values(["width", "replicate"])


def test_the_mean_of_aligned_networks_is_written_with_its_barriers(root, trials, digits, tmp_path):
    out = tmp_path / "merged.safetensors"
    asked = [
        "--networks",
        "width=6 replicate=0,1",
        "--method",
        "joint",
        "--option",
        "biases=false",
        "--out",
        out,
    ]
    printed = here("merge", root, *asked).splitlines()
    names = [
        f"{trial}@0@{steps}" for trial, steps in trials.query("width == 6")[["trial_id", "steps"]].values
    ]
    assert printed[0] == f"2 networks of mlp, width 6: {', '.join(names)}"
    states = [raysweep.stored_state(str(root), name) for name in names]
    test = digits.test.images, digits.test.labels
    merged = raysweep.merge(
        states, digits.train.images, test=test, method="joint", options={"biases": False}, model=build(mlp(6))
    )
    assert f"loss barrier {merged.before.loss_barrier:.4f} nats" in printed[1]
    assert f"loss barrier {merged.after.loss_barrier:.4f} nats" in printed[2]
    model = build(mlp(6))
    model.load_state_dict(load_file(out))
    assert f"test error of the mean {evaluate(model.eval(), digits.test).error:.4f}, of" in printed[3]
    with safe_open(out, "pt") as file:
        assert json.loads(file.metadata()["networks"]) == names
        assert json.loads(file.metadata()["options"]) == {"biases": False}
    again = here("merge", root, *asked, code=2)
    assert "merged.safetensors: exists already; nothing is overwritten" in again
    repaired = here("merge", root, *asked[:-1], tmp_path / "repaired.safetensors", "--repair")
    assert repaired.splitlines()[1] == printed[1]
    assert repaired.splitlines()[2] != printed[2]


def test_networks_are_copied_with_their_configuration(root, trials, tmp_path):
    one = trials.iloc[0]
    printed = here("export", root, "--networks", "width=6 replicate=0", "--out", tmp_path / "one.safetensors")
    name = f"{one.trial_id}@0@{one.steps}"
    assert printed == f"{name} -> {tmp_path}/one.safetensors\n"
    state = raysweep.stored_state(str(root), name)
    copied = load_file(tmp_path / "one.safetensors")
    assert all(torch.equal(copied[key], tensor) for key, tensor in state.items())
    with safe_open(tmp_path / "one.safetensors", "pt") as file:
        assert json.loads(file.metadata()["config"])["training"]["width"] == 6
    first = f"{one.trial_id}@0@11"
    here("export", root, "--networks", first, "--networks", name, "--out", tmp_path / "some")
    assert {path.name for path in (tmp_path / "some").iterdir()} == {
        f"{each}.safetensors" for each in (first, name)
    }
    here("export", root, "--networks", "step=0,11", "--sweep", "s", "--out", tmp_path / "all")
    assert len(list((tmp_path / "all").iterdir())) == 2 * len(trials)


def test_a_configuration_that_is_missing_is_no_missing_trial(root, trials, tmp_path):
    shutil.copytree(root, tmp_path / "root")
    (tmp_path / "root" / "trials" / trials.trial_id.iloc[0] / "config.json").unlink()
    asked = ["--networks", "width=6 replicate=0", "--out", tmp_path / "out.safetensors"]
    with pytest.raises(CorruptObject, match=r"@0@33: its configuration is missing"):
        here("export", tmp_path / "root", *asked)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--networks", "widht=6"], "unknown column widht: did you mean 'width'?"),
        (
            ["--networks", "milestones=80ep"],
            "column milestones: it holds lists, by which no network can be chosen",
        ),
        (["--networks", "width=9"], "no network matches; level is 0; width is 6, 7"),
        (
            ["--networks", "everything"],
            "--networks everything: expected trial_id@level@step, or column=value",
        ),
        (["--networks", "replicate=0"], "has width = 7, but"),
        (
            ["--networks", "width=6 replicate=0,1,9"],
            "--networks: no such network has replicate=9; replicate is 0, 1\n",
        ),
        (["--networks", "width=6,8"], "--networks: no such network has width=8; width is 6, 7\n"),
        (["--networks", "width=6 replicate=0"], "1 networks: at least two can be merged"),
        (["--networks", "width=6", "--method", "wm"], "unknown alignment method 'wm'"),
        (["--networks", "width=6", "--option", "steps"], "--option steps: expected name=value, such as"),
        (["--networks", "width=6", "--option", "a=[1"], "--option a=[1: the value is not YAML"),
        (
            ["--networks", "width=6", "--option", "kernle=x"],
            "align.weight_matching.kernle: did you mean 'ker",
        ),
        (["--networks", "width=6", "--sweep", "t"], "--sweep t: there is no such sweep; under"),
        (["--networks", "ffff@0@1 eeee@0@1"], "network ffff@0@1: there is no such trial under"),
    ],
)
def test_what_cannot_be_merged_is_said(root, words, said, tmp_path):
    assert said in here("merge", root, *words, "--out", tmp_path / "out.safetensors", code=2)
    assert not list(tmp_path.iterdir())


def rewritten(root, trial_id, training, **values):
    """Change what a trial says of itself, as if it had been trained so."""
    path = root / "trials" / trial_id / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, **values, "training": {**config["training"], **training}}))


@pytest.mark.parametrize(
    ("training", "values", "said"),
    [
        ({"pixel_seed": 1}, {}, "has pixel_seed = None, but"),
        ({"split_seed": 1}, {}, "has split_seed = 0, but"),
        ({}, {"data_digest": "f" * 64}, "had other images or labels of the dataset digits"),
    ],
)
def test_networks_of_other_data_are_not_merged(root, trials, training, values, said, tmp_path):
    shutil.copytree(root, tmp_path / "root")
    rewritten(tmp_path / "root", trials.trial_id.iloc[1], training, **values)
    asked = ["--networks", "width=6", "--out", tmp_path / "out.safetensors"]
    assert said in here("merge", tmp_path / "root", *asked, code=2)


def test_networks_of_other_code_are_not_merged(root, trials, tmp_path):
    shutil.copytree(root, tmp_path / "root")
    own = MODELS.own_function("tests.networks:tied").digest()
    for trial_id, found in zip(trials.trial_id, (own, "of another day"), strict=False):
        rewritten(tmp_path / "root", trial_id, {"model": "tests.networks:tied"}, sources={"model": found})
    asked = ["--networks", "width=6", "--out", tmp_path / "out.safetensors"]
    printed = here("merge", tmp_path / "root", *asked, code=2)
    assert f"'tests.networks:tied': its file is not the one with which {trials.trial_id.iloc[1]}@" in printed


def test_networks_of_two_halves_are_merged_on_the_whole(root, trials, tmp_path):
    shutil.copytree(root, tmp_path / "root")
    asked = ["--networks", "width=6", "--out"]
    printed = here("merge", root, *asked, tmp_path / "one.safetensors")
    for half, trial_id in enumerate(trials.trial_id[:2]):
        whole = json.loads((root / "trials" / trial_id / "config.json").read_text())["data_digest"]
        rewritten(tmp_path / "root", trial_id, {"half": half}, data_digest=f"{half}" * 64 + whole)
    again = here("merge", tmp_path / "root", *asked, tmp_path / "two.safetensors")
    assert again.splitlines()[:-1] == printed.splitlines()[:-1]


def test_networks_are_known_by_columns_once_these_are_published(tmp_path):
    wanted = desired(check("test", {"name": "s", "train": BASE, "compare": {"kinds": []}}))
    record_sweep(Files(str(tmp_path)), wanted)
    printed = here("export", tmp_path, "--networks", "width=6", "--out", tmp_path / "out", code=2)
    assert "no network matches; the table trials is empty until raysweep run has published" in printed


def test_one_file_holds_one_network(root, tmp_path):
    one_file = tmp_path / "all.safetensors"
    printed = here("export", root, "--networks", "level=0", "--out", one_file, code=2)
    assert "all.safetensors: is one file, but 4 networks are chosen" in printed
    printed = here("merge", root, "--networks", "width=6", "--out", tmp_path / "merged.pt", code=2)
    assert "merged.pt: expected the name of a file that ends in .safetensors" in printed
    printed = here("export", root, "--networks", "width=6 step=5", "--out", tmp_path / "folder", code=2)
    assert "there is no such checkpoint; the steps of its level: 0, 11, 33" in printed
