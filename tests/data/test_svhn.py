import numpy as np
import pytest
from scipy.io import savemat

from raysweep.data import DataConfig, load_arrays
from raysweep.errors import UserError
from tests.data.formats import examples, write_svhn

TRAIN = "train_32x32.mat"


def load(folder):
    return load_arrays(DataConfig("svhn"), str(folder))


@pytest.mark.parametrize("below", ["", "svhn"])
def test_reads_images_and_takes_10_for_the_digit_0(below, tmp_path):
    write_svhn(tmp_path / below)
    arrays = load(tmp_path)
    images, labels = examples(20, 10, (32, 32, 3))
    assert np.array_equal(arrays.train_images, images.transpose(0, 3, 1, 2))
    assert np.array_equal(arrays.train_labels, labels)
    assert arrays.test_images.shape == (5, 3, 32, 32)


@pytest.mark.parametrize("length", [0, 100, 200, 5000, -5])  # the last four bytes are padding
def test_a_truncated_file_is_named(length, tmp_path):
    write_svhn(tmp_path)
    path = tmp_path / TRAIN
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=TRAIN):
        load(tmp_path)


IMAGES, LABELS = np.zeros((32, 32, 3, 4), np.uint8), np.ones((4, 1), np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"X": IMAGES}, "expected X, an array of bytes, and y"),
        ({"X": IMAGES.astype(float), "y": LABELS}, "expected X, an array of bytes"),
        ({"X": IMAGES, "y": "text"}, "y, an array of numbers"),
        ({"X": IMAGES[..., 0], "y": LABELS}, r"X of shape \(32, 32, 3, examples\), found \(32, 32, 3\)"),
        ({"X": IMAGES[1:], "y": LABELS}, r"3, 32, 32\), found \(4, 3, 31, 32\)"),
        ({"X": IMAGES, "y": LABELS[1:]}, "expected 4 labels, found shape"),
        ({"X": IMAGES, "y": LABELS * 11}, "expected labels from 1 to 10, found 11 to 11"),
        ({"X": IMAGES, "y": LABELS * 0}, "expected labels from 1 to 10, found 0 to 0"),
    ],
)
def test_wrong_contents_are_named(content, message, tmp_path):
    write_svhn(tmp_path)
    savemat(tmp_path / TRAIN, content)
    with pytest.raises(UserError, match=rf"{TRAIN}: .*{message}"):
        load(tmp_path)


def test_missing_files_say_how_to_get_them(tmp_path):
    with pytest.raises(UserError, match=r"svhn.*train_32x32\.mat.*train\.download=true"):
        load(tmp_path)
