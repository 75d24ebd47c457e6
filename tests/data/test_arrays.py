import gzip
import os
import struct

import numpy as np
import pytest

from raysweep.data import dataset_digest, load_arrays
from raysweep.data.fashion_mnist import DEBIAN_FOLDER
from raysweep.errors import UserError


def test_digits_split_has_its_own_seed():
    first, again, other = load_arrays("digits"), load_arrays("digits"), load_arrays("digits", split_seed=1)
    assert len(first.train_labels) == 1397
    assert len(first.test_labels) == 400
    assert dataset_digest(first) == dataset_digest(again) != dataset_digest(other)


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def small_fashion_mnist(folder):
    for stem, count in (("train", 20), ("t10k", 5)):
        write_idx(folder / f"{stem}-images-idx3-ubyte.gz", np.zeros((count, 28, 28), np.uint8))
        write_idx(folder / f"{stem}-labels-idx1-ubyte.gz", (np.arange(count) % 10).astype(np.uint8))


def test_fashion_mnist_reads_idx_files(tmp_path):
    small_fashion_mnist(tmp_path)
    arrays = load_arrays("fashion_mnist", str(tmp_path))
    assert arrays.train_images.shape == (20, 1, 28, 28)
    assert arrays.classes == 10


def test_truncated_file_is_named(tmp_path):
    small_fashion_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-7]))
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte.gz is truncated"):
        load_arrays("fashion_mnist", str(tmp_path))


def test_missing_files_say_what_provides_them(tmp_path):
    with pytest.raises(UserError, match="dataset-fashion-mnist"):
        load_arrays("fashion_mnist", str(tmp_path))


def test_the_real_fashion_mnist():
    if not DEBIAN_FOLDER.exists():
        if os.environ.get("CI"):
            pytest.fail("install dataset-fashion-mnist: in CI a missing data set is a failure")
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    arrays = load_arrays("fashion_mnist")
    assert arrays.train_images.shape == (60_000, 1, 28, 28)
    assert np.bincount(arrays.test_labels).tolist() == [1000] * 10
