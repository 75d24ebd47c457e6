"""Networks from the store, with their architectures, data sets and risks."""

from collections.abc import Iterable, Sequence

import torch

from raysweep.choices import choose
from raysweep.connectivity import Mending, risk
from raysweep.data.resident import Resident, Split
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.models.precision import Numerics
from raysweep.plan.identity import Network, Trial, data_config
from raysweep.store.inputs import named_input
from raysweep.store.memory_cache import Cache
from raysweep.store.trials import TrialStore
from raysweep.sweep.compare import Compare
from raysweep.sweep.schema import Sections
from raysweep.training.evaluation import Risk
from raysweep.work.data import model_config, pad_to, trained_on
from raysweep.work.device import ways_on
from raysweep.work.origin import check_origin

State = dict[str, torch.Tensor]
STATES_PART = 4  # the states that are kept on a GPU take at most a quarter of the memory


class Networks:
    """Reads the states of networks, caches them, and evaluates each network once per split."""

    def __init__(self, store: TrialStore, sections: Sections, limit: int) -> None:
        """Read from a store; `limit` bounds the bytes of states that are cached, except on a GPU."""
        self._store, self._compare = store, sections.compare
        self._train = sections.train
        self._states, self._on_gpu = Cache(limit), Cache(_room_on_gpu(sections))
        self._digests: dict[Network, str] = {}  # of the checkpoints, as they were last read
        self.replaced = 0  # how often one that was read again had other bits than before
        self._risks: dict[tuple[str, str, bool, bool], Risk] = {}
        self._flat: tuple[tuple[ModelConfig, str], FlatNetwork] | None = None

    def architecture_and_data(self, trial: Trial, device: str = "cpu") -> tuple[ModelConfig, Resident]:
        """Return a trial's architecture, and the whole data set on which its networks are compared."""
        check_origin(trial, self._train)
        whole = data_config(trial.training, trial.replicate).whole()
        source = self._train.data_root, self._train.download
        data = trained_on(trial.training, whole, *source, device)
        return model_config(trial.training, data), data

    def split(self, data: Resident, name: str) -> Split:
        """Return the examples of a split on which networks are compared. Raises `ValueError`."""
        splits = {"train": data.train.first(self._compare.train_examples), "test": data.test}
        return choose("split", name, splits)

    def state(self, network: Network, device: str = "cpu") -> State:
        """Read a checkpoint onto a device, or return the one that is cached. Raises `CorruptObject`."""
        cache = self._on_gpu if device == "cuda" else self._states
        state: State | None = cache.get((self._digests.get(network), device))
        if state is None:
            read, digest = self._store.checkpoint(network.trial_id, network.level, network.step)
            state = {name: tensor.to(device) for name, tensor in read.items()}
            self.replaced += self._digests.get(network, digest) != digest
            self._digests[network] = digest
            cache.put((digest, device), state, sum(tensor.nbytes for tensor in state.values()))
        return state

    def named_states(self, networks: Sequence[Network], device: str) -> dict[str, State]:
        """Return the states of different networks by their names and digests."""
        states = [self.state(network, device) for network in networks]
        return dict(zip(self.inputs(networks), states, strict=True))

    def inputs(self, networks: Iterable[Network]) -> list[str]:
        """Return which checkpoints `state` returned last for these networks, by name and digest."""
        return [named_input(str(network), self._digests[network]) for network in networks]

    def padded(self, network: Network, trial: Trial, config: ModelConfig) -> State:
        """Return a network's state on the device of barriers, padded to the width of `config`.

        The units that are added have no effect.
        """
        device = self._compare.device
        own, _ = self.architecture_and_data(trial, device)
        if own == config:
            return self.state(network, device)
        padded = pad_to(config, own, self.state(network))
        return {name: tensor.to(device) for name, tensor in padded.items()}

    def flat(self, config: ModelConfig, device: str) -> FlatNetwork:
        """Return a network of an architecture, into which states are written.

        The last one is kept, because most jobs have the same setting as the job before, and building a small
        network takes as long as computing its barrier.
        """
        if self._flat is None or self._flat[0] != (config, device):
            self._flat = None  # frees its memory first
            chosen = numerics(self._compare, config)
            self._flat = (config, device), FlatNetwork(build(config).to(device), chosen, config)
        return self._flat[1]

    def risk(
        self,
        network: Network,
        state: State,
        where: str,
        flat: FlatNetwork,
        split: Split,
        mending: Mending,
    ) -> Risk:
        """Return the risk of an unpermuted network, which is computed only once.

        `where` identifies the split, the data set and the architecture.
        """
        key = (self._digests[network], where, mending.recompute is not None, mending.repair is not None)
        if key not in self._risks:
            self._risks[key] = risk(flat, state, split, mending)
        return self._risks[key]


def numerics(compare: Compare, config: ModelConfig) -> Numerics:
    """Return how networks of an architecture are evaluated. Raises `ValueError` for an unknown name."""
    return Numerics(compare.precision, ways_on(compare.device, compare.compile, config.model))


def _room_on_gpu(sections: Sections) -> int:
    """Return the bytes of states that are kept on a GPU: a part of this process's share of its memory."""
    if "cuda" not in (sections.align.device, sections.compare.device) or not torch.cuda.is_available():
        return 0
    _, whole = torch.cuda.mem_get_info()
    return int(whole * min(1.0, sections.resources.align.gpu) / STATES_PART)
