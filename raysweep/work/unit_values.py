"""The values of networks' units on the examples with which activations are matched."""

from collections.abc import Mapping, Sequence

import torch

from raysweep.alignment import recorded_similarities
from raysweep.alignment.activation_matching import CHUNK
from raysweep.alignment.activations import Recorder, recorded_values
from raysweep.alignment.assignments import Matrices
from raysweep.data.resident import Split, Streamed
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.versions import load_state
from raysweep.store.memory_cache import Cache
from raysweep.sweep.method_options import ActivationMatching
from raysweep.symmetry.tracing import Place
from raysweep.work.networks import State

Values = Mapping[Place, torch.Tensor]


class UnitValues:
    """Runs networks on chunks of images, unless the values are cached from an earlier tile.

    Values are on the device of the images and the states. They are cached chunk by chunk, so that memory is
    bounded; networks run again for chunks that were dropped. Results are bitwise the same either way.
    """

    def __init__(self, options: ActivationMatching, limit: int) -> None:
        """Cache at most `limit` bytes of values."""
        self._options = options
        self._kept = Cache(limit)

    def similarities(
        self,
        config: ModelConfig,
        training: Split | Streamed,
        states: Mapping[str, State],
        pairs: Sequence[tuple[int, int]],
    ) -> list[Matrices]:
        """Return for each pair (target, source) the similarities of their units, by layer group.

        All networks have the architecture `config` and one data set; pairs are indices into `states`, which
        are named by what they are, bit for bit. Raises `SpecError`.
        """
        images = training.first(self._options.examples).images
        model, chunks, networks = build(config), torch.split(images, CHUNK), list(states)
        places = recorded_values(model, images[:2].cpu(), self._options.tensor)
        if not places:
            return [{} for _ in pairs]
        recorder = Recorder(model.to(images.device), places, self._options.pixels)

        def values(index: int, number: int) -> Values:
            key = (networks[index], number)
            found: Values | None = self._kept.get(key)
            if found is None:
                load_state(model, states[networks[index]], assign=True)
                found = recorder.values(chunks[number], number)
                self._kept.put(key, found, sum(each.nbytes for each in found.values()))
            return found

        sizes = len(networks), len(chunks)
        return recorded_similarities(values, sizes, pairs, places, self._options.similarity)
