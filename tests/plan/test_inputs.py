"""Data and augmentations of the user's own: what a plan refuses, and that it trains and compares the rest."""

import hashlib
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from raysweep.data.config import DataConfig
from raysweep.data.load import _load_whole, load_arrays
from raysweep.digest import canonical
from raysweep.errors import UserError
from raysweep.plan import probes
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.notices.effect import refuse_without_effect
from raysweep.plan.todo import todo
from raysweep.store.disk_cache import facts_folder
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.tables.publishing import publish_tables
from raysweep.version import CodeDiffers
from raysweep.work.data import trained_on
from raysweep.work.origin import check_origin
from tests.readmes import marked
from tests.work.plans import carry_out, compare_all, contents

MODULE = """
import numpy as np
import torch

def load(shape=(6,), seed=0):
    draw = np.random.default_rng(seed)
    inputs, labels = draw.normal(size=(60, *shape)), np.arange(60) % 3
    return inputs[:40], labels[:40], inputs[40:], labels[40:]

def split(split_seed):
    return load(seed=split_seed)

def noisy(batch, generator):
    return batch + 0.1 * torch.randn(batch.shape, generator=generator)

def careless(batch, generator):
    return batch + torch.randn(batch.shape)

def shorter(batch, generator):
    return batch[1:]

def broken(batch, generator):
    raise RuntimeError("no luck")

def dimmed(batch, generator, by: float = 2.0):
    return batch / by

def halved(arrays, by: float = 2.0):
    return arrays.train_images.mean(axis=0), by

def two_channels():
    return [0.0, 0.0], 1.0

def flat():
    return 0.0, 0.0

def restless():
    return np.random.default_rng().normal(), 1.0
"""
IMAGES = {"dataset_options": {"shape": [1, 4, 4]}}
TRAIN = {"dataset": "own_data:load", "scaling": "standardise", "width": 4, "epochs": 2, "batch_size": 16}


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    """The user's file, in the folder where raysweep is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_data", raising=False)
    (tmp_path / "own_data.py").write_text(MODULE)
    _forget()
    yield tmp_path / "own_data.py"
    _forget()
    sys.modules.pop("own_data", None)


def _forget():
    """Like a new process."""
    for kept in (_load_whole, probes.data_facts):
        kept.cache_clear()


def planned(**train):
    sweep = {"name": "s", "train": {**TRAIN, "replicates": 2, **train}}
    return desired(check("file", {**sweep, "compare": {"kinds": ["unaligned", "direct"], "alphas": 3}}))


@pytest.mark.parametrize("shape", [[6], [5, 4], [1, 3, 4], [2, 3, 2, 2]], ids=str)
def test_networks_are_trained_and_compared_on_inputs_of_any_shape(tmp_path, shape):
    wanted = planned(dataset_options={"shape": shape}, pixel_seed=1, half="replicate")
    files = Files(str(tmp_path / "root"))
    carry_out(wanted, files)
    compare_all(wanted, files)
    work = todo(wanted, done(wanted, files))
    assert not work
    tables = {
        name: pd.read_parquet(tmp_path / "root" / "sweeps" / "s" / name) for name in ("trials", "barriers")
    }
    assert np.isfinite(tables["barriers"].loss_barrier).all()
    assert set(tables["trials"].dataset_options) == {f'{{"shape":[{",".join(map(str, shape))}]}}'}


def test_data_and_their_source_are_in_ids_and_options_through_the_data(module):
    plain = planned().trials.keys()
    assert planned(dataset_options={"seed": 0}).trials.keys() == plain
    assert not planned(dataset_options={"seed": 1}).trials.keys() & plain
    wanted = planned(augment="own_data:noisy")
    assert not wanted.trials.keys() & plain
    assert {key for trial in wanted.trials.values() for key in trial.sources} == {"dataset", "augment"}
    module.write_text(MODULE + "# changed\n")
    assert not planned().trials.keys() & plain
    assert not any("data facts" in path.read_text() for path in facts_folder().glob("*.json"))
    for trial in wanted.trials.values():
        with pytest.raises(CodeDiffers, match=r"own_data:\w+': the file on this node"):
            check_origin(trial, wanted.sweep.sections.train)


def test_options_of_scalings_and_augmentations_act_and_are_in_ids_and_tables(module, tmp_path):
    chosen = {"scaling": "own_data:halved", "augment": "own_data:dimmed"}
    wanted = [
        planned(**chosen, **more)
        for more in ({}, {"scaling_options": {"by": 4}}, {"augment_options": {"by": 3}})
    ]
    assert len(set().union(*(each.trials for each in wanted))) == 3 * 2
    ends = []
    for number, each in enumerate(wanted):
        carry_out(each, Files(str(tmp_path / str(number))), align=False)
        ends.append(sorted(contents(tmp_path / str(number)).values()))
    assert ends[0] != ends[1] != ends[2] != ends[0]
    files = Files(str(tmp_path / "1"))
    publish_tables(files, wanted[1], done(wanted[1], files), [])
    rows = pd.read_parquet(tmp_path / "1" / "sweeps" / "s" / "trials")
    file = hashlib.sha256(module.read_bytes()).hexdigest()
    assert {*map(str, rows.sources)} == {canonical(dict.fromkeys(("augment", "dataset", "scaling"), file))}
    assert rows.source_digest.isna().all()  # of networks of the user's own
    data = trained_on(wanted[1].sweep.trainings[0], DataConfig("own_data:load"), None, False)
    inputs = load_arrays(DataConfig("own_data:load")).train_images
    assert torch.allclose(data.train.images, torch.from_numpy((inputs - inputs.mean(axis=0)) / 4))


def test_an_augmentation_draws_from_its_generator_alone(tmp_path):
    wanted = planned(augment="own_data:noisy")
    for name in ("one", "other"):
        carry_out(wanted, Files(str(tmp_path / name)), align=False)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    carry_out(planned(), Files(str(tmp_path / "plain")), align=False)
    ends = [sorted(contents(tmp_path / name).values()) for name in ("one", "plain")]
    assert ends[0] != ends[1]


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"model": "lenet"}, r"train.model = lenet: needs images .* own_data:load have the shape \(6,\)"),
        (
            {"model": "resnet20", "dataset_options": {"shape": [5, 4]}},
            r"train.model = resnet20: needs images",
        ),
        ({"augment": "flip_crop"}, "train.augment = flip_crop: needs images"),
        ({"dataset": "folder:"}, "train.dataset = 'folder:': write folder:PATH"),
        ({"channels_last": True}, "train.channels_last = True: needs images"),
        ({"dataset_options": {"shapes": [2]}}, "dataset_options.shapes: .* did you mean 'shape'"),
        ({"dataset_options": {"shape": "x"}}, 'with the options {"shape":"x"} fails: TypeError'),
        ({"dataset_options": [1]}, r"train.dataset_options = 1: expected a mapping"),
        ({"dataset": "own_data:lod"}, "dataset 'own_data:lod': module own_data has no 'lod'"),
        (
            {"dataset": "digits", "dataset_options": {"size": 1}},
            "dataset 'digits' has no such option; it has none",
        ),
        ({"augment": "own_data:careless"}, "own_data:careless': two calls under one seed differ"),
        ({"augment": "own_data:shorter"}, r"returns \(7, 6\), .* expected a tensor like the batch: \(8, 6\)"),
        ({"augment": "own_data:broken"}, "augmentation 'own_data:broken' fails: RuntimeError: no luck"),
        (
            {"augment": "own_data:dimmed", "augment_options": {"off": 1}},
            "train.augment_options.off: .*'own_data:dimmed' has no such option; valid choices: by$",
        ),
        (
            {"augment": "own_data:dimmed", "augment_options": {"by": "much"}},
            "train.augment_options.by = 'much': .* takes another type",
        ),
        (
            {"augment": "flip_crop", "augment_options": {"padding": -1}, **IMAGES},
            "augmentation 'flip_crop' fails: RuntimeError",
        ),
        ({"augment_options": {"padding": 1}}, "'none' has no such option; it has none"),
        ({"scaling_options": {"by": 1}}, "scaling 'standardise' has no such option; it has none"),
        (
            {"scaling": "own_data:halved", "scaling_options": {"by": [1]}},
            r"train.scaling_options.by = \[1\]: .* takes another type",
        ),
        ({"scaling": "own_data:two_channels"}, "each a number or one for each of 6 channels: ValueError"),
        ({"scaling": "own_data:flat"}, "expected finite numbers, and scales that are not zero"),
        ({"scaling": "own_data:restless"}, "own_data:restless': two calls differ"),
        ({"dataset": "own_data:load", "dataset_options": {"seed": 1.5}}, "with the options .* fails"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(train, said):
    with pytest.raises(UserError, match=said):
        planned(**train)


def test_options_that_give_the_same_data_are_refused():
    options = [{}, {"seed": 1}, {"seed": 0}]
    with pytest.raises(UserError, match=r"dataset_options = {}, {'seed': 0}: trains the same networks twice"):
        refuse_without_effect("file", planned(dataset_options=options).sweep)
    refuse_without_effect("file", planned(dataset_options=options[:2]).sweep)


def test_split_seed_has_an_effect_where_the_function_takes_it():
    refuse_without_effect("file", planned(dataset="own_data:split", split_seed=1).sweep)
    with pytest.raises(
        UserError, match=r"train.split_seed = 1: has no effect, because own_data:load has a test"
    ):
        refuse_without_effect("file", planned(split_seed=1).sweep)


def test_the_documented_example_is_trained(tmp_path):
    (tmp_path / "my_data.py").write_text(marked("sweeps", "own data").text)
    wanted = desired(check("file", yaml.safe_load(marked("sweeps", "own data file").text)))
    refuse_without_effect("file", wanted.sweep)
    files = Files(str(tmp_path / "root"))
    carry_out(wanted, files, align=False)
    errors = [TrialStore(files).record(trial_id, 0).metrics[-1].error for trial_id in wanted.trials]
    assert len(errors) == 2 * 4  # of each of the options
    assert max(errors) < 0.15
