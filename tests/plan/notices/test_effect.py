"""A key of `train` is refused where it determines nothing, which training shows, and nowhere else."""

import sys

import pytest
import torch

from raysweep.commands.load_all import load_one
from raysweep.errors import UserError
from raysweep.plan.identity import data_config
from raysweep.plan.notices.effect import refuse_without_effect
from raysweep.plan.probes import data_facts
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.sweep.train import Training
from tests.data.formats import write_mnist
from tests.work.plans import BASE, carry_out, plan

TRAIN = {"dataset": "digits", "width": 4, "epochs": 1, "batch_size": 200, "replicates": 1}
OTHERS = {  # another value for every key of `train`, beside TRAIN and the defaults
    "split_seed": 1,
    "half": 0,
    "fraction": 0.5,
    "examples": [0, 700],
    "subset_seed": 1,
    "pixel_seed": 1,
    "scaling": "standardise",
    "augment": "flip_crop",
    "model": "lenet",
    "width": 5,
    "depth": 2,
    "norm": "layer",
    "init": "kaiming_normal",
    "epochs": 2,
    "batch_size": 300,
    "drop_last": True,
    "optimiser": "adamw",
    "learning_rate": 0.2,
    "momentum": 0.5,
    "nesterov": True,
    "weight_decay": 0.1,
    "schedule": "constant",
    "gamma": 0.5,
    "warmup": "2st",
    "precision": "bfloat16",
    "channels_last": True,
    "compile": "capture",
    "init_seed": 5,
    "data_seed": 5,
    "spawn_at": "1st",
    "spawn_replicate": 1,
}
ELSEWHERE = {"dataset", "milestones", "threads", "device"}  # needs files, a schedule, cores, a GPU
ELSEWHERE |= {
    "dataset_options",
    "scaling_options",
    "augment_options",
    "init_options",
    "optimiser_options",
    "schedule_options",
}  # are checked against functions


def end(root, **train):
    """The weights of the last trial of a sweep with one network, trained."""
    wanted = plan(**{**TRAIN, **train})
    files = Files(str(root))
    carry_out(wanted, files)
    trial = list(wanted.trials.values())[-1]
    return TrialStore(files).read_checkpoint(trial.trial_id, 0, wanted.extents[trial.trial_id].total)


def same(one, other):
    return one.keys() == other.keys() and all(
        one[name].shape == other[name].shape and torch.equal(one[name], other[name]) for name in one
    )


def refused(path="s.yaml", **train):
    """What is said of a sweep; "" when it is accepted."""
    try:
        refuse_without_effect(path, check("test", {"name": "s", "train": {**TRAIN, **train}}))
    except UserError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return end(tmp_path_factory.mktemp("base"))


def test_there_is_another_value_of_every_key():
    assert OTHERS.keys() == Training.model_fields.keys() - ELSEWHERE


@pytest.mark.parametrize("key", OTHERS)
def test_a_key_is_refused_exactly_where_training_ends_in_the_same_bits(key, base, tmp_path):
    value = OTHERS[key]
    said = refused(**{key: value})
    assert bool(said) == same(end(tmp_path, **{key: value}), base)
    assert not said or said.startswith(f"s.yaml: train.{key} = {value}: has no effect, because ")
    values = (
        [[0, 500], value]
        if key == "examples"
        else [{**BASE, **TRAIN}.get(key, Training.model_fields[key].default), value]
    )
    assert bool(refused(**{key: values})) == bool(said)


def test_official_splits_know_no_seed(tmp_path):
    write_mnist(tmp_path / "MNIST" / "raw", counts=(20, 5))
    one, other = (Training(dataset="mnist", width=4, epochs=1, split_seed=seed) for seed in range(2))
    facts = [data_facts(data_config(training, 0), str(tmp_path), False) for training in (one, other)]
    assert facts[0] == facts[1]
    assert "mnist has a test set of its own" in refused(dataset="mnist", split_seed=1)
    said = refused(dataset=["digits", "mnist"], split_seed=[0, 1])
    assert said == (
        "s.yaml: train.split_seed = 0, 1: trains the same networks twice, "
        "because mnist has a test set of its own"
    )
    assert not refused(dataset=["digits", "mnist"], split_seed=1)


def test_dropping_last_batches_has_no_effect_where_they_are_full(tmp_path):
    full, dropped = (end(tmp_path / str(drop), batch_size=127, drop_last=drop) for drop in (False, True))
    assert same(full, dropped)  # 1,397 images are 11 batches of 127
    assert "train.drop_last = False, True: trains the same networks twice" in refused(
        batch_size=127, drop_last=[False, True]
    )
    assert not refused(batch_size=127, drop_last=True)
    assert not refused(batch_size=128, drop_last=[False, True])


NETWORKS = """
from torch import nn

def fixed():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 10))

def normed(norm):
    between = nn.LayerNorm(5) if norm == "layer" else nn.ReLU()
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 5), between, nn.Linear(5, 10))

def anything(**settings):
    return normed(settings["norm"])
"""


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """A folder with networks of one's own, the current one."""
    (tmp_path / "networks_for_effects.py").write_text(NETWORKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.mark.parametrize(
    ("key", "values"), [("width", (4, 8)), ("depth", (2, 3)), ("norm", ("none", "layer"))]
)
def test_own_networks_are_what_their_function_is_given(key, values, networks):
    model = "networks_for_effects:fixed"
    one, other = (end(networks / str(value), model=model, **{key: value}) for value in values)
    assert same(one, other)
    assert refused(model=model, **{key: list(values)}) == (
        f"s.yaml: train.{key} = {values[0]}, {values[1]}: has no effect, because {model} has no such argument"
    )
    assert bool(refused(model=model, **{key: values[1]})) == (key != "width")  # which must be given
    assert not refused(model="networks_for_effects:anything", **{key: list(values)})


def test_a_list_that_some_of_the_networks_read_is_refused_for_the_others(networks):
    models = ["networks_for_effects:normed", "networks_for_effects:fixed"]
    assert not refused(model=models[0], norm=["none", "layer"])
    said = refused(model=models, norm=["none", "layer"])
    assert said.startswith("s.yaml: train.norm = none, layer: trains the same networks twice, because")
    assert said.endswith("networks_for_effects:fixed has no such argument")


def test_commands_refuse_what_stored_sweeps_may_have(networks):
    path = networks / "s.yaml"
    path.write_text(f"name: s\ntrain: {{{', '.join(f'{k}: {v}' for k, v in TRAIN.items())}, gamma: 0.5}}\n")
    with pytest.raises(
        UserError, match=r"s.yaml: train.gamma = 0.5: .*the schedule one_cycle does not read it"
    ):
        load_one(str(path), None)
    assert plan(**TRAIN, gamma=0.5).trials
    assert load_one(str(path), ["train.schedule=milestones", "train.milestones=[0.5]"]).trials


@pytest.mark.parametrize("key", ["learning_rate", "augment", "init", "init_seed", "optimiser", "spawn_at"])
def test_imported_networks_are_given_no_hyperparameters(key):
    train = {"imports": ["a.pt"], "epochs": 0}
    assert not refused(**{**train, "batch_size": 128})
    said = refused(**{**train, "batch_size": 128, key: "pytorch" if key == "init" else OTHERS[key]})
    assert f"train.{key} = " in said
    assert said.endswith("has no effect, because imported networks are not trained")
