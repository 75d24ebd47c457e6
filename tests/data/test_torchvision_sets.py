import bz2
import gzip

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image

from raysweep.data import DataConfig, dataset_digest, files, load_arrays
from raysweep.data.idx import DEBIAN_FOLDER, FILES
from raysweep.data.load import _load_whole
from raysweep.errors import MissingFiles, UserError
from tests.data.formats import examples, write_idx, write_mnist


@pytest.fixture(autouse=True)
def fresh():
    yield
    _load_whole.cache_clear()


def load(name, root, options="{}", download=False):
    return load_arrays(DataConfig(f"torchvision:{name}", options=options), str(root), download)


@pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="the package dataset-fashion-mnist is not installed")
def test_fashion_mnist_is_that_of_our_own_reader(tmp_path):
    """The first examples of the real files, which torchvision reads unpacked."""
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        count, header, size = 300, *((16, 784) if "images" in name else (8, 1))
        with gzip.open(DEBIAN_FOLDER / f"{name}.gz") as file:
            content = file.read(header + count * size)
        (raw / name).write_bytes(content[:4] + count.to_bytes(4, "big") + content[8:])
    theirs, ours = load("FashionMNIST", tmp_path), load_arrays(DataConfig("fashion_mnist"), str(tmp_path))
    assert theirs.train_images.shape == (300, 1, 28, 28)
    assert dataset_digest(theirs) == dataset_digest(ours)


def test_files_that_are_packed_where_torchvision_wants_them_unpacked_are_named(tmp_path):
    write_mnist(tmp_path / "KMNIST" / "raw")
    with pytest.raises(MissingFiles, match=r"gunzip .*KMNIST/raw/\*.gz"):
        load("KMNIST", tmp_path)


def test_letters(tmp_path):
    """EMNIST has an argument `split` of its own, and its letters are numbered from 1."""
    (tmp_path / "EMNIST" / "raw").mkdir(parents=True)
    made = {split: examples(count, 26, (28, 28), count) for split, count in (("train", 30), ("test", 9))}
    for split, (images, labels) in made.items():
        stem = tmp_path / "EMNIST" / "raw" / f"emnist-letters-{split}"
        write_idx(stem.with_name(f"{stem.name}-images-idx3-ubyte"), images)
        write_idx(stem.with_name(f"{stem.name}-labels-idx1-ubyte"), labels + 1)
    arrays = load("EMNIST", tmp_path, '{"arguments":{"split":"letters"}}')
    assert np.array_equal(arrays.train_images[:, 0], made["train"][0])
    assert arrays.test_labels.tolist() == list(range(1, 10))
    assert arrays.classes == 27
    with pytest.raises(UserError, match=r"dataset_options.arguments: .*'split'"):
        load("EMNIST", tmp_path)


def test_grey_images_of_another_size(tmp_path):
    """USPS is text: a class from 1 on, and 256 numbers from -1 to 1."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(-1, 2, (12, 256))
    lines = [
        " ".join([str(number % 10 + 1), *(f"{place}:{value}" for place, value in enumerate(row, start=1))])
        for number, row in enumerate(pixels)
    ]
    for name, chosen in (("usps.bz2", lines), ("usps.t.bz2", lines[:4])):
        (tmp_path / name).write_bytes(bz2.compress("\n".join(chosen).encode()))
    arrays = load("USPS", tmp_path)
    expected = np.array([0, 127, 255], np.uint8)[pixels + 1].reshape(12, 1, 16, 16)
    assert np.array_equal(arrays.train_images, expected)
    assert np.array_equal(arrays.test_images, expected[:4])
    assert arrays.train_labels.tolist() == [*range(10), 0, 1]


def test_colour_images_of_several_sizes(tmp_path):
    """GTSRB has a folder of ppm files for each class, and a table of the classes of the test set."""
    root, colours = tmp_path / "gtsrb" / "GTSRB", [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    rows = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    (root / "Final_Test" / "Images").mkdir(parents=True)
    for label, colour in enumerate(colours):
        folder = root / "Training" / f"{label:05d}"
        folder.mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (15 + number, 20 + label), colour).save(folder / f"00000_{number:05d}.ppm")
        Image.new("RGB", (30, 31), colour).save(root / "Final_Test" / "Images" / f"{label:05d}.ppm")
        rows.append(f"{label:05d}.ppm;30;31;1;1;2;2;{label}")
    (tmp_path / "gtsrb" / "GT-final_test.csv").write_text("\n".join(rows))
    arrays = load("GTSRB", tmp_path, '{"size":[12,16]}')
    assert arrays.train_images.shape == (6, 3, 12, 16)
    assert [tuple(image[:, 5, 5]) for image in arrays.test_images] == colours
    assert arrays.train_labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert load("GTSRB", tmp_path, '{"size":8,"channels":1}').test_images.shape == (3, 1, 8, 8)


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
        ("toys", "{}", True, "torchvision has no such data set; did you mean .Toys.?"),
    ],
)
def test_what_is_wrong_is_said(toys, name, options, download, said):
    with pytest.raises(
        MissingFiles if not download else UserError, match=f"dataset 'torchvision:{name}': .*{said}"
    ):
        load(name, toys, options, download)
