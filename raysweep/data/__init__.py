"""Image classification datasets as arrays, and resident on a device."""

from raysweep.data.arrays import DATASETS, Arrays, dataset_digest, load_arrays

__all__ = ["DATASETS", "Arrays", "dataset_digest", "load_arrays"]
