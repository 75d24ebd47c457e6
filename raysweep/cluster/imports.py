"""Imports networks that were trained elsewhere, before anything else of a run begins."""

from raysweep.cluster.events import Listener
from raysweep.plan.desired import Desired
from raysweep.plan.done import done, finished
from raysweep.plan.identity import data_config
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore


def import_networks(files: Files, wanted: Desired, listener: Listener) -> int:
    """Import the files of `train.imports` that the store lacks, and return their number.

    Raises `UserError` for a file that does not fit the model.
    """
    rest = wanted.sweep.sections.train
    if not rest.imports:
        return 0
    from raysweep.work.data import trained_on
    from raysweep.work.imports import import_checkpoint

    present = done(wanted, files)
    missing = [
        trial
        for key, trial in wanted.trials.items()
        if trial.branch == "imported" and not finished(wanted, present, key)
    ]
    if missing:
        listener.stage("imports", len(missing))
    for trial in missing:
        config = data_config(trial.training, trial.replicate)
        data = trained_on(trial.training, config, rest.data_root, rest.download)
        import_checkpoint(trial, data, TrialStore(files))
        listener.advance("imports", 1)
    return len(missing)
