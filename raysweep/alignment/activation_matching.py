"""Activation matching: units are matched by what they compute on the same examples.

Source: Li et al. 2015 (convergent learning), Ainsworth et al. 2023, section 3.1. Each group is one assignment
problem of its own, so nothing is iterated. Examples stream by in batches and only products of pairs of units
are kept, so memory does not grow with the examples; a network is run once however many pairs it is in.
"""

from collections.abc import Sequence

import torch
from torch import nn

from raysweep.alignment.activations import TENSORS, Recorder, recorded_values
from raysweep.alignment.ascent import assignment
from raysweep.alignment.unit_products import SIMILARITIES, UnitProducts, UnitSums, similarities
from raysweep.alignment.weight_matching import Alignment
from raysweep.symmetry import Permutation

CHUNK = 500  # images per forward pass; it decides the bits of a result, so it is not an option


def activation_matching(
    target: nn.Module,
    source: nn.Module,
    images: torch.Tensor,
    tensor: str = "last",
    similarity: str = "correlation",
) -> Alignment:
    """Find P that maximises the summed similarity of the matched units of two networks.

    See `match_activations`.
    """
    return match_activations([target, source], images, [(0, 1)], tensor, similarity)[0]


def match_activations(
    models: Sequence[nn.Module],
    images: torch.Tensor,
    pairs: Sequence[tuple[int, int]],
    tensor: str = "last",
    similarity: str = "correlation",
) -> list[Alignment]:
    """Align pairs (target, source) of networks of one architecture by their units' values on images.

    `images` has the shape (examples, channels, height, width). `tensor` says which of the values along whose
    axis 1 the units lie are taken: the `first` (before norm and nonlinearity), the `last`, or `all`, whose
    similarities are added. `similarity` of two units: their `inner_product`, their `correlation`, or the
    `cosine` between them (a unit without spread or length is similar to nothing). The objective is the sum
    over the matched units. A result does not depend on which other pairs are asked for. Raises
    `ValueError` for other names, `SpecError` for a network that is not understood.
    """
    for kind, name, valid in (("tensor", tensor, TENSORS), ("similarity", similarity, SIMILARITIES)):
        if name not in valid:
            raise ValueError(f"unknown {kind} {name!r}; valid: {', '.join(valid)}")
    nodes = recorded_values(models[0], images[:2], tensor)
    recorders = [Recorder(model, nodes) for model in models]
    sums = [UnitSums(centred=similarity == "correlation") for _ in models]
    products = [UnitProducts() for _ in pairs]
    with torch.no_grad():
        for number, chunk in enumerate(images.split(CHUNK)):
            values = [
                each.add(recorder.values(chunk, number))
                for each, recorder in zip(sums, recorders, strict=True)
            ]
            for product, (target, source) in zip(products, pairs, strict=True):
                product.add(values[target], values[source])
    return [
        _matched(similarities(product, sums[target], sums[source], similarity), nodes)
        for product, (target, source) in zip(products, pairs, strict=True)
    ]


def _matched(matrices: dict[str, torch.Tensor], nodes: dict[str, tuple[str, ...]]) -> Alignment:
    """Solve every group for the sum of the similarities at its nodes."""
    indices: dict[str, torch.Tensor] = {}
    reached = identity = 0.0
    for group, names in nodes.items():
        matrix = torch.stack([matrices[name] for name in names]).sum(dim=0).cpu()
        indices[group] = assignment(matrix)
        reached += matrix.gather(1, indices[group][:, None]).sum().item()
        identity += matrix.trace().item()
    return Alignment(Permutation(indices), reached, identity, len(indices))
