import subprocess
import sys
from dataclasses import replace
from pydoc_data.topics import topics

import numpy as np
import pytest

from raysweep.data import DATASETS, DataConfig, dataset_digest, files, load_arrays
from raysweep.errors import UserError
from tests.data.formats import (
    write_cifar_binary,
    write_cifar_python,
    write_mnist,
    write_pictures,
    write_svhn,
)

WRITERS = {
    "mnist": write_mnist,
    "fashion_mnist": write_mnist,
    "cifar10": lambda folder: write_cifar_python(folder, "cifar10"),
    "cifar100": lambda folder: write_cifar_binary(folder, "cifar100"),
    "svhn": write_svhn,
    "torchvision:NAME": lambda folder: write_mnist(folder / "FashionMNIST" / "raw", suffix=""),
    "folder:PATH": lambda folder: write_pictures(folder / "pictures"),
    **dict.fromkeys(("digits", "gaussian_mixture", "teacher_network", "text"), lambda folder: None),
}
NAMES = {"torchvision:NAME": "torchvision:FashionMNIST", "folder:PATH": "folder:pictures"}


def text():
    return "\n".join(topics[name] for name in sorted(topics))


SUBSETS = [{}, {"half": 0}, {"pixel_seed": 3}, {"fraction": 0.5, "pixel_seed": 3}]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("subset", SUBSETS, ids=str)
def test_every_dataset_and_subset_has_the_form_that_torch_wants(dataset, subset, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "DEFAULT_ROOT", tmp_path / "cache")
    WRITERS[dataset](tmp_path)
    arrays = load_arrays(DataConfig(NAMES.get(dataset, dataset), **subset), str(tmp_path))
    for images, labels in (
        (arrays.train_images, arrays.train_labels),
        (arrays.test_images, arrays.test_labels),
    ):
        assert images.dtype == (np.float32 if arrays.shape == (20,) else np.uint8)
        assert labels.dtype == np.int64
        assert images.shape == (len(labels), *arrays.shape)
        assert all(a.flags.c_contiguous and a.flags.writeable for a in (images, labels))
    assert arrays.classes == {"cifar100": 100, "text": len(set(text()))}.get(dataset, 10)


def test_every_channel_has_the_same_order_of_pixels(tmp_path):
    write_svhn(tmp_path)
    plain, shuffled = (load_arrays(DataConfig("svhn", pixel_seed=s), str(tmp_path)) for s in (None, 3))
    before, after = (a.test_images.reshape(15, 1024) for a in (plain, shuffled))
    assert sorted(map(bytes, before.T)) == sorted(map(bytes, after.T))


def test_an_unknown_dataset_lists_the_valid_names():
    with pytest.raises(
        ValueError, match=r"unknown dataset 'cifar'; did you mean 'cifar10'\? .*: digits, mnist"
    ):
        load_arrays(DataConfig("cifar"))


def test_the_digest_covers_the_arrays_and_the_classes():
    arrays = load_arrays(DataConfig("digits"))
    labels = arrays.test_labels.copy()
    labels[-1] += 1
    others = [replace(arrays, test_labels=labels), replace(arrays, classes=11)]
    assert len({dataset_digest(each) for each in (arrays, replace(arrays), *others)}) == 3


@pytest.mark.slow
def test_loading_needs_no_torch():
    code = (
        "import sys; from raysweep.data import *; "
        "scaling_of(load_arrays(DataConfig('digits', half=0)), 'unit'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_label_of_a_character_is_the_one_that_follows():
    arrays = load_arrays(DataConfig("text", options='{"length": 16}'))
    characters = sorted(set(text()))
    inputs = np.concatenate([arrays.train_images, arrays.test_images]).ravel()
    labels = np.concatenate([arrays.train_labels, arrays.test_labels]).ravel()
    assert arrays.shape == (16,)
    assert "".join(characters[number] for number in inputs) == text()[: len(inputs)]
    assert "".join(characters[number] for number in labels) == text()[1 : len(labels) + 1]
    assert 0 < len(text()) - len(labels) <= 16
    assert 9 <= len(arrays.train_images) / len(arrays.test_images) < 9.1


@pytest.mark.parametrize("length", [0, -1, 1.5, 10**6])
def test_a_length_that_leaves_no_sequences_is_refused(length):
    with pytest.raises(UserError, match=r"train\.dataset_options\.length"):
        load_arrays(DataConfig("text", options=f'{{"length": {length}}}'))
