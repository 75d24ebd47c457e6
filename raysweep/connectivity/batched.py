"""Mixtures that share a forward pass, their weights along a batch axis: a GPU likes few and large calls."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from raysweep.connectivity.first_layers import FirstLayers
from raysweep.data.resident import Split
from raysweep.models.flat import FlatNetwork
from raysweep.models.mlp import MLP
from raysweep.training.evaluation import sums

PERCEPTRON = (MLP, nn.Sequential, nn.Flatten, nn.Identity, nn.ReLU, nn.Linear, nn.LayerNorm, nn.BatchNorm1d)


def is_perceptron(model: nn.Module) -> bool:
    """Whether the products of a network are of matrices alone, which torch batches over weights too.

    Convolutions would become grouped ones, and a module of a user may not allow for it.
    """
    return all(type(module) in PERCEPTRON for module in model.modules())


def batched_sums(
    network: FlatNetwork,
    first: FirstLayers,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    chunks: Sequence[Split],
    responses: Sequence[Sequence[Sequence[torch.Tensor]]],
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
            logits = functional_call(network.model, network.views(vector), (chunk.images,))
        return sums(logits, chunk.labels)

    loss, wrong = torch.vmap(of_point)(mixed, *answers)
    return loss, wrong
