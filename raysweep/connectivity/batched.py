"""Several mixtures in one forward pass, their weights along a batch axis: for small networks and for GPUs.

This works for networks that torch can batch over their weights, and in which no two layers share a weight.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.func import functional_call

from raysweep.connectivity.blend import blend_rows
from raysweep.connectivity.first_layers import FirstLayers, Responses
from raysweep.connectivity.outputs import Keep
from raysweep.data.resident import Split, unwritten
from raysweep.models.flat import FlatNetwork
from raysweep.training.evaluation import sums


def batched_sums(
    network: FlatNetwork,
    first: FirstLayers,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    chunks: Sequence[Split],
    responses: Responses,
    keep: Keep | None,
    points: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the summed cross-entropy (nats, float64) and the wrong answers over the chunks, both (points,).

    Every row of `weights` (points, networks) mixes the `vectors`, and the first layers' `responses`, given by
    chunk, network and layer. `points` rows share a pass; the last pass is filled up with rows that were
    already evaluated, because equal networks have equal risks only in passes of equal size. `keep`, if given,
    gets the logits. The network's own vector is not changed.
    """
    stacked = torch.stack(list(vectors))
    by_layer = [[torch.stack(layer) for layer in zip(*chunk, strict=True)] for chunk in responses]
    loss, wrong = [], []
    for start in range(0, len(weights), points):
        rows = weights.take(range(start, start + points), axis=0, mode="wrap")
        mixed = blend_rows(stacked, rows)
        each = [
            _of_chunk(network, first, mixed, [blend_rows(layer, rows) for layer in layers], chunk)
            for layers, chunk in zip(by_layer, chunks, strict=True)
        ]
        loss.append(torch.stack([a for a, _, _ in each]).sum(0))
        wrong.append(torch.stack([b for _, b, _ in each]).sum(0))
        if keep:
            logits = torch.cat([c for _, _, c in each], dim=1)
            for number in range(start, min(start + points, len(weights))):
                keep(number, 0, logits[number - start])
    return torch.cat(loss)[: len(weights)], torch.cat(wrong)[: len(weights)]


def _of_chunk(
    network: FlatNetwork,
    first: FirstLayers,
    mixed: torch.Tensor,
    answers: Sequence[torch.Tensor],
    chunk: Split,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the summed cross-entropy and the wrong answers, both (points,), and the logits."""

    def of_point(vector: torch.Tensor, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with first.answering(given):
            weights = network.views(vector)
            logits = functional_call(network.model, weights, (chunk.images,), tie_weights=False)
        return *sums(logits, chunk.labels), logits

    with unwritten(chunk.images):
        loss, wrong, logits = torch.vmap(of_point)(mixed, *answers)
    return loss, wrong, logits
