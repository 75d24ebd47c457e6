"""Datasets for classification, as numpy arrays and as tensors on a device."""

from raysweep.data.arrays import Arrays, dataset_digest
from raysweep.data.config import DataConfig
from raysweep.data.load import load_arrays
from raysweep.data.registry import AUGMENTATIONS, DATASETS, SCALINGS
from raysweep.data.scaling import Scaling, scaling_of

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "SCALINGS",
    "Arrays",
    "DataConfig",
    "Scaling",
    "dataset_digest",
    "load_arrays",
    "scaling_of",
]
