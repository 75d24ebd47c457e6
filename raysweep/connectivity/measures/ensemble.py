"""The ensemble of the networks, as a reference for their mixture."""

import torch

from raysweep.connectivity.blend import blend_rows
from raysweep.training.evaluation import sums


def ensemble(end_logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> dict[str, float]:
    """Return `loss` (nats) and `error` (a share) of the networks' probabilities, averaged by the weights."""
    each = end_logits.double().log_softmax(dim=2)
    largest = each.amax(dim=0)  # relative to it few underflow, and equal ones stay as they are
    mixed = blend_rows((each - largest).exp(), weights[None].cpu().numpy())[0]
    rest = (each + weights.log().to(each)[:, None, None]).logsumexp(dim=0)  # where the largest has no weight
    loss, wrong = sums(torch.where(mixed > 0, largest + mixed.log(), rest), labels)
    return {"loss": loss.item() / len(labels), "error": wrong.item() / len(labels)}
