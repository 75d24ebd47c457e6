"""What is known of data sets without their files: their sizes, which do not change."""

from dataclasses import replace

from raysweep.data.config import DataConfig
from raysweep.data.registry import DATASETS, Sizes
from raysweep.data.subset import subset_indices


def known_sizes(config: DataConfig) -> Sizes | None:
    """Return the sizes of a data set with its subset, or None where only its files tell them.

    Raises `UserError` for a subset that the data set is too small for.
    """
    whole = None if DATASETS.is_own(config.dataset) else DATASETS[config.dataset].sizes
    if whole is None:
        return None
    return replace(whole, train_examples=len(subset_indices(config, whole.train_examples)))
