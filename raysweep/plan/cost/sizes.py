"""The sizes of the networks of a plan, and of their data."""

from raysweep.plan.desired import Desired
from raysweep.plan.identity import Trial, data_config
from raysweep.plan.probes import DataFacts, ModelSize, model_config, model_size, probe_data


def sizes(wanted: Desired, trial: Trial) -> tuple[DataFacts, ModelSize]:
    """Return the facts of a trial's data, and the size of its network."""
    facts = probe_data(data_config(trial.training, trial.replicate), wanted.sweep.sections.train)
    return facts, model_size(model_config(trial.training, facts.shape, facts.classes))
