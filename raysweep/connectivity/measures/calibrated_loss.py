"""The loss of a mixture at the softmax temperature that suits it.

Sources: Guo et al. 2017 (arXiv 1706.04599) for the temperature, and Ito et al. 2025 (arXiv 2510.08023) for
the finding that much of the barrier of wide networks that were not aligned is a matter of it.
"""

import math

import torch

from raysweep.training.evaluation import sums

COLDEST, HOTTEST = 1 / 64, 64.0  # bounds of the temperature: that of a mixture without errors would be 0
STEPS = 60  # of Newton's method or of bisection, at most; about ten are taken
CLOSE = 1e-9  # relative to the inverse temperature


def calibrated_loss(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the mean cross-entropy (nats) at a temperature that was fitted to other examples.

    The examples at even places have the temperature that minimises the loss of those at odd places, and the
    other way round.
    """
    halves, total = [(logits[start::2], labels[start::2]) for start in (0, 1)], 0.0
    for (fitted, theirs), (reported, own) in (halves, halves[::-1]):
        loss, _ = sums(reported.double() * inverse_temperature(fitted, theirs), own)
        total += loss.item()
    return total / len(labels)


def inverse_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the factor of the logits that minimises the cross-entropy, which is convex in it."""
    logits = logits.double()
    of_labels = logits.gather(1, labels[:, None]).mean()
    low, high, factor = 1 / HOTTEST, 1 / COLDEST, 1.0
    for _ in range(STEPS):
        shares = (factor * logits).softmax(dim=1)
        means = (shares * logits).sum(dim=1)
        slope = (means.mean() - of_labels).item()
        curvature = ((shares * logits.square()).sum(dim=1) - means.square()).mean().item()
        low, high = (low, factor) if slope > 0 else (factor, high)
        better = factor - slope / curvature if curvature > 0 else 0.0
        if not low < better < high:
            better = math.sqrt(low * high)
        if abs(better - factor) <= CLOSE * factor:
            return better
        factor = better
    return factor
