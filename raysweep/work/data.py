"""What units of work share within one process: resident data and proved specs."""

from functools import lru_cache

import torch

from raysweep.data.arrays import load_arrays
from raysweep.data.resident import Resident, make_resident
from raysweep.errors import UserError
from raysweep.models.build import ModelConfig, build
from raysweep.sweep.schema import Training
from raysweep.symmetry import PermutationSpec, prove

EXAMPLES = 2  # images in the batch on which a network is traced and its spec proved


@lru_cache(maxsize=2)
def resident(dataset: str, data_root: str | None, download: bool, split_seed: int, device: str) -> Resident:
    """Load a data set onto the device once per process."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("train.device = 'cuda': this worker has no CUDA device; set resources.trial.gpu")
    return make_resident(load_arrays(dataset, data_root, download, split_seed), torch.device(device))


def model_config(training: Training, data: Resident, classes: int) -> ModelConfig:
    channels, height, width = data.train.images.shape[1:]
    shape = (channels, height, width)
    return ModelConfig(training.model, training.width, training.depth, training.norm, shape, classes)


@lru_cache(maxsize=64)
def proved_spec(config: ModelConfig) -> PermutationSpec:
    """Trace an architecture and prove its symmetries once per process. Raises `SpecError`."""
    model = build(config)
    example = torch.zeros(EXAMPLES, *config.shape)
    spec = PermutationSpec.trace(model, example)
    prove(spec, model, example)
    return spec
