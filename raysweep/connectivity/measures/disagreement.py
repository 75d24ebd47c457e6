"""How often a mixture answers otherwise than its networks."""

import torch


def disagreement(logits: torch.Tensor, end_logits: torch.Tensor, weights: torch.Tensor) -> float:
    """Return the share of examples to which the mixture and a network answer differently.

    It is averaged over the networks by their weights, so it is 0 at each network itself.
    """
    differ = (logits.argmax(dim=1) != end_logits.argmax(dim=2)).double().mean(dim=1)
    return (weights * differ).sum().item()
