import gzip
import os

import numpy as np
import pytest

from raysweep.data import DataConfig, load_arrays
from raysweep.data.idx import DEBIAN_FOLDER
from raysweep.errors import UserError
from tests.data.formats import examples, write_idx, write_mnist

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("dataset", "below"), [("mnist", "MNIST/raw"), ("fashion_mnist", "FashionMNIST/raw"), ("mnist", "")]
)
def test_reads_plain_and_compressed_files(dataset, below, suffix, tmp_path):
    write_mnist(tmp_path / below, suffix)
    arrays = load_arrays(DataConfig(dataset), str(tmp_path))
    images, labels = examples(20, 10, (28, 28))
    assert np.array_equal(arrays.train_images, images[:, None])
    assert np.array_equal(arrays.train_labels, labels)
    assert arrays.test_images.shape == (5, 1, 28, 28)


def refused(folder, message):
    with pytest.raises(UserError, match=message):
        load_arrays(DataConfig("mnist"), str(folder))


def test_a_truncated_file_is_named(tmp_path):
    write_mnist(tmp_path)
    path = tmp_path / TRAIN_IMAGES
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-7]))
    refused(tmp_path, rf"{TRAIN_IMAGES} is truncated: 15673 bytes of data, expected \(20, 28, 28\)")


@pytest.mark.parametrize("cut", [slice(0, -9), slice(0, 5), slice(10, None)])
def test_a_damaged_archive_is_named(cut, tmp_path):
    write_mnist(tmp_path)
    path = tmp_path / TRAIN_IMAGES
    path.write_bytes(path.read_bytes()[cut])
    refused(tmp_path, f"{TRAIN_IMAGES} cannot be decompressed")


def test_flipped_bits_in_an_archive_are_noticed(tmp_path):
    write_mnist(tmp_path)
    path = tmp_path / TRAIN_IMAGES
    content = bytearray(path.read_bytes())
    content[20:200] = bytes(180)
    path.write_bytes(content)
    refused(tmp_path, f"{TRAIN_IMAGES} cannot be decompressed")


def test_another_format_is_named(tmp_path):
    write_mnist(tmp_path)
    write_idx(tmp_path / TRAIN_IMAGES, np.zeros((20, 784), np.uint8))
    refused(tmp_path, f"{TRAIN_IMAGES} is not an IDX file of 3 dimensions")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (TRAIN_IMAGES, np.zeros((20, 27, 28), np.uint8), r"shape .*1, 28, 28\), found \(20, 1, 27, 28\)"),
        (TRAIN_IMAGES, np.zeros((0, 28, 28), np.uint8), r"1 or more.* found \(0, 1, 28, 28\)"),
        (TRAIN_LABELS, np.zeros(19, np.uint8), rf"{TRAIN_LABELS}: expected 20 labels, found shape \(19,\)"),
        (TRAIN_LABELS, np.full(20, 10, np.uint8), rf"{TRAIN_LABELS}: expected labels from 0 to 9, found 10"),
    ],
)
def test_wrong_contents_are_named(name, array, message, tmp_path):
    write_mnist(tmp_path)
    write_idx(tmp_path / name, array)
    refused(tmp_path, message)


def test_missing_files_say_what_provides_them(tmp_path):
    with pytest.raises(UserError, match=r"dataset-fashion-mnist, or set train\.data_root"):
        load_arrays(DataConfig("fashion_mnist"), str(tmp_path))
    refused(tmp_path, r"t10k-labels-idx1-ubyte\); set train\.data_root")


def test_the_real_fashion_mnist():
    if not DEBIAN_FOLDER.exists():
        if os.environ.get("CI"):
            pytest.fail("install dataset-fashion-mnist: in CI a missing data set is a failure")
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    arrays = load_arrays(DataConfig("fashion_mnist"))
    assert arrays.train_images.shape == (60_000, 1, 28, 28)
    assert np.bincount(arrays.test_labels).tolist() == [1000] * 10
