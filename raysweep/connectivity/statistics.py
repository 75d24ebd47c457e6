"""Running statistics of mixed networks, recomputed on training images (REPAIR).

Source: Jordan et al. 2023 (REPAIR, arXiv 2211.08403): the activations of an average of two networks have
smaller variances than those of either, so the average of their running statistics does not fit them.
"""

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from raysweep.data.resident import unwritten
from raysweep.models.measurable import random_inputs

CHUNK = 1000  # images per forward pass; it decides the bits of a result, so it is not an option
PROBES = 4  # random inputs on which to find the buffers that training changes


def has_running_statistics(model: nn.Module) -> bool:
    """Whether a network has batch or instance norms that keep running statistics."""
    return bool(_layers(model))


@torch.no_grad()
def foreign_statistics(model: nn.Module, example: torch.Tensor) -> list[str]:
    """Return the names of floating-point buffers that training changes but `recompute_statistics` does not.

    `example` has a first axis of examples and gives their shape, type and device. The model is not changed.
    """
    network = copy.deepcopy(model).train()
    known = {id(buffer) for layer in _layers(network) for buffer in layer.buffers()}
    buffers = {n: b for n, b in network.named_buffers() if b.is_floating_point() and id(b) not in known}
    before = {name: buffer.clone() for name, buffer in buffers.items()}
    if buffers:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            network(random_inputs(model, example, PROBES))
    return [name for name, old in before.items() if not torch.equal(network.get_buffer(name), old)]


@torch.no_grad()
def recompute_statistics(model: nn.Module, images: torch.Tensor) -> None:
    """Replace all running means and variances by averages over chunks of images, in place.

    `images` has the shape (examples, ...); examples that do not fill a last chunk of `CHUNK` are left out, so
    all chunks weigh the same, unless there are fewer than that. The model is left in evaluation mode.
    """
    layers = _layers(model)
    momenta = [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.train()
    chunks = images.split(CHUNK)
    try:
        for number, chunk in enumerate(chunks[: max(1, len(images) // CHUNK)], start=1):
            for layer in layers:
                layer.momentum = (
                    1 / number
                )  # a cumulative average; instance norm does not understand momentum=None
            with unwritten(images):
                model(chunk)
    finally:  # also after an error such as no memory: the next barrier evaluates the same module
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()


def _layers(model: nn.Module) -> list[_NormBase]:
    return [m for m in model.modules() if isinstance(m, _NormBase) and m.track_running_stats]
