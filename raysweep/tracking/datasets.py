"""The data sets of a sweep, as MLflow describes them."""

import json

from mlflow.entities import Dataset, DatasetInput

from raysweep.data.config import DataConfig
from raysweep.digest import canonical
from raysweep.errors import UserError
from raysweep.plan.probes import probe_data
from raysweep.sweep.load import Sweep


class Datasets:
    """Describes each data set of a sweep once."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._known: dict[str, list[DatasetInput]] = {}

    def of(self, name: str) -> list[DatasetInput]:
        """Return a data set with each of its options, or nothing where its files are not here."""
        if name not in self._known:
            options = [
                canonical(each.dataset_options) for each in self._sweep.trainings if each.dataset == name
            ]
            configs = [DataConfig(name, options=each) for each in dict.fromkeys(options)]
            self._known[name] = [each for config in configs for each in self._described(config)]
        return self._known[name]

    def _described(self, config: DataConfig) -> list[DatasetInput]:
        try:
            facts = probe_data(config, self._sweep.sections.train)
        except UserError:
            return []
        shown = ("train_examples", "test_examples", "shape", "classes")
        profile = json.dumps({key: getattr(facts, key) for key in shown})
        described = Dataset(config.dataset, facts.digest[:36], "raysweep", config.dataset, profile=profile)
        return [DatasetInput(described)]
