"""Forms mixtures of networks one after the other, and mends their statistics where that is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from raysweep.connectivity.blend import blend
from raysweep.connectivity.repair import Correction, interpolated, rescaled
from raysweep.connectivity.statistics import recompute_statistics
from raysweep.models.flat import FlatNetwork
from raysweep.models.precision import computing_in
from raysweep.symmetry.tracing import HiddenLayer


@dataclass(frozen=True)
class Mending:
    """What is done to every mixture, and to each network alone, before it is evaluated.

    On `recompute`, training images, running statistics are computed again; on `repair` the hidden units get
    the interpolated moments of the networks (see `raysweep.connectivity.repair`). At most one is given.
    """

    recompute: torch.Tensor | None = None
    repair: torch.Tensor | None = None

    def __bool__(self) -> bool:
        return self.recompute is not None or self.repair is not None


NOTHING = Mending()


class Mixtures:
    """Writes mixtures of vectors into a network, and mends them."""

    def __init__(
        self, network: FlatNetwork, vectors: Sequence[torch.Tensor], mending: Mending = NOTHING
    ) -> None:
        """Raises `SpecError` for a network whose hidden units cannot be found, where they are repaired."""
        self._network, self._vectors, self._mending = network, vectors, mending
        self._computing = network.numerics.precision, network.vector.device
        self._moments = []
        if mending.repair is not None:
            self._rescaled = rescaled(network, mending.repair[:2])
            for vector in vectors if len(vectors) > 1 else ():
                network.vector.copy_(vector)
                with computing_in(*self._computing):
                    self._moments.append(self._rescaled.measured(mending.repair))

    @torch.no_grad()
    def form(self, parts: np.ndarray) -> nn.Module:
        """Form the mixture with these `shares` of the weights, (networks,); returns what evaluates it."""
        blend(self._vectors, parts, self._network.vector)
        with computing_in(*self._computing):
            if self._mending.recompute is not None:
                recompute_statistics(self._network.model, self._mending.recompute)
            if self._mending.repair is None:
                return self._network.model
            self._rescaled.reset()
            if self._moments:
                self._rescaled.fit(interpolated(self._moments, parts), self._mending.repair)
            return self._rescaled.module

    def corrections(self) -> dict[HiddenLayer, Correction]:
        """Return how the hidden units of the mixture that was formed last are repaired, by node."""
        return {} if self._mending.repair is None else self._rescaled.corrections()
