"""What the jobs of one process share: resident data, proved specs and proved paddings."""

from functools import lru_cache

import torch
from torch import nn

from raysweep.alignment import pad, prove_padding
from raysweep.data.config import DataConfig
from raysweep.data.load import load_arrays
from raysweep.data.resident import Resident, make_resident
from raysweep.data.scaling import scaling_of
from raysweep.errors import UserError
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.plan import probes
from raysweep.sweep.fields import NO_OPTIONS, Arguments
from raysweep.sweep.train import Training
from raysweep.symmetry import Permutation, PermutationSpec, prove
from raysweep.work.cuda_driver import why_no_cuda
from raysweep.work.device import free_memory

State = dict[str, torch.Tensor]
RESIDENT_PART = 0.5
EXAMPLES = 2  # images in the batch with which a network is traced and its spec is proved


def trained_on(
    training: Training, config: DataConfig, data_root: str | None, download: bool, device: str = "cpu"
) -> Resident:
    """Load a data set as the networks of a configuration get it; see `resident`."""
    return resident(config, data_root, download, training.scaling, device, training.scaling_options)


@lru_cache(maxsize=2)
def resident(
    config: DataConfig,
    data_root: str | None,
    download: bool,
    scaling: str,
    device: str = "cpu",
    options: Arguments = NO_OPTIONS,
) -> Resident:
    """Load a data set onto a device, once per process; a subset is scaled like the whole data set.

    Training examples that would take more than `RESIDENT_PART` of a GPU's free memory stay on the host.
    Raises `UserError` for missing or malformed files, and for a CUDA device that this process does not have
    or cannot use.
    """
    if device == "cuda" and not torch.cuda.is_available():
        reason = why_no_cuda() or "this worker has no CUDA device; see the resources in the sweep file"
        raise UserError(f"device = cuda: {reason}")
    whole = load_arrays(config.whole(), data_root, download)
    arrays = load_arrays(config, data_root, download)
    inputs = 4 * arrays.train_images.size  # bytes as float32
    streams = device == "cuda" and inputs > RESIDENT_PART * free_memory(device)
    return make_resident(arrays, torch.device(device), scaling_of(whole, scaling, options), streams)


def model_config(training: Training, data: Resident) -> ModelConfig:
    """Return the architecture of a trial for the images and classes of its data set."""
    return probes.model_config(training, tuple(data.test.images.shape[1:]), data.classes)


def pad_to(wide: ModelConfig, narrow: ModelConfig, state: State) -> State:
    """Return a narrow network's state, padded to the shapes of a wide one. Raises `SpecError`."""
    prove_padding_to(wide, narrow)
    return pad(proved_spec(narrow), proved_spec(wide), state, _shapes(wide))


@lru_cache(maxsize=64)
def prove_padding_to(wide: ModelConfig, narrow: ModelConfig) -> None:
    """Prove, once per process, that padding does not change the function. Raises `SpecError` if it does."""
    specs = (proved_spec(narrow), proved_spec(wide))
    prove_padding(specs, (build(narrow), build(wide)), torch.zeros(EXAMPLES, *wide.shape))


@lru_cache(maxsize=8)
def _shapes(config: ModelConfig) -> State:
    return build(config).state_dict()


@lru_cache(maxsize=8)
def architecture(config: ModelConfig) -> nn.Module:
    """Return a module of an architecture, the same at each call, whose weights are of no account."""
    return build(config)


@lru_cache(maxsize=64)
def proved_spec(config: ModelConfig) -> PermutationSpec:
    """Trace an architecture and prove its symmetries, once per process. Raises `SpecError`."""
    model, example = build(config), torch.zeros(EXAMPLES, *config.shape)
    spec = PermutationSpec.trace(model, example, proved=False)
    prove(spec, model, example)  # `trace` would warn of a network without units to move, as the plan does
    return spec


@lru_cache(maxsize=8)
def scaled_spec(config: ModelConfig) -> PermutationSpec:
    """Find, besides, the scales and signs of units, once per process. Raises `SpecError`."""
    return proved_spec(config).with_scalings(build(config), torch.zeros(EXAMPLES, *config.shape))


@lru_cache(maxsize=8)
def rotated_spec(config: ModelConfig) -> PermutationSpec:
    """Find, besides, the rotations of units, once per process. Raises `SpecError`."""
    return proved_spec(config).with_rotations(build(config), torch.zeros(EXAMPLES, *config.shape))


def spec_of(config: ModelConfig, *permutations: Permutation) -> PermutationSpec:
    """Return a spec that applies permutations, with their scales and signs, or rotations, if any.

    Raises `SpecError`.
    """
    if any(permutation.rotations for permutation in permutations):
        return rotated_spec(config)
    scaled = any(permutation.factors for permutation in permutations)
    return scaled_spec(config) if scaled else proved_spec(config)
