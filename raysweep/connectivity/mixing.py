"""Risks of mixtures of networks, with no more products than they need."""

import math
from collections.abc import Sequence
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
import torch

from raysweep.connectivity.batched import batched_sums
from raysweep.connectivity.first_layers import FirstLayers, Responses
from raysweep.data.resident import Split
from raysweep.models.flat import FlatNetwork
from raysweep.models.mlp import MLP
from raysweep.training.evaluation import Risk, sums

KEPT = 2**26  # bytes of first-layer responses and logits between which the weights need not be mixed again
EXAMPLES = 2000  # at most in a forward pass; of narrow networks, whose every call costs more than its work
CACHED = 2**23  # bytes of a layer's answers that a processor's caches hold while later layers work on them
TOGETHER = 2**22  # bytes of a layer's answers to mixtures that share a pass on a processor
FEW = 12  # mixtures in one pass take as long as one by one, for a batched call costs more than a plain one
PROBES = 16  # examples with which the layers that see the data alone are found
ON_GPU = 2**28  # bytes of one layer's answers on a GPU, where few large calls cost less than many small ones

_KNOWN: WeakKeyDictionary[FlatNetwork, dict[torch.Size, FirstLayers]] = WeakKeyDictionary()


def mix(tensors: Sequence[torch.Tensor], row: np.ndarray, out: torch.Tensor) -> torch.Tensor:
    """Write sum_i row_i tensors_i and return it; of two tensors in one pass, for a row sums to one."""
    if len(tensors) == 2:
        return torch.lerp(tensors[0], tensors[1], float(row[1]), out=out)
    torch.mul(tensors[0], float(row[0]), out=out)
    for tensor, weight in zip(tensors[1:], row[1:], strict=True):
        out.add_(tensor, alpha=float(weight))
    return out


@torch.no_grad()
def mixed_risks(
    network: FlatNetwork,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    split: Split,
    points: int | None = None,
) -> list[Risk]:
    """Return the risk of sum_i w_i vectors_i for every row w of `weights`, which sums to one.

    So many `points` share a forward pass; unless given, as many as suit the device and the network.
    """
    if not len(weights):
        return []
    first = _first_layers(network, split)
    chunk, kept = _sizes(first, split)
    points = points or _points(network, first, split, chunk, len(weights))
    found = _one_by_one if points == 1 else partial(batched_sums, points=points)
    loss = torch.zeros(len(weights), dtype=torch.float64, device=split.images.device)
    wrong = torch.zeros(len(weights), dtype=torch.int64, device=split.images.device)
    for block in _pieces(split, kept):
        chunks = _pieces(block, chunk)
        responses = _responses(network, first, vectors, [each.images for each in chunks])
        more_loss, more_wrong = found(network, first, vectors, weights, chunks, responses)
        loss += more_loss
        wrong += more_wrong
    n = len(split)
    return [Risk(a / n, b / n) for a, b in zip(loss.tolist(), wrong.tolist(), strict=True)]


def _one_by_one(
    network: FlatNetwork,
    first: FirstLayers,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    chunks: Sequence[Split],
    responses: Responses,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed cross-entropy and wrong answers over the chunks, by point."""
    labels = torch.cat([each.labels for each in chunks])
    buffers = [torch.empty_like(response) for response in responses[0][0]]  # the first chunk is full
    found = []
    for row in weights:
        mix(vectors, row, network.vector)
        logits = []
        for each, by_network in zip(chunks, responses, strict=True):
            layers = zip(zip(*by_network, strict=True), buffers, strict=True)
            with first.answering([mix(r, row, out[: len(r[0])]) for r, out in layers]):
                logits.append(network.model(each.images))
        found.append(sums(torch.cat(logits), labels))
    loss, wrong = zip(*found, strict=True)
    return torch.stack(loss), torch.stack(wrong)


def _first_layers(network: FlatNetwork, split: Split) -> FirstLayers:
    """Found once per network and shape of its inputs: for a small network that takes as long as a curve."""
    known = _KNOWN.setdefault(network, {})
    shape = split.images.shape[1:]
    if shape not in known:
        known[shape] = FirstLayers(network, split.images[:PROBES])
    return known[shape]


def _responses(
    network: FlatNetwork, first: FirstLayers, vectors: Sequence[torch.Tensor], chunks: list[torch.Tensor]
) -> Responses:
    inputs = [first.inputs(images) for images in chunks]
    found: list[list[list[torch.Tensor]]] = [[] for _ in chunks]
    for vector in vectors:
        network.vector.copy_(vector)
        for by_network, given in zip(found, inputs, strict=True):
            by_network.append([layer(each) for layer, each in zip(first.layers, given, strict=True)])
    return found


def _sizes(first: FirstLayers, split: Split) -> tuple[int, int]:
    """Return the examples of a forward pass, and those (whole passes) of which responses are kept at once."""
    most, room = (len(split), ON_GPU) if split.images.is_cuda else (EXAMPLES, CACHED)
    chunk = max(1, min(most, room // first.largest_bytes))
    return chunk, max(1, KEPT // (first.response_bytes + first.logit_bytes) // chunk) * chunk


def _points(network: FlatNetwork, first: FirstLayers, split: Split, chunk: int, count: int) -> int:
    """Return how many of `count` mixtures share a pass: as many as have room, or one if that is few."""
    if type(network.model) is not MLP:  # convolutions gain nothing, and a module of a user may not allow it
        return 1
    room = ON_GPU if split.images.is_cuda else TOGETHER
    each = max(min(chunk, len(split)) * first.largest_bytes, network.vector.nbytes)
    passes = math.ceil(count / max(1, room // each))
    points = math.ceil(count / passes)
    return points if points >= FEW else 1


def _pieces(split: Split, examples: int) -> list[Split]:
    pairs = zip(split.images.split(examples), split.labels.split(examples), strict=True)
    return [Split(images, labels) for images, labels in pairs]
