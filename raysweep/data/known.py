"""What is known of data sets without their files: their sizes, which do not change."""

from dataclasses import dataclass

from raysweep.data.config import DataConfig
from raysweep.data.subset import subset_indices


@dataclass(frozen=True)
class Sizes:
    """Numbers of examples and classes, and the shape (channels, height, width) of an image."""

    train_examples: int
    test_examples: int
    shape: tuple[int, int, int]
    classes: int


KNOWN = {
    "mnist": Sizes(60_000, 10_000, (1, 28, 28), 10),
    "fashion_mnist": Sizes(60_000, 10_000, (1, 28, 28), 10),
    "cifar10": Sizes(50_000, 10_000, (3, 32, 32), 10),
    "cifar100": Sizes(50_000, 10_000, (3, 32, 32), 100),
    "svhn": Sizes(73_257, 26_032, (3, 32, 32), 10),
}


def known_sizes(config: DataConfig) -> Sizes | None:
    """Return the sizes of a data set with its subset, or None where only its files tell them.

    Raises `UserError` for a subset that the data set is too small for.
    """
    whole = KNOWN.get(config.dataset)
    if whole is None:
        return None
    kept = len(subset_indices(config, whole.train_examples))
    return Sizes(kept, whole.test_examples, whole.shape, whole.classes)
