"""An entry in a registry is all that a name needs: the schema, the documentation, plans and work follow."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from raysweep.data import Arrays, DataConfig, Scaling, load, load_arrays
from raysweep.data.load import draws_split
from raysweep.data.registry import AUGMENTATIONS, DATASETS, SCALINGS, Augmentation, Dataset
from raysweep.models.build import build
from raysweep.models.initialise import initialised
from raysweep.models.registry import INITS, MODELS, NORMS, Initialisation, Model, Norm
from raysweep.plan.cost.estimate import estimate, gpu_hours
from raysweep.plan.desired import desired
from raysweep.plan.done import Done
from raysweep.plan.notices.effect import refuse_without_effect
from raysweep.plan.todo import todo
from raysweep.registry import Entry
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.branches import BRANCHES, Branch
from raysweep.sweep.load import check
from raysweep.sweep.problems import keys
from raysweep.sweep.reference import reference
from raysweep.sweep.schema import Sections
from raysweep.training.loop import TrainingRun
from raysweep.training.registry import OPTIMISERS, SCHEDULES, Optimiser, Schedule
from raysweep.training.schedule import Schedule as Rates
from raysweep.work.data import resident
from raysweep.work.device import ways_on
from tests.conftest import mlp, settings
from tests.work.plans import BASE, carry_out

HERE = "tests.sweep.test_registries"
NEW = {
    "model": (MODELS, Model(f"{HERE}:wide", "Novel words.", depth=2, convolutional=False)),
    "norm": (NORMS, Norm(f"{HERE}:root_mean_square", "Novel words.", bias=False)),
    "init": (INITS, Initialisation(f"{HERE}:ones", "Novel words.")),
    "optimiser": (OPTIMISERS, Optimiser(f"{HERE}:plain", "Novel words.", keys=("learning_rate",), buffers=7)),
    "dataset": (DATASETS, Dataset(f"{HERE}:corners", "Novel words.")),
    "scaling": (SCALINGS, Entry(f"{HERE}:in_tenths", "Novel words.")),
    "augment": (AUGMENTATIONS, Augmentation(f"{HERE}:shaded", "Novel words.", f"{HERE}:shade")),
    "schedule": (SCHEDULES, Schedule(f"{HERE}:halving", "Novel words.", keys=("gamma",))),
}


def corners(split_seed, examples=40):
    images = np.random.default_rng(split_seed).integers(0, 17, (examples, 1, 8, 8), dtype=np.uint8)
    labels = np.arange(examples) % 10
    return Arrays(images, labels, images, labels, 10)


def in_tenths(arrays):
    return Scaling((0.0,), (10.0,))


def shaded(images, black, draws):
    return images * draws.to(images.device).view(-1, 1, 1, 1)


def shade(count, seed):
    return torch.full((1, count), 1 + seed % 3)


def wide(shape, classes, width, depth):
    hidden = [nn.Flatten(), nn.Linear(64, width * depth), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(width * depth, classes))


def root_mean_square(units, pixels):
    return nn.RMSNorm(units)


def ones(model, generator, gain=1.0):
    for parameter in model.parameters():
        parameter.fill_(gain)


def plain(parameters, learning_rate, extra=1.0):
    return torch.optim.SGD(parameters, lr=learning_rate * extra)


def halving(step, gamma):
    return gamma**step


@pytest.fixture(params=NEW)
def key(request, monkeypatch):
    registry, entry = NEW[request.param]
    monkeypatch.setitem(registry.entries, "novel", entry)
    keys.cache_clear()
    yield request.param
    keys.cache_clear()
    load._load_whole.cache_clear()  # so that no other test finds the novel data set


def planned(**train):
    return check("file", {"name": "s", "train": {**BASE, "epochs": 1, "replicates": 2, **train}})


def test_a_new_name_is_known_to_the_schema_and_the_documentation(key):
    assert getattr(planned(**{key: "novel"}).trainings[0], key) == "novel"
    assert "novel" in keys()[f"train.{key}"].names
    assert f"| `train.{key}` | `novel` | Novel words. |" in reference()


def test_a_new_name_is_planned(key):
    wanted, plain_one = desired(planned(**{key: "novel"})), desired(planned())
    assert not wanted.trials.keys() & plain_one.trials.keys()
    work = todo(wanted, Done({}, {}, {}))
    assert estimate(wanted, work).bytes > 0
    assert gpu_hours(wanted, work, "h100", everything=True).training > 0


@pytest.fixture
def added(monkeypatch):
    for registry, entry in NEW.values():
        monkeypatch.setitem(registry.entries, "novel", entry)


def test_new_names_are_built_and_trained(added, digits):
    config = replace(mlp(norm="novel"), depth=1)
    assert isinstance(build(config).layers[2], nn.RMSNorm)
    model = initialised(replace(mlp(), model="novel", depth=None), "novel", 0, {"gain": 0.5})
    assert model[1].out_features == 2 * 16  # the entry's depth
    assert all((parameter == 0.5).all() for parameter in model.parameters())
    chosen = settings(optimiser="novel", schedule=Rates("novel", 0.1, 4, gamma=0.5))
    TrainingRun(model, digits, chosen).advance(2)
    assert chosen.schedule.rate(3) == 0.1 * 0.5**3
    assert not all((parameter == 0.5).all() for parameter in model.parameters())
    assert "compiled" not in ways_on("cuda", "auto", "novel")


def test_new_data_are_loaded_scaled_and_augmented(added):
    config = DataConfig("novel", options='{"examples":20}')
    data = resident(config, None, False, "novel")
    arrays = load_arrays(config)
    assert torch.equal(data.train.images, torch.from_numpy(arrays.train_images) / 10)
    ends = []
    for augment in ("none", "novel"):
        model = initialised(mlp(), "pytorch", 0)
        TrainingRun(model, data, settings(augment=augment, data_seed=1)).advance(2)
        ends.append(model.state_dict()["layers.1.weight"])
    assert not torch.equal(*ends)
    assert draws_split("novel")


def test_what_an_entry_costs_and_reads_is_in_it(added):
    bytes_of = {}
    for name in ("sgd", "novel"):
        wanted = desired(planned(optimiser=name))
        bytes_of[name] = estimate(wanted, todo(wanted, Done({}, {}, {}))).bytes
    assert bytes_of["novel"] > bytes_of["sgd"]  # seven buffers in each resume point
    for unread in ({"momentum": 0.5}, {"weight_decay": 0.1}):
        with pytest.raises(Exception, match="the optimiser novel does not read it"):
            refuse_without_effect("file", planned(optimiser="novel", **unread))
    with pytest.raises(Exception, match="nesterov: only sgd with momentum"):
        planned(optimiser="novel", nesterov=True)
    refuse_without_effect("file", planned(schedule="novel", gamma=0.3))
    with pytest.raises(Exception, match="the schedule cosine does not read it"):
        refuse_without_effect("file", planned(schedule="cosine", gamma=0.3))


def test_options_are_checked_against_the_signature(added):
    wanted = desired(planned(optimiser="novel", optimiser_options={"extra": 2.0}))
    assert not wanted.trials.keys() & desired(planned(optimiser="novel")).trials.keys()
    for options, said in (
        ({"extras": 1}, "optimiser_options.extras: .* no such option; did you mean 'extra'"),
        ({"parameters": 1}, "optimiser_options.parameters: .* is given this argument"),
    ):
        with pytest.raises(Exception, match=said):
            desired(planned(optimiser="novel", optimiser_options=options))


def alternate(masks, seed):
    """As many weights of each layer as in the masks, the first ones."""
    return {name: torch.arange(mask.numel()).view(mask.shape) < mask.sum() for name, mask in masks.items()}


def test_a_new_branch_is_known_planned_and_trained(monkeypatch, tmp_path):
    monkeypatch.setitem(
        BRANCHES.entries, "novel", Branch(f"{HERE}:alternate", "Novel words.", "first weights")
    )
    prune = {"levels": 1, "rewind": "1st", "branches": ["novel"]}
    sweep = check("file", {"name": "s", "train": {**BASE, "epochs": 1, "replicates": 1}, "prune": prune})
    assert "| `prune.branches` | `novel` | Novel words. |" in reference()
    assert "novel" in str(Sections.model_json_schema()["$defs"]["PruneRest"])
    wanted, files = desired(sweep), Files(str(tmp_path))
    (chain, branch) = (trial for trial in wanted.trials.values() if trial.prune)
    assert branch.branch == "novel"
    carry_out(wanted, files)
    masks = [TrialStore(files).read_mask(trial.trial_id, 1) for trial in (chain, branch)]
    for name, mask in masks[1].items():
        assert torch.equal(mask, alternate({name: masks[0][name]}, 0)[name])
    assert not torch.equal(masks[0]["layers.1.weight"], masks[1]["layers.1.weight"])
