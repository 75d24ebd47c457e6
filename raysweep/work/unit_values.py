"""The values of networks' units on the examples by which activations are matched."""

from collections.abc import Mapping, Sequence

import torch

from raysweep.alignment import recorded_similarities
from raysweep.alignment.activation_matching import CHUNK, Matrices
from raysweep.alignment.activations import Recorder, recorded_values
from raysweep.data.resident import Split
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.plan.identity import Network
from raysweep.store.memory_cache import Cache
from raysweep.sweep.schema import ActivationMatching
from raysweep.work.networks import State

Values = Mapping[str, torch.Tensor]


class UnitValues:
    """Runs a network on a chunk of images where its values are not kept from before, by another tile.

    They are kept chunk by chunk: where not all fit, memory is bounded all the same, and the networks run
    again. Kept or not, the bits are the same.
    """

    def __init__(self, options: ActivationMatching, limit: int) -> None:
        """`limit` is the number of bytes that are kept."""
        self._options = options
        self._kept = Cache(limit)

    def similarities(
        self,
        config: ModelConfig,
        training: Split,
        states: Mapping[Network, State],
        pairs: Sequence[tuple[int, int]],
    ) -> list[Matrices]:
        """Return how similar the units of pairs (target, source) of networks are, by group.

        The networks are of one architecture and data set; pairs are places in `states`. Raises `SpecError`.
        """
        images = training.first(self._options.examples).images
        model, chunks, networks = build(config), images.split(CHUNK), list(states)
        nodes = recorded_values(model, images[:2], self._options.tensor)
        if not nodes:
            return [{} for _ in pairs]
        recorder = Recorder(model, nodes, self._options.pixels)

        def values(place: int, number: int) -> Values:
            key = (networks[place], number)
            found: Values | None = self._kept.get(key)
            if found is None:
                model.load_state_dict(states[networks[place]], assign=True)
                found = recorder.values(chunks[number], number)
                self._kept.put(key, found, sum(each.nbytes for each in found.values()))
            return found

        sizes = len(networks), len(chunks)
        return recorded_similarities(values, sizes, pairs, nodes, self._options.similarity)
