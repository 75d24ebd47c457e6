"""What a user's function returns becomes arrays, or one message that says what is wrong."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from raysweep.data import Arrays
from raysweep.data.returned import arrays_of
from raysweep.errors import UserError

X = np.arange(24.0).reshape(6, 4)
Y = [0, 1, 2, 0, 1, 2]
PAIRS = TensorDataset(torch.from_numpy(X), torch.tensor(Y))


@pytest.mark.parametrize(
    "given",
    [
        (X, Y, X, Y),
        [X.tolist(), np.array(Y, np.uint8), torch.from_numpy(X), torch.tensor(Y)],
        ((X, Y), (X, Y)),
        (PAIRS, PAIRS),
        (list(zip(X, Y, strict=True)), PAIRS),
        Arrays(X, np.array(Y), X, np.array(Y), 3),
    ],
    ids=["arrays", "lists and tensors", "pairs", "datasets", "items", "Arrays"],
)
def test_every_form_gives_the_same_arrays(given):
    found = arrays_of("mine", given)
    assert found.classes == 3
    assert found.shape == (4,)
    for inputs, labels in (
        (found.train_images, found.train_labels),
        (found.test_images, found.test_labels),
    ):
        assert (inputs.dtype, labels.dtype) == (np.float32, np.int64)
        assert np.array_equal(inputs, X)
        assert labels.tolist() == Y
        assert inputs.flags.c_contiguous
        assert inputs.flags.writeable


def test_bytes_stay_bytes_and_pictures_become_bytes():
    grey = [(Image.new("L", (3, 2), 7 * label), label) for label in Y]
    found = arrays_of("mine", (grey, grey))
    assert found.train_images.dtype == np.uint8
    assert found.shape == (1, 2, 3)
    assert found.train_images[4].tolist() == [[[7, 7, 7], [7, 7, 7]]]
    colour = [(Image.new("RGB", (3, 2), (1, 2, 3)), label) for label in Y]
    assert arrays_of("mine", (colour, colour)).train_images[0, :, 0, 0].tolist() == [1, 2, 3]


def test_arrays_may_lack_classes():
    assert arrays_of("mine", Arrays(X, np.array(Y), X, np.array(Y), 10)).classes == 10


NAN = np.where(X == 5, np.nan, X)
RAGGED = [(np.zeros(3), 0), (np.zeros(4), 0)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "returns NoneType; expected four arrays"),
        ((X, Y, X), "returns tuple of 3; expected four arrays"),
        ((PAIRS, 1), "its test set is int; expected"),
        ((X, np.array(Y)), "its train set is ndarray; expected four arrays"),
        (([3, 4], PAIRS), "example 0 of its train set is not a pair"),
        ((RAGGED, PAIRS), r"its train inputs have several shapes, such as \(3,\) and \(4,\)"),
        ((X, Y, X[:, :2], Y), r"train inputs have the shape \(4,\), but the test inputs \(2,\)"),
        ((X, Y, X.astype(np.uint8), Y), "train inputs are float32, but the test inputs uint8"),
        ((X[:0], [], X, Y), r"train inputs have the shape \(0, 4\); .* at least one example"),
        ((X[:, 0], Y, X, Y), r"train inputs have the shape \(6,\)"),
        ((NAN, Y, X, Y), "train inputs have values that are not finite"),
        ((X * 1e300, Y, X, Y), "train inputs have values that are not finite as float32"),
        ((X.astype(str), Y, X, Y), "its train inputs are <U32; expected numbers"),
        (([[1], [1, 2]], Y, X, Y), "train inputs are not an array"),
        ((X, Y[:5], X, Y), r"train labels have the shape \(5,\); expected \(6,\)"),
        ((X, np.eye(6), X, Y), r"train labels have the shape \(6, 6\)"),
        ((X, np.array(Y) * 1.0, X, Y), "train labels are float64; expected whole numbers"),
        ((X, Y, X, [-1, *Y[1:]]), "a test label is -1; expected whole numbers from 0"),
        ((X, [0, 2, 4] * 2, X, Y), "no train label is 1, but one is 4; number the classes"),
        ((X, Y, X, [3, *Y[1:]]), "a label is 3, but there are 3 classes"),
    ],
)
def test_what_is_wrong_is_said(given, said):
    with pytest.raises(UserError, match=f"^mine(:)? .*{said}|^mine {said}"):
        arrays_of("mine", given)
