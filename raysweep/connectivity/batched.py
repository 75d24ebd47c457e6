"""Mixtures that share a forward pass, their weights along a batch axis: for small networks and for GPUs.

Only for networks that torch can batch over their weights, and in which no two layers share a weight.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.func import functional_call

from raysweep.connectivity.first_layers import FirstLayers, Responses
from raysweep.data.resident import Split
from raysweep.models.flat import FlatNetwork
from raysweep.training.evaluation import sums


def batched_sums(
    network: FlatNetwork,
    first: FirstLayers,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    chunks: Sequence[Split],
    responses: Responses,
    points: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the summed cross-entropy (nats, float64) and the wrong answers over the chunks, both (points,).

    Every row of `weights` (points, networks) mixes the `vectors`, and the first layers' `responses`, given by
    chunk, network and layer; `points` rows share a pass. The network's own vector is left alone.
    """
    stacked = torch.stack(list(vectors))
    by_layer = [[torch.stack(layer) for layer in zip(*chunk, strict=True)] for chunk in responses]
    loss, wrong = [], []
    for rows in torch.from_numpy(weights).to(stacked).split(points):
        mixed = torch.tensordot(rows, stacked, 1)
        each = [
            _of_chunk(network, first, mixed, [torch.tensordot(rows, layer, 1) for layer in layers], chunk)
            for layers, chunk in zip(by_layer, chunks, strict=True)
        ]
        loss.append(torch.stack([a for a, _ in each]).sum(0))
        wrong.append(torch.stack([b for _, b in each]).sum(0))
    return torch.cat(loss), torch.cat(wrong)


def _of_chunk(
    network: FlatNetwork,
    first: FirstLayers,
    mixed: torch.Tensor,
    answers: Sequence[torch.Tensor],
    chunk: Split,
) -> tuple[torch.Tensor, torch.Tensor]:
    def of_point(vector: torch.Tensor, *given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with first.answering(given):
            weights = network.views(vector)
            logits = functional_call(network.model, weights, (chunk.images,), tie_weights=False)
        return sums(logits, chunk.labels)

    loss, wrong = torch.vmap(of_point)(mixed, *answers)
    return loss, wrong
