"""REPAIR for any network: hidden units of a mixture get the mean and spread that those of its networks have.

Source: Jordan et al. 2023 (REPAIR, arXiv 2211.08403), whose rescaling layers these are: one behind every
linear layer, convolution and product with weights that computes hidden units, before norm and nonlinearity.
On a chunk of images a layer corrects its units before the next layer reads them, as BatchNorm does in
training; afterwards it keeps the correction that the averages over all chunks give. The target of a unit is
the interpolated mean and the interpolated standard deviation of the networks on the same images. As for
running statistics, images that do not fill a last chunk are left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from raysweep.connectivity.blend import blend
from raysweep.connectivity.statistics import CHUNK
from raysweep.data.resident import unwritten
from raysweep.models.flat import FlatNetwork
from raysweep.symmetry.listening import Treating
from raysweep.symmetry.tracing import HiddenLayer, trace_hidden_layers

CONSTANT = 1e-6  # a standard deviation below this is that of a constant with rounding; nothing divides by it
Treatment = Callable[[torch.Tensor], torch.Tensor]

_RESCALED: WeakKeyDictionary[FlatNetwork, "Rescaled"] = WeakKeyDictionary()


class Moments:
    """The mean and standard deviation of a layer's units over each chunk of examples; each pixel counts."""

    def __init__(self, chunks: Sequence[torch.Tensor] = ()) -> None:
        self.chunks = list(chunks)  # each (2, units): the means and the standard deviations

    def add(self, values: torch.Tensor) -> torch.Tensor:
        """Add the moments of a chunk, whose values (..., units) are returned as they are."""
        variance, mean = torch.var_mean(values.float().flatten(0, -2), dim=0, correction=0)
        self.chunks.append(torch.stack([mean, variance.sqrt()]))
        return values

    def average(self) -> torch.Tensor:
        """Return the averages over the chunks, (2, units)."""
        return torch.stack(self.chunks).mean(dim=0)


@dataclass(frozen=True)
class Correction:
    """What is done to the units of a layer: values (..., units) are scaled and shifted, both (units,)."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        return (values * self.scale + self.shift).to(values.dtype)


class Rescaled:
    """A network with a rescaling layer behind every layer of hidden units; it shares the network's tensors.

    `module` computes what the network computes, until `fit` corrects its units and after `reset`. Raises
    `SpecError` for a network that is not understood, and for one whose hidden units no such layer computes.
    """

    def __init__(self, network: nn.Module, example: torch.Tensor) -> None:
        self._hidden = trace_hidden_layers(network, example)
        self._layers = [_Layer(hidden.place.axis) for hidden in self._hidden]
        calls = (hidden.place.call for hidden in self._hidden)
        self.module = RescaledNetwork(network, dict(zip(calls, self._layers, strict=True))).eval()

    def reset(self) -> None:
        """Correct nothing."""
        for layer in self._layers:
            layer.treat = None

    def measured(self, images: torch.Tensor) -> list[Moments]:
        """Return the moments of the units as they are, by layer."""
        found = [Moments() for _ in self._layers]
        for layer, moments in zip(self._layers, found, strict=True):
            layer.treat = moments.add
        self._run(images)
        self.reset()
        return found

    def fit(self, targets: Sequence[Moments], images: torch.Tensor) -> None:
        """Correct the units so that their moments on these images are the targets, which are given by layer.

        Where the moments are the targets already, bit for bit, nothing changes.
        """
        own = [Moments() for _ in self._layers]
        for layer, moments, target in zip(self._layers, own, targets, strict=True):
            layer.treat = _fitting(moments, target)
        self._run(images)
        for layer, moments, target in zip(self._layers, own, targets, strict=True):
            layer.treat = _correction(moments.average(), target.average())

    def corrections(self) -> dict[HiddenLayer, Correction]:
        """Return what is corrected, by layer of the network."""
        layers = zip(self._hidden, self._layers, strict=True)
        return {hidden: layer.treat for hidden, layer in layers if isinstance(layer.treat, Correction)}

    def _run(self, images: torch.Tensor) -> None:
        chunks = images.split(CHUNK)
        for chunk in chunks[: max(1, len(images) // CHUNK)]:  # so that all chunks weigh the same
            with unwritten(images):
                self.module(chunk)


class _Layer(nn.Module):
    """Treats values whose units lie along an axis; without a treatment it returns them as they are."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self._axis = axis
        self.treat: Treatment | None = None

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if self.treat is None:
            return values
        return self.treat(values.movedim(self._axis, -1)).movedim(-1, self._axis)


class RescaledNetwork(nn.Module):
    """A network, the results of some of whose calls go through layers; `notes` get results too."""

    def __init__(self, network: nn.Module, layers: Mapping[int, _Layer]) -> None:
        super().__init__()
        self.network, self._layers = network, layers
        self.notes: Mapping[int, Callable[[torch.Tensor], torch.Tensor]] = {}
        for number, layer in enumerate(layers.values()):
            self.add_module(f"rescale_{number}", layer)

    def forward(self, images: torch.Tensor) -> Any:
        with Treating({call: self._treatment(call) for call in self._layers.keys() | self.notes.keys()}):
            return self.network(images)

    def _treatment(self, call: int) -> Callable[[torch.Tensor], torch.Tensor]:
        layer, note = self._layers.get(call, _same), self.notes.get(call, _same)
        return lambda result: note(layer(result))


def _same(result: torch.Tensor) -> torch.Tensor:
    return result


def rescaled(network: FlatNetwork, example: torch.Tensor) -> Rescaled:
    """Return the network with rescaling layers, which are made when they are first asked for."""
    if network not in _RESCALED:
        _RESCALED[network] = Rescaled(network.model, example)
    return _RESCALED[network]


def interpolated(moments: Sequence[Sequence[Moments]], parts: np.ndarray) -> list[Moments]:
    """Return the targets of a mixture by layer; `moments` are those of its networks, by network and layer.

    `parts` (networks,) are the `shares` of their weights.
    """
    return [
        Moments(
            [
                blend(chunks, parts, torch.empty_like(chunks[0]))
                for chunks in zip(*(each.chunks for each in of_layer), strict=True)
            ]
        )
        for of_layer in zip(*moments, strict=True)
    ]


def _correction(own: torch.Tensor, target: torch.Tensor) -> Correction:
    """Return what gives units with the moments `own` those of `target`, both (2, units)."""
    scale = torch.where(own[1] > CONSTANT, target[1] / own[1], 1.0)
    return Correction(scale, target[0] - scale * own[0])


def _fitting(own: Moments, target: Moments) -> Treatment:
    def fitted(values: torch.Tensor) -> torch.Tensor:
        own.add(values)
        chunk = len(own.chunks) - 1
        return _correction(own.chunks[chunk], target.chunks[chunk])(values)

    return fitted
