"""Activation matching: units are matched by what they compute on the same examples.

Source: Li et al. 2015 (convergent learning), Ainsworth et al. 2023, section 3.1. Each group is one assignment
problem of its own, so nothing is iterated; each network's activations are collected once, however many
pairs it is in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import fx, nn

from raysweep.alignment.weight_matching import Alignment
from raysweep.digest import seed_for
from raysweep.symmetry import Permutation
from raysweep.symmetry.tracing import trace_units, traced_graph

TENSORS = ("first", "last")
SIMILARITIES = ("inner_product", "correlation", "cosine")
CHUNK = 500  # images per forward pass; it decides the bits of a result, so it is not an option


@dataclass(frozen=True)
class Activations:
    """`samples[group]` has the shape (samples, units): the values of the group's units on each example.

    Of a unit that is a channel one pixel per example is kept, at places drawn from the example's number, the
    same in every network.
    """

    samples: Mapping[str, torch.Tensor]


def collect_activations(model: nn.Module, images: torch.Tensor, tensor: str) -> Activations:
    """Run a network (in evaluation mode) once over images of shape (examples, channels, height, width).

    `tensor` says which of the values along whose axis 1 the units lie is taken: the `first` (before norm and
    nonlinearity) or the `last`. Raises `ValueError` for another one, `SpecError` for a network that is not
    understood.
    """
    if tensor not in TENSORS:
        raise ValueError(f"unknown tensor {tensor!r}; valid: {', '.join(TENSORS)}")
    nodes = trace_units(model, images[:2])
    chosen = {names[0 if tensor == "first" else -1]: group for group, names in nodes.items()}
    recorder = _Recorder(model.eval(), traced_graph(model), set(chosen))
    parts: dict[str, list[torch.Tensor]] = {group: [] for group in chosen.values()}
    with torch.no_grad():
        for number, chunk in enumerate(images.split(CHUNK)):
            recorder.run(chunk)
            for name, group in chosen.items():
                parts[group].append(_one_pixel(recorder.kept[name], number))
    return Activations({group: torch.cat(samples) for group, samples in parts.items()})


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps the values of some nodes."""

    def __init__(self, model: nn.Module, graph: fx.Graph, names: set[str]) -> None:
        super().__init__(model, graph=graph)
        self._names = names
        self.kept: dict[str, torch.Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.name in self._names:
            self.kept[n.name] = result.clone()  # a later operation may work in place
        return result


def _one_pixel(values: torch.Tensor, chunk: int) -> torch.Tensor:
    """Return (examples, units) of values (examples, units, ...)."""
    if values.dim() == 2:
        return values
    flat = values.flatten(2)
    generator = torch.Generator().manual_seed(seed_for("pixels", chunk, flat.shape[2]))
    places = torch.randint(flat.shape[2], (len(flat), 1, 1), generator=generator).to(flat.device)
    return flat.gather(2, places.expand(-1, flat.shape[1], 1)).squeeze(2)


def activation_matching(target: Activations, source: Activations, similarity: str) -> Alignment:
    """Find P that maximises the summed similarity of the matched units, group by group.

    `similarity` of two units' values on the samples: their `inner_product`, their `correlation`, or the
    `cosine` between them (a unit without spread or length is similar to nothing). The objective is the sum.
    Raises `ValueError` for another one.
    """
    if similarity not in SIMILARITIES:
        raise ValueError(f"unknown similarity {similarity!r}; valid: {', '.join(SIMILARITIES)}")
    indices: dict[str, torch.Tensor] = {}
    reached = identity = 0.0
    for group, values in target.samples.items():
        matrix = _similarities(values, source.samples[group], similarity)
        rows, columns = linear_sum_assignment(matrix.cpu().numpy(), maximize=True)
        indices[group] = torch.from_numpy(columns)
        reached += matrix[torch.from_numpy(rows), indices[group]].sum().item()
        identity += matrix.trace().item()
    return Alignment(Permutation(indices), reached, identity, len(indices))


def _similarities(one: torch.Tensor, other: torch.Tensor, similarity: str) -> torch.Tensor:
    """Return S with S[i, j] the similarity of unit i of the target and unit j of the source, float64."""
    left, right = one.double(), other.double()
    if similarity == "correlation":
        left, right = left - left.mean(dim=0), right - right.mean(dim=0)
    if similarity != "inner_product":
        left, right = _unit_length(left), _unit_length(right)
    return left.T @ right


def _unit_length(values: torch.Tensor) -> torch.Tensor:
    length = values.norm(dim=0)
    return torch.where(length > 0, values / length.clamp_min(torch.finfo(values.dtype).tiny), 0.0)
