"""Proofs of the symmetries of all networks of a sweep, before any of them is trained."""

from collections.abc import Iterator
from contextlib import contextmanager

from raysweep.errors import UserError
from raysweep.models.config import ModelConfig
from raysweep.plan.desired import Desired
from raysweep.plan.identity import data_config
from raysweep.plan.probes import model_config, probe_data
from raysweep.sweep.train import Training
from raysweep.work.data import prove_padding_to, proved_spec


def prove_all(wanted: Desired) -> None:
    """Prove the symmetries of all networks that will be aligned. Raises `SpecError`."""

    def config_of(training: Training) -> ModelConfig:
        facts = probe_data(data_config(training, 0).whole(), wanted.sweep.sections.train)
        return model_config(training, facts.shape, facts.classes)

    for training in dict.fromkeys(trial.training for trial in wanted.trials.values()):
        with _naming(training):
            proved_spec(config_of(training))
    for job in wanted.alignments.values():
        if job.embeds:
            narrow, wide = (wanted.trials[network.trial_id].training for network in job.networks)
            with _naming(wide):
                prove_padding_to(config_of(wide), config_of(narrow))


@contextmanager
def _naming(training: Training) -> Iterator[None]:
    """Name the network in the message of an error."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"train.model = {training.model}, norm {training.norm}: {error}") from error
