"""Every key of `train` that can be swept reaches the tables, sets networks apart, and names their runs."""

import pandas as pd
import pytest

from analysis.rows.settings import by_networks, by_setting, by_width
from raysweep.sweep.align import Align
from raysweep.sweep.methods import METHODS
from raysweep.sweep.train import Training
from raysweep.tables.rows import METHOD_OPTIONS
from raysweep.tables.schemas import TABLES
from raysweep.tracking.values import configured, label, setting_words, trial_words
from tests.analysis.planned import frame_of, planned, wanted_of
from tests.data.formats import write_mnist

VALUES = {
    "dataset": ["digits", "mnist"],
    "dataset_options": [{}, {"seed": 1}],
    "split_seed": [0, 1],
    "half": [None, 1, "replicate"],
    "fraction": [None, 0.5],
    "examples": [[0, 700], [0, 1000]],
    "subset_seed": [0, 1],
    "pixel_seed": [None, 3],
    "scaling": ["unit", "standardise"],
    "scaling_options": [{}, {"share": 0.5}],
    "augment": ["none", "flip_crop"],
    "augment_options": [{}, {"padding": 1}],
    "model": ["mlp", "lenet"],
    "width": [4, 8],
    "depth": [2, 3],
    "norm": ["none", "layer"],
    "init": ["pytorch", "own"],
    "init_options": [{}, {"gain": 2.0}],
    "epochs": [1, 2],
    "batch_size": [300, 400],
    "drop_last": [False, True],
    "optimiser": ["sgd", "adamw"],
    "optimiser_options": [{}, {"beta2": 0.9}],
    "learning_rate": [0.1, 0.05],
    "momentum": [0.9, 0.8],
    "nesterov": [False, True],
    "weight_decay": [0.0, 0.1],
    "schedule": ["constant", "cosine"],
    "schedule_options": [{}, {"power": 2}],
    "milestones": [["1ep"], ["1ep", "2ep"]],
    "gamma": [0.1, 0.2],
    "warmup": ["0ep", "1st"],
    "precision": ["float32", "bfloat16"],
    "channels_last": [False, True],
    "init_seed": [0, 1, "replicate"],
    "data_seed": [0, 1, "replicate"],
    "spawn_at": [None, "0st", "1ep"],
    "spawn_replicate": [0, 1],
    "threads": [1, 2],
    "device": ["cpu", "cuda"],
    "compile": ["auto", "off"],
}
NEEDED = {"milestones": {"schedule": "milestones"}, "spawn_replicate": {"spawn_at": "1ep"}}
NEEDED["compile"] = {"device": "cuda"}
NEEDED["dataset_options"] = {"dataset": "gaussian_mixture"}
NEEDED["scaling_options"] = {"scaling": f"{__name__}:by_share"}
NEEDED["augment_options"] = {"augment": "flip_crop"}
NEEDED["init_options"] = {"init": f"{__name__}:drawn"}
NEEDED["optimiser_options"] = {"optimiser": "adamw"}
NEEDED["schedule_options"] = {"schedule": f"{__name__}:falling"}


def drawn(model, generator, gain=1.0):
    for parameter in model.parameters():
        parameter.normal_(0, gain, generator=generator)


def by_share(share=1.0):
    return 0.0, 16 * share


def falling(step, steps, power=1):
    return (1 - step / steps) ** power


def test_every_key_of_the_schema_is_tried():
    assert VALUES.keys() == Training.model_fields.keys()
    assert Training.model_fields.keys() <= {name for name, _, _ in TABLES["trials"]}


@pytest.fixture(scope="module", params=VALUES)
def swept(request, tmp_path_factory):
    """A key, and the barriers and trials of a sweep over its values with pairs as they are and aligned."""
    folder = tmp_path_factory.mktemp("data")
    write_mnist(folder / "MNIST" / "raw")
    key = request.param
    train = {key: VALUES[key], "data_root": str(folder), **NEEDED.get(key, {})}
    if key != "dataset" and key != "batch_size":
        train["batch_size"] = 300
    resources = {"trial": {"cpu": 2, "gpu": 1}}
    wanted = wanted_of(train, resources=resources, compare={"kinds": ["unaligned", "direct"]})
    return key, frame_of("barriers", wanted), frame_of("trials", wanted)


def test_no_part_of_a_table_mixes_two_values(swept):
    key, barriers, trials = swept
    parts = [(setting, set(rows.group)) for setting, rows in by_width(by_setting(barriers, trials))]
    assert len(parts) == len(VALUES[key])
    assert all(len(groups) == 1 for _, groups in parts)
    for told in ("title", "stem"):
        assert len({getattr(setting, told) for setting, _ in parts}) == len(parts)
    of_trials = by_width(by_networks(trials, trials))
    compared = set(barriers.group)
    assert all(len(compared & set(rows.group)) <= 1 for _, rows in of_trials)


def test_runs_have_names_of_their_own(swept):
    _, barriers, trials = swept
    pairs = barriers.fillna({"method": "unaligned"}).assign(configured=configured(barriers, trials))
    names = [
        label(rows.iloc[0], *setting_words(str(method), rows, trials))
        for (_, method), rows in pairs.groupby(["group", "method"])
    ]
    for _, levels in trials.assign(configured=configured(trials, trials)).groupby("trial_id"):
        names.append(label(levels.iloc[0], *trial_words(levels.iloc[0], trials)))
    assert len(set(names)) == len(names) == 2 * barriers.group.nunique() + trials.trial_id.nunique()


def test_every_option_of_align_is_a_column_of_its_alignments():
    columns = {name for name, _, _ in TABLES["alignments"]}
    plain = {"seed", "threads", "device"}
    assert {*METHOD_OPTIONS, "options", *plain} <= columns
    assert Align.model_fields.keys() == {"methods", "method_options", *METHODS, *plain}


def test_settings_of_align_and_compare_stand_beside_the_results():
    align = {
        "methods": ["weight_matching", "activation_matching"],
        "weight_matching": {"kernel": "cosine", "restarts": 2},
        "activation_matching": {"examples": 7, "pixels": 2},
    }
    compare = {"kinds": ["unaligned", "direct"], "alphas": 5, "train_examples": 100}
    tables = planned({"replicates": 2}, align=align, compare=compare)
    by_method = tables["alignments"].set_index("method")
    weights, activations = by_method.loc["weight_matching"], by_method.loc["activation_matching"]
    assert (weights.kernel, weights.restarts) == ("cosine", 2)
    assert (activations.examples, activations.pixels) == (7, 2)
    assert pd.isna(weights.examples)
    assert pd.isna(activations.kernel)
    assert set(tables["barriers"].alphas) == {5}
    assert set(tables["barriers"].train_examples) == {100}
    direct = tables["barriers"].query("method == 'weight_matching'")
    assert all('"kernel":"cosine"' in settings for settings in direct.alignment_settings)
