"""Data sets whose files are not on this machine."""

from raysweep.plan.desired import Desired
from raysweep.plan.identity import data_config
from raysweep.plan.probes import probe_data


def missing_data(wanted: Desired) -> dict[str, str]:
    """Return why the files of each data set are missing, by its name; only known sizes stand for them."""
    rest = wanted.sweep.sections.train
    configs = {data_config(trial.training, trial.replicate) for trial in wanted.trials.values()}
    found = {config.dataset: probe_data(config, rest).missing for config in configs}
    return {dataset: reason for dataset, reason in sorted(found.items()) if reason}
