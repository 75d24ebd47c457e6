"""The hidden units of mixtures on a few images."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from raysweep.connectivity.blend import shares
from raysweep.connectivity.mixtures import Mending, Mixtures
from raysweep.connectivity.repair import RescaledNetwork
from raysweep.data.resident import unwritten
from raysweep.models.flat import FlatNetwork
from raysweep.models.precision import computing_in
from raysweep.symmetry.listening import Treating, keeping
from raysweep.symmetry.tracing import Place, trace_units

Features = dict[str, torch.Tensor]  # by layer group


@torch.no_grad()
def features(
    network: FlatNetwork,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    images: torch.Tensor,
    mending: Mending,
) -> Iterator[Features]:
    """Yield the hidden units, each (examples, ...), of the mixture for every row of `weights`.

    They are the last values of each layer group: after norm and nonlinearity, and in a residual stream after
    its last block. Raises `SpecError` for a network that is not understood.
    """
    places = {group: found[-1] for group, found in trace_units(network.model, images[:2]).items()}
    mixtures = Mixtures(network, vectors, mending)
    for parts in shares(weights):
        module = mixtures.form(parts)
        with computing_in(network.numerics.precision, images.device), unwritten(images):
            found = _values(module, places, images)
        yield found  # outside, because whoever receives it computes in its own precision


def _values(module: nn.Module, places: Mapping[str, Place], images: torch.Tensor) -> Features:
    """Run a network and return its values at some places; where these are rescaled, the rescaled ones."""
    kept: dict[int, torch.Tensor] = {}
    notes = keeping((place.call for place in places.values()), kept)
    if isinstance(module, RescaledNetwork):
        module.notes = notes
        module(images)
        module.notes = {}
    else:
        with Treating(notes):
            module(images)
    return {group: place.units_of(kept[place.call]) for group, place in places.items()}
