import numpy as np
import pytest
import torchvision.datasets
from PIL import Image

from raysweep.data import DataConfig, dataset_digest, files, load_arrays
from raysweep.data.load import _load_whole
from raysweep.errors import MissingFiles, UserError
from tests.data.formats import write_mnist


@pytest.fixture(autouse=True)
def fresh():
    yield
    _load_whole.cache_clear()


def load(name, root, options="{}", download=False):
    return load_arrays(DataConfig(f"torchvision:{name}", options=options), str(root), download)


def test_it_has_the_data_of_our_own_reader(tmp_path):
    write_mnist(tmp_path / "FashionMNIST" / "raw", suffix="")
    ours = load_arrays(DataConfig("fashion_mnist"), str(tmp_path))
    assert dataset_digest(load("FashionMNIST", tmp_path)) == dataset_digest(ours)


class Toys(torchvision.datasets.VisionDataset):
    """Has `split` like most classes, images of two sizes, and no test split but `val`."""

    def __init__(self, root, split="train", colour="red", download=False):
        super().__init__(root)
        if split not in ("train", "val"):
            raise ValueError(f"unknown split {split}")
        if not download:
            raise RuntimeError("Dataset not found")
        self.count, self.colour = (6 if split == "train" else 3), colour

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        return Image.new("RGB", (4 + number % 2, 4), self.colour), number % 3


class Words(Toys):
    def __getitem__(self, number):
        return "word", number


class Unsplit(torchvision.datasets.VisionDataset):
    def __init__(self, root, download=False):
        super().__init__(root)


@pytest.fixture
def toys(monkeypatch, tmp_path):
    for cls in (Toys, Words, Unsplit):
        monkeypatch.setattr(torchvision.datasets, cls.__name__, cls, raising=False)
    names = (*torchvision.datasets.__all__, "Toys", "Words", "Unsplit")
    monkeypatch.setattr(torchvision.datasets, "__all__", names)
    monkeypatch.setattr(files, "DEFAULT_ROOT", tmp_path / "cache")
    return tmp_path


def test_splits_sizes_and_arguments(toys):
    arrays = load("Toys", toys, '{"arguments":{"colour":"blue"},"size":4}', download=True)
    assert arrays.train_images.shape == (6, 3, 4, 4)
    assert arrays.test_labels.tolist() == [0, 1, 2]
    assert np.array_equal(arrays.train_images[0, :, 0, 0], [0, 0, 255])


@pytest.mark.parametrize(
    ("name", "options", "download", "said"),
    [
        ("Toys", "{}", False, "Dataset not found; looked in .* or train.download=true"),
        ("Toys", "{}", True, "several shapes, .*; give train.dataset_options.size"),
        ("Toys", '{"arguments":{"color":1}}', True, "train.dataset_options.arguments: .* 'color'"),
        ("Words", "{}", True, "its items are not pairs of an image and a class"),
        ("Unsplit", "{}", True, "does not tell a training set from a test set"),
        ("Toy", "{}", True, "torchvision has no such data set; valid choices: .*Toys"),
    ],
)
def test_what_is_wrong_is_said(toys, name, options, download, said):
    with pytest.raises(
        MissingFiles if not download else UserError, match=f"dataset 'torchvision:{name}': .*{said}"
    ):
        load(name, toys, options, download)
