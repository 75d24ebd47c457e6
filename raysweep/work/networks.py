"""Networks from the store, with their architectures, data sets and risks."""

import torch

from raysweep.choices import choose
from raysweep.connectivity import risk
from raysweep.data.resident import Resident, Split
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.plan.identity import Network, Trial, data_config
from raysweep.store.memory_cache import Cache
from raysweep.store.trials import TrialStore
from raysweep.sweep.schema import Sections
from raysweep.training.evaluation import Risk
from raysweep.work.data import model_config, pad_to, resident

State = dict[str, torch.Tensor]


class Networks:
    """Reads the states of networks, caches them, and evaluates each network once per split."""

    def __init__(self, store: TrialStore, sections: Sections, limit: int) -> None:
        """Read from a store; `limit` bounds the bytes of states that are cached, on all devices together."""
        self._store, self._compare = store, sections.compare
        self._source = (sections.train.data_root, sections.train.download)
        self._states = Cache(limit)
        self._risks: dict[tuple[Network, str, bool], Risk] = {}
        self._flat: tuple[tuple[ModelConfig, str], FlatNetwork] | None = None

    def architecture_and_data(self, trial: Trial, device: str = "cpu") -> tuple[ModelConfig, Resident]:
        """Return a trial's architecture, and the whole data set on which its networks are compared."""
        whole = data_config(trial.training, trial.replicate).whole()
        data = resident(whole, *self._source, trial.training.scaling, device)
        return model_config(trial.training, data), data

    def split(self, data: Resident, name: str) -> Split:
        """Return the examples of a split on which networks are compared. Raises `ValueError`."""
        splits = {"train": data.train.first(self._compare.train_examples), "test": data.test}
        return choose("split", name, splits)

    def state(self, network: Network, device: str = "cpu") -> State:
        """Read a checkpoint onto a device, or return the one that is cached. Raises `CorruptObject`."""
        state: State | None = self._states.get((network, device))
        if state is None:
            read = self._store.read_checkpoint(network.trial_id, network.level, network.step)
            state = {name: tensor.to(device) for name, tensor in read.items()}
            self._states.put((network, device), state, sum(tensor.nbytes for tensor in state.values()))
        return state

    def padded(self, network: Network, trial: Trial, config: ModelConfig) -> State:
        """Return a network's state, padded to the width of `config` with units that have no effect."""
        own, _ = self.architecture_and_data(trial, self._compare.device)
        state = self.state(network)
        return state if own == config else pad_to(config, own, state)

    def flat(self, config: ModelConfig, device: str) -> FlatNetwork:
        """Return a network of an architecture, into which states are written.

        The last one is kept, because most jobs have the same setting as the job before, and building a small
        network takes as long as computing its barrier.
        """
        if self._flat is None or self._flat[0] != (config, device):
            self._flat = None  # frees its memory first
            self._flat = (config, device), FlatNetwork(build(config).to(device))
        return self._flat[1]

    def risk(
        self,
        network: Network,
        state: State,
        where: str,
        flat: FlatNetwork,
        split: Split,
        recompute: Split | None,
    ) -> Risk:
        """Return the risk of an unpermuted network, which is computed only once.

        `where` identifies the split, the data set and the architecture.
        """
        key = (network, where, recompute is not None)
        if key not in self._risks:
            self._risks[key] = risk(flat, state, split, recompute)
        return self._risks[key]
