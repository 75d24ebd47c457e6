"""The values of a network's units on a batch of examples."""

from collections.abc import Mapping

import torch
from torch import nn

from raysweep.choices import choose
from raysweep.data.resident import unwritten
from raysweep.digest import seed_for
from raysweep.symmetry.listening import Treating, keeping
from raysweep.symmetry.tracing import Place, trace_units
from raysweep.training.answering import evaluating

TENSORS = {
    "first": slice(0, 1),
    "last": slice(-1, None),
    "all": slice(None),
}  # the values of a unit that are recorded


def recorded_values(model: nn.Module, example: torch.Tensor, tensor: str) -> dict[str, tuple[Place, ...]]:
    """Return, by group, the places in the network whose values are recorded. Raises `SpecError`."""
    chosen = choose("tensor", tensor, TENSORS)
    return {group: places[chosen] for group, places in trace_units(model, example).items()}


class Recorder(Treating):
    """Runs a network, in evaluation mode, and keeps the values at some places."""

    def __init__(self, model: nn.Module, places: Mapping[str, tuple[Place, ...]], pixels: int = 1) -> None:
        self._model, self._pixels = model, pixels
        self._places = tuple(dict.fromkeys(place for each in places.values() for place in each))
        self._kept: dict[int, torch.Tensor] = {}
        super().__init__(keeping((place.call for place in self._places), self._kept))

    def values(self, images: torch.Tensor, batch: int) -> dict[Place, torch.Tensor]:
        """Return the values by place, each (examples, units), in the precision of the network.

        A unit that is a channel has several values for an example, at its pixels (or tokens): a few of them
        are taken, which count like examples. Their positions are drawn from the number of the batch and are
        the same in every network.
        """
        with evaluating(self._model), unwritten(images), torch.no_grad(), self:
            self._model(images)
        found = {
            place: _some_pixels(place.units_of(self._kept[place.call]), batch, self._pixels)
            for place in self._places
        }
        self._kept.clear()
        return found


def _some_pixels(values: torch.Tensor, batch: int, pixels: int) -> torch.Tensor:
    """Return (examples * pixels, units) of values (examples, units, ...)."""
    if values.dim() == 2:
        return values
    flat = values.flatten(2)
    if pixels < flat.shape[2]:
        generator = torch.Generator().manual_seed(seed_for("pixels", batch, flat.shape[2]))
        positions = torch.randint(flat.shape[2], (len(flat), 1, pixels), generator=generator)
        positions = positions.to(flat.device, non_blocking=True)
        flat = flat.gather(2, positions.expand(-1, flat.shape[1], -1))
    return flat.movedim(1, 2).flatten(0, 1)
