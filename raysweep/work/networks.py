"""Networks from the store, with what a process knows about them: architecture, data, risks."""

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
    """Reads states, keeps the last ones, and evaluates each network once per split."""

    def __init__(self, store: TrialStore, sections: Sections, limit: int) -> None:
        """`limit` is the number of bytes of states that are kept."""
        self._store, self._compare = store, sections.compare
        self._source = (sections.train.data_root, sections.train.download)
        self._states = Cache(limit)
        self._risks: dict[tuple[Network, str, bool], Risk] = {}
        self._flat: tuple[tuple[ModelConfig, str], FlatNetwork] | None = None

    def setting(self, trial: Trial, device: str = "cpu") -> tuple[ModelConfig, Resident]:
        """The architecture of a trial, and the whole data set on which its networks are compared."""
        whole = data_config(trial.training, trial.replicate).whole()
        data = resident(whole, *self._source, trial.training.scaling, device)
        return model_config(trial.training, data), data

    def split(self, data: Resident, name: str) -> Split:
        splits = {"train": data.train.first(self._compare.train_examples), "test": data.test}
        return choose("split", name, splits)

    def state(self, network: Network) -> State:
        """Read a checkpoint; raises `CorruptObject`."""
        state = self._states.get(network)
        if state is None:
            state = self._store.read_checkpoint(network.trial_id, network.level, network.step)
            self._states.put(network, state, sum(tensor.nbytes for tensor in state.values()))
        return state

    def padded(self, network: Network, trial: Trial, config: ModelConfig) -> State:
        """The state of a network, filled up with units that do nothing to the width of `config`."""
        own, _ = self.setting(trial, self._compare.device)
        state = self.state(network)
        return state if own == config else pad_to(config, own, state)

    def flat(self, config: ModelConfig, device: str) -> FlatNetwork:
        """A network of an architecture, to write states to; the last one is kept, for most jobs follow one
        of their own group, and building a small network takes as long as its barrier."""
        if self._flat is None or self._flat[0] != (config, device):
            self._flat = None  # so that there is room for the other
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
        """The risk of an unpermuted network; `where` names the split, the data and the architecture."""
        key = (network, where, recompute is not None)
        if key not in self._risks:
            self._risks[key] = risk(flat, state, split, recompute)
        return self._risks[key]
