"""Imports a user's own checkpoints as finished trials."""

import math
import time

from raysweep.data.resident import Resident
from raysweep.errors import UserError
from raysweep.models.build import build
from raysweep.models.versions import load_state
from raysweep.plan.identity import Trial, trial_config
from raysweep.plan.import_files import content_digest
from raysweep.store.records import LevelRecord, Metric
from raysweep.store.trials import TrialStore
from raysweep.training.evaluation import evaluate
from raysweep.version import driver
from raysweep.work.data import model_config
from raysweep.work.device import make_deterministic
from raysweep.work.fitting import Unfitting, fitting_state
from raysweep.work.metrics import splits_of
from raysweep.work.provenance import provenance
from raysweep.work.weight_files import read_states


def import_checkpoint(trial: Trial, data: Resident, store: TrialStore) -> None:
    """Read a trial's file, check it against the model that the sweep file names, and commit it as finished.

    Raises `UserError` for a file that cannot be read or has changed since the trial got its id, whose tensors
    do not fit the model, or with which the model's loss is not finite.
    """
    path = trial.import_file or ""
    if content_digest(path, known=False) != trial.import_digest:
        raise UserError(f"train.imports: {path} has changed since this command read it; start again")
    make_deterministic(trial.training.threads)
    began = time.monotonic()
    model = build(model_config(trial.training, data))
    try:
        load_state(model, fitting_state(read_states(path), model, trial.import_under))
    except Unfitting as error:
        name = trial.training.model
        raise UserError(f"train.imports: {path} does not fit train.model = {name}: {error}") from error
    model.eval()
    metrics = []
    for name, split in splits_of(data).items():
        risk = evaluate(model, split)
        if not math.isfinite(risk.loss):
            raise UserError(f"train.imports: {path}: the {name} loss of the network is {risk.loss}")
        metrics.append(Metric(0, 0.0, name, risk.loss, risk.error, time.time()))
    store.write_config(trial.trial_id, trial_config(trial))
    written = store.write_checkpoint(trial.trial_id, 0, 0, model.state_dict())
    found = store.note_provenance(provenance("cpu", driver()))
    record = LevelRecord(
        0,
        time.monotonic() - began,
        metrics=tuple(metrics),
        checkpoints={0: written},
        environment={"provenance": found},
    )
    store.commit(trial.trial_id, 0, record)
