import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from raysweep.data.given import examples_of, images_of

IMAGES, LABELS = torch.arange(20.0).view(10, 2), torch.arange(10) % 3


def loader():
    return DataLoader(TensorDataset(IMAGES, LABELS), batch_size=4)


@pytest.mark.parametrize("given", [IMAGES, loader(), IMAGES.split(3), [(each,) for each in IMAGES.split(6)]])
def test_images_come_as_a_tensor_or_in_batches(given):
    assert torch.equal(images_of(given), IMAGES)


@pytest.mark.parametrize(
    "given",
    [
        (IMAGES, LABELS),
        ((IMAGES, LABELS), None),
        (loader(), None),
        (iter(loader()), None),
        (IMAGES.split(5), LABELS),
        (IMAGES, LABELS.int()),
    ],
)
def test_examples_come_as_tensors_or_as_a_loader(given):
    split = examples_of(*given)
    assert torch.equal(split.images, IMAGES)
    assert torch.equal(split.labels, LABELS)
    assert split.labels.dtype == torch.int64


def test_each_token_of_a_sequence_has_a_label():
    following = LABELS[:, None].expand(10, 2)
    split = examples_of(DataLoader(TensorDataset(IMAGES.long(), following), batch_size=4), None)
    assert torch.equal(split.labels, following)
    assert torch.equal(examples_of(IMAGES.long(), following).labels, following)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ((IMAGES, None), TypeError, "or batches (images, labels), not images without labels"),
        ((IMAGES.split(5), None), TypeError, "or batches (images, labels), not images without labels"),
        ((IMAGES.numpy(), LABELS), TypeError, "not batches of a value of type ndarray"),
        ((3, LABELS), TypeError, "images: expected a tensor with a first axis of examples, or batches"),
        (
            (IMAGES, [0, 1]),
            TypeError,
            "labels: expected a tensor (examples, ...), or batches (images, labels), not a value of type l",
        ),
        ((IMAGES, LABELS.float()), TypeError, "labels: expected integers (examples, ...), not float32 (10,)"),
        ((IMAGES, LABELS[0]), TypeError, "labels: expected integers (examples, ...), not int64 ()"),
        ((IMAGES, LABELS[:4]), ValueError, "10 images, but 4 labels"),
        (
            (loader(), LABELS),
            ValueError,
            "labels: the batches have labels of their own; give these or labels",
        ),
        (((IMAGES, LABELS), LABELS), ValueError, "labels: the batches have labels of their own"),
        (([], None), ValueError, "images: there is no batch; an iterator can be read only once"),
    ],
)
def test_what_is_none_of_these_is_told_what_is_expected(given, error, said):
    with pytest.raises(error) as caught:
        examples_of(*given)
    assert said in str(caught.value)
