"""How far a mixture's confidence is from the share of its right answers."""

import torch

BINS = 15  # of equal width, as in the source


def calibration_error(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the expected calibration error (Guo et al. 2017, arXiv 1706.04599), a share.

    Examples are sorted into bins by the probability of the answer; the distance between its mean and the
    share of right answers is averaged over the bins, weighted by their examples.
    """
    confidence, answers = logits.double().softmax(dim=1).max(dim=1)
    gaps = (answers == labels).double() - confidence
    bins = (confidence * BINS).ceil().clamp(1, BINS)
    numbers = torch.arange(1, BINS + 1, device=bins.device)
    return ((bins[:, None] == numbers) * gaps[:, None]).sum(dim=0).abs().sum().item() / len(labels)
