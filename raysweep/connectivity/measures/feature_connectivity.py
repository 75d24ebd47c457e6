"""Whether the hidden units of a mixture are the mixture of its networks' hidden units, layer by layer."""

from collections.abc import Mapping

import torch

from raysweep.connectivity.blend import blend_rows


def feature_connectivity(
    features: Mapping[str, torch.Tensor], end_features: Mapping[str, torch.Tensor], weights: torch.Tensor
) -> dict[str, float]:
    """Return by layer 1 - cos(features of the mixture, mixture of the networks' features).

    It is the mean over examples; 0 means layerwise linear feature connectivity (LLFC: Zhou et al. 2023, arXiv
    2307.08286), whatever the scale.
    """
    rows = weights[None].cpu().numpy()
    return {
        layer: _distance(values, blend_rows(end_features[layer], rows)[0])
        for layer, values in features.items()
    }


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """1 - cos as half the squared distance of unit vectors, which is exactly 0 for equal ones."""
    a, b = (torch.nn.functional.normalize(each.double().flatten(1), dim=1) for each in (one, other))
    return (a - b).square().sum(dim=1).mean().item() / 2
