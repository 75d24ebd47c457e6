"""Risks of mixtures of networks, without computing any product twice."""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
import torch

from raysweep.connectivity.batched import batched_sums
from raysweep.connectivity.blend import blend, shares
from raysweep.connectivity.first_layers import FirstLayers, Responses
from raysweep.connectivity.mixtures import Mixtures
from raysweep.connectivity.outputs import Keep, Outputs
from raysweep.connectivity.streaming import streamed_risks, streams
from raysweep.data.resident import Split, unwritten
from raysweep.models.flat import FlatNetwork
from raysweep.models.mlp import MLP
from raysweep.training.evaluation import Risk, sums
from raysweep.vocabulary import Precision

KEPT = 2**26  # bytes of first-layer responses and logits that are kept, so that weights are mixed less often
EXAMPLES = 2000  # at most in a forward pass; in narrow networks a call costs more than its arithmetic
CACHED = 2**23  # bytes of a layer's output that stay in a processor's caches for the next layer
TOGETHER = 2**22  # bytes of a layer's output for the mixtures that share a pass on a processor
FEW = 12  # fewer mixtures than this are not faster in one pass: a batched call costs more than a plain one
PROBES = 16  # examples on which a shortcut must agree with a plain forward pass
AGREE = 1e-3  # tolerance of that, relative to the loss; rounding changes it by a hundredth of this
ON_GPU = 2**28  # bytes of a layer's output on a GPU, where few large calls cost less than many small ones

_QUICKER: WeakKeyDictionary[FlatNetwork, dict[object, int]] = WeakKeyDictionary()
_KNOWN: WeakKeyDictionary[FlatNetwork, dict[object, FirstLayers]] = WeakKeyDictionary()


@torch.no_grad()
def mixed_risks(
    network: FlatNetwork,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    split: Split,
    points: int | None = None,
    keep: Keep | None = None,
) -> list[Risk]:
    """Return the risk of sum_i w_i vectors_i for every row w of `weights`, which sums to one.

    `weights` has the shape (points, networks). `points` mixtures share a forward pass, in float32; unless it
    is given, as many as suit the device and the network, on a processor none where that is quicker with the
    same bits, and large networks on a GPU are streamed (see `streamed_risks`). Integers and masks keep the
    values that the network holds. `keep`, if given, gets the logits. Raises `ImagesWritten` for a network
    that writes to its input.
    """
    if not len(weights):
        return []
    if points is None and streams_mixtures(network, split):
        return streamed_risks(network, Mixtures(network, vectors), weights, split, keep)
    first, together = _way(network, vectors, weights, split, points)
    chunk, kept = _sizes(first, split)
    if together > 1 and points is None and not split.images.is_cuda:
        together = _quicker(network, first, vectors, weights, split, together)
    loss = torch.zeros(len(weights), dtype=torch.float64, device=split.images.device)
    wrong = torch.zeros(len(weights), dtype=torch.int64, device=split.images.device)
    for number, block in enumerate(_pieces(split, kept)):
        pieces, keep_block = _pieces(block, chunk), keep and _from(number * kept, keep)
        more_loss, more_wrong = _sums(network, first, vectors, weights, pieces, together, keep_block)
        loss += more_loss
        wrong += more_wrong
    n = split.labels.numel()
    return [Risk(a / n, b / n) for a, b in zip(loss.tolist(), wrong.tolist(), strict=True)]


@torch.no_grad()
def risks_with_ends(
    network: FlatNetwork,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    split: Split,
    end: Callable[[int], Risk] | None = None,
    outputs: Outputs | None = None,
) -> tuple[list[Risk], list[Risk]]:
    """Return the risks of the mixtures, and of the networks themselves, measured in the same way.

    Where mixtures are evaluated one by one, `end(i)`, if given, returns what `mixed_risks` gives for network
    i alone. Where they share passes, so do the networks, because a pass of several mixtures rounds
    differently from a pass of one. `outputs`, if given, receives the logits of all.
    """
    keep = outputs.keep if outputs else None
    if (
        len(weights)
        and not streams_mixtures(network, split)
        and _way(network, vectors, weights, split, None)[1] > 1
    ):
        rows = np.concatenate([weights, np.eye(len(vectors))])
        risks = mixed_risks(network, vectors, rows, split, keep=keep)
        return risks[: len(weights)], risks[len(weights) :]
    risks, alone = mixed_risks(network, vectors, weights, split, keep=keep), []
    for index, vector in enumerate(vectors) if outputs or not end else ():
        keep_end = outputs.keep_end(index) if outputs else None
        alone += mixed_risks(network, [vector], np.ones((1, 1)), split, keep=keep_end)
    # `end` comes last, because it may load other integers
    return risks, [end(index) for index in range(len(vectors))] if end else alone


def streams_mixtures(network: FlatNetwork, split: Split) -> bool:
    """Whether mixtures that keep their running statistics are evaluated one after the other on a GPU.

    Small networks in float32 share passes there too: a launch costs more than their arithmetic.
    """
    shares_passes = type(network.model) is MLP and network.numerics.precision == Precision.FLOAT32
    return streams(network, split) and not shares_passes


def _way(
    network: FlatNetwork,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    split: Split,
    points: int | None,
) -> tuple[FirstLayers, int]:
    """Return the layers that count as first ones, and the number of mixtures per pass.

    Both shortcuts are tested: once per network and data set, one mixture goes through a plain forward pass
    too, and where the losses differ no shortcut is taken.
    """
    known = _KNOWN.setdefault(network, {})
    data = (split.images.untyped_storage().data_ptr(), split.images.shape[1:])
    probes = split.first(PROBES)
    if data not in known:
        known[data] = FirstLayers(network, probes.images)
    points = points or _points(network, known[data], split, len(weights))
    if (data, points > 1) not in known:
        tried = known[data]
        row = weights[np.abs(weights - 1 / weights.shape[1]).sum(axis=1).argmin()]
        agrees = _agrees(network, tried, vectors, row, probes, min(points, 2))
        known[data, points > 1] = tried if agrees else FirstLayers(network, probes.images, find=False)
    first = known[data, points > 1]
    return first, points if first is known[data] else 1


def _quicker(
    network: FlatNetwork,
    first: FirstLayers,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    split: Split,
    points: int,
) -> int:
    """Return `points`, or 1 where mixtures one by one take less time and have the same bits.

    Which way is quicker depends on the processor and its caches. Both take one pass over the split, once per
    network, split and size of a pass, so that each shape of a product is compared. Bits do not depend on the
    time that either takes.
    """
    known = _QUICKER.setdefault(network, {})
    key = (split.images.data_ptr(), len(split), points)
    if key not in known:
        chunk, kept = _sizes(first, split)
        seconds, found = {}, []
        for way in (points, 1):
            began = time.process_time()
            blocks = (_pieces(block, chunk) for block in _pieces(split, kept))
            risks = [_sums(network, first, vectors, weights[:points], block, way) for block in blocks]
            seconds[way] = time.process_time() - began
            found.append(torch.cat([torch.stack([loss, wrong.double()]) for loss, wrong in risks]))
        same = torch.equal(*found)
        known[key] = 1 if same and seconds[1] < seconds[points] else points
    return known[key]


def _agrees(
    network: FlatNetwork,
    first: FirstLayers,
    vectors: Sequence[torch.Tensor],
    row: np.ndarray,
    probes: Split,
    points: int,
) -> bool:
    """Whether the shortcuts give a mixture the loss of a plain forward pass, up to rounding."""
    found, _ = _sums(network, first, vectors, np.stack([row] * points), [probes], points)
    blend(vectors, shares(row), network.vector)
    with unwritten(probes.images):
        plain, _ = sums(network.model(probes.images), probes.labels)
    return bool(np.isclose(found[0].item(), plain.item(), rtol=AGREE, atol=AGREE, equal_nan=True))


def _sums(
    network: FlatNetwork,
    first: FirstLayers,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    chunks: Sequence[Split],
    points: int,
    keep: Keep | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed cross-entropy and wrong answers over the chunks, by point."""
    responses = _responses(network, first, vectors, [each.images for each in chunks])
    found = _one_by_one if points == 1 else partial(batched_sums, points=points)
    return found(network, first, vectors, weights, chunks, responses, keep)


def _one_by_one(
    network: FlatNetwork,
    first: FirstLayers,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    chunks: Sequence[Split],
    responses: Responses,
    keep: Keep | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.cat([each.labels for each in chunks])
    buffers = [torch.empty_like(response) for response in responses[0][0]]  # the first chunk is full
    found = []
    for number, parts in enumerate(shares(weights)):
        blend(vectors, parts, network.vector)
        logits = []
        for each, by_network in zip(chunks, responses, strict=True):
            layers = zip(zip(*by_network, strict=True), buffers, strict=True)
            answers = [blend(response, parts, out[: len(response[0])]) for response, out in layers]
            with first.answering(answers), unwritten(each.images):
                logits.append(network.model(each.images))
        found.append(sums(torch.cat(logits), labels))
        if keep:
            keep(number, 0, torch.cat(logits))
    loss, wrong = zip(*found, strict=True)
    return torch.stack(loss), torch.stack(wrong)


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


def _from(first: int, keep: Keep) -> Keep:
    """Return what keeps logits whose examples are counted from `first` on."""
    return lambda number, start, logits: keep(number, first + start, logits)


def _sizes(first: FirstLayers, split: Split) -> tuple[int, int]:
    """Return the examples of a forward pass, and the examples (in whole passes) whose responses are kept."""
    most, room = (len(split), ON_GPU) if split.images.is_cuda else (EXAMPLES, CACHED)
    chunk = max(1, min(most, room // first.largest_bytes))
    return chunk, max(1, KEPT // (first.response_bytes + first.logit_bytes) // chunk) * chunk


def _points(network: FlatNetwork, first: FirstLayers, split: Split, count: int) -> int:
    """Return how many of `count` mixtures share a pass: as many as there is room for, or one if few."""
    if type(network.model) is not MLP:  # convolutions gain nothing, and a module of a user may not allow it
        return 1
    room = ON_GPU if split.images.is_cuda else TOGETHER
    examples = min(_sizes(first, split)[0], len(split))
    each = max(examples * first.largest_bytes, network.vector.nbytes)
    passes = math.ceil(count / max(1, room // each))
    points = math.ceil(count / passes)
    return points if points >= FEW else 1


def _pieces(split: Split, examples: int) -> list[Split]:
    pairs = zip(split.images.split(examples), split.labels.split(examples), strict=True)
    return [Split(images, labels) for images, labels in pairs]
