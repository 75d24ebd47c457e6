"""The values of a network's units on a batch of examples."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn

from raysweep.choices import choose
from raysweep.data.resident import unwritten
from raysweep.digest import seed_for
from raysweep.symmetry.tracing import trace_units, traced_graph

TENSORS = {
    "first": slice(0, 1),
    "last": slice(-1, None),
    "all": slice(None),
}  # the values of a unit that are recorded


def recorded_values(model: nn.Module, example: torch.Tensor, tensor: str) -> dict[str, tuple[str, ...]]:
    """Return, by group, the nodes of the traced graph whose values are recorded. Raises `SpecError`."""
    chosen = choose("tensor", tensor, TENSORS)
    return {group: names[chosen] for group, names in trace_units(model, example).items()}


class Recorder(fx.Interpreter):
    """Runs a network, in evaluation mode, and keeps the values of some nodes."""

    def __init__(self, model: nn.Module, nodes: Mapping[str, tuple[str, ...]], pixels: int = 1) -> None:
        with _evaluating(model):
            super().__init__(model, graph=traced_graph(model))
        self._pixels = pixels
        self._names = {name for names in nodes.values() for name in names}
        self._kept: dict[str, torch.Tensor] = {}

    def values(self, images: torch.Tensor, batch: int) -> dict[str, torch.Tensor]:
        """Return the values by node, each (examples, units), in the precision of the network.

        For a unit that is a channel, a few pixels of each example are taken, which count like examples. Their
        positions are drawn from the number of the batch and are the same in every network.
        """
        with _evaluating(self.module), unwritten(images):
            self.run(images)
        found = {name: _some_pixels(v, batch, self._pixels) for name, v in self._kept.items()}
        self._kept.clear()
        return found

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.name in self._names:
            self._kept[n.name] = result.clone()  # a later operation may work in place
        return result


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Within the context a network is in evaluation mode; after it every module is as it was."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


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
