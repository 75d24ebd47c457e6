"""The sizes of the networks of a plan, and of their data."""

from raysweep.data.config import DataConfig
from raysweep.plan.desired import Desired
from raysweep.plan.identity import Trial, data_config
from raysweep.plan.probes import DataFacts, ModelSize, model_config, model_size, probe_data


def sizes(wanted: Desired, trial: Trial) -> tuple[DataFacts, ModelSize]:
    """Return the facts of the data that a trial is trained on, and the size of its network."""
    return _sizes(wanted, trial, data_config(trial.training, trial.replicate))


def whole_sizes(wanted: Desired, trial: Trial) -> tuple[DataFacts, ModelSize]:
    """Return the facts of the whole data set, on which networks are compared, and the size of the network."""
    return _sizes(wanted, trial, data_config(trial.training, trial.replicate).whole())


def _sizes(wanted: Desired, trial: Trial, config: DataConfig) -> tuple[DataFacts, ModelSize]:
    facts = probe_data(config, wanted.sweep.sections.train)
    return facts, model_size(model_config(trial.training, facts.shape, facts.classes))
