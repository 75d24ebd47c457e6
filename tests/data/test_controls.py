"""The data that are computed: a Gaussian mixture and a teacher network."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from raysweep.data import DataConfig, dataset_digest, load_arrays
from raysweep.errors import UserError

CONTROLS = ("gaussian_mixture", "teacher_network")


def load(name, **options):
    return load_arrays(DataConfig(name, options=json.dumps(options, sort_keys=True, separators=(",", ":"))))


@pytest.mark.parametrize("name", CONTROLS)
def test_options_and_seed_determine_the_data(name):
    small = {"examples": 60, "test_examples": 40, "features": 7, "classes": 3}
    found = [load(name, **small), load(name, **small, seed=0), load(name, **small, seed=1)]
    assert found[0].train_images.shape == (60, 7)
    assert found[0].test_images.shape == (40, 7)
    assert found[0].classes == 3
    digests = [dataset_digest(each) for each in found]
    assert digests[0] == digests[1] != digests[2]


def test_the_data_are_those_of_every_machine():
    assert [dataset_digest(load(name))[:8] for name in CONTROLS] == ["be059569", "7e9f0c30"]


@pytest.mark.parametrize(("distance", "accuracy"), [(8.0, (0.99, 1.0)), (0.0, (0.0, 0.2))])
def test_the_distance_of_a_mixture_is_its_difficulty(distance, accuracy):
    arrays = load("gaussian_mixture", distance=distance)
    fitted = LogisticRegression(max_iter=200).fit(arrays.train_images, arrays.train_labels)
    assert accuracy[0] <= fitted.score(arrays.test_images, arrays.test_labels) <= accuracy[1]
    assert np.ptp(np.bincount(arrays.train_labels)) == 0


def test_a_teacher_of_no_depth_is_linear():
    arrays = load("teacher_network", depth=0, classes=2)
    fitted = LogisticRegression(C=1e4).fit(arrays.train_images, arrays.train_labels)
    assert fitted.score(arrays.test_images, arrays.test_labels) > 0.98


def test_what_is_wrong_is_said():
    with pytest.raises(UserError, match=r"train.dataset_options.size: .* no such option"):
        load("gaussian_mixture", size=3)
    with pytest.raises(UserError, match=r"train.dataset_options.examples = 'x': .* takes another type"):
        load("teacher_network", examples="x")
