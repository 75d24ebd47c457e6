"""Risks of mixtures one after the other on a GPU, which never waits for the processor in between.

Each mixture is formed in place in the vector that the network's tensors are views of. The evaluation that
follows it on the stream, a captured graph, reads these tensors.
"""

from collections.abc import Hashable
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
import torch

from raysweep.connectivity.blend import shares
from raysweep.connectivity.mixtures import Mixtures
from raysweep.connectivity.outputs import Keep
from raysweep.data.resident import Split
from raysweep.models.flat import FlatNetwork
from raysweep.models.precision import computing_in
from raysweep.training.evaluation import Risk, evaluate
from raysweep.training.repeated_evaluation import Evaluation
from raysweep.vocabulary import Precision

MOST = 4  # evaluations of a network that are kept, because each holds the memory of a forward pass

_EVALUATIONS: WeakKeyDictionary[FlatNetwork, dict[Hashable, Evaluation]] = WeakKeyDictionary()


@torch.no_grad()
def streamed_risks(
    network: FlatNetwork, mixtures: Mixtures, weights: np.ndarray, split: Split, keep: Keep | None = None
) -> list[Risk]:
    """Return the risk of the mixture for every row of `weights`, which sums to one.

    `weights` has the shape (points, networks). Integers and masks keep the values that the network holds.
    `keep`, if given, gets the logits, for which each mixture runs once more, plainly. Raises `ImagesWritten`
    for a network that writes to its input.
    """
    evaluation = evaluation_of(network, split)
    found = torch.empty(len(weights), 2, dtype=torch.float64, device=split.images.device)
    for number, parts in enumerate(shares(weights)):
        module = mixtures.form(parts)
        evaluation.start()
        found[number].copy_(evaluation.totals)
        if keep:
            with computing_in(network.numerics.precision, split.images.device):
                evaluate(module, split, partial(keep, number))
    return evaluation.risks(found)


def streams(network: FlatNetwork, split: Split) -> bool:
    """Whether mixtures are evaluated in this way: on a GPU, and wherever the precision is not float32."""
    return split.images.is_cuda or network.numerics.precision != Precision.FLOAT32


def evaluation_of(network: FlatNetwork, split: Split) -> Evaluation:
    """Return the evaluation of a network on a split, which is prepared when it is first asked for."""
    known = _EVALUATIONS.setdefault(network, {})
    key = (split.images.data_ptr(), split.images.shape, split.labels.data_ptr())
    if key not in known:
        while len(known) >= MOST:
            del known[next(iter(known))]
        known[key] = Evaluation(network.model, split, network.numerics, network.architecture)
    return known[key]
