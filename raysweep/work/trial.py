"""Train one trial and write its trajectory to the store."""

import platform
import time
from collections.abc import Callable

import numpy as np
import torch

from raysweep import __version__
from raysweep.data.resident import Resident
from raysweep.models.build import build
from raysweep.models.initialise import initialise
from raysweep.store.trials import LevelRecord, Metric, TrialStore
from raysweep.sweep.identity import Trial, trial_config
from raysweep.sweep.plan import Cursor
from raysweep.training.evaluation import evaluate
from raysweep.training.loop import Hyperparameters, TrainingRun
from raysweep.work.data import model_config

METRIC_EXAMPLES = 10_000  # of the training images, for train_loss and train_error


def run_trial(
    trial: Trial,
    cursor: Cursor,
    data: Resident,
    store: TrialStore,
    report: Callable[[int], None] = lambda step: None,
) -> LevelRecord:
    """Train to the end, store the checkpoints, and commit the level; `report` hears of every epoch.

    Raises `FloatingPointError` when the loss is not finite.
    """
    began = time.time()
    training = trial.training
    torch.set_num_threads(training.threads)
    torch.use_deterministic_algorithms(True)
    classes = int(data.train.labels.max()) + 1
    model = build(model_config(training, data, classes))
    initialise(model, training.init, trial.init_seed)
    model.to(data.train.images.device)
    run = TrainingRun(model, data.train, _settings(trial))
    splits = {"train": data.train.first(METRIC_EXAMPLES), "test": data.test}
    store.write_config(trial.trial_id, trial_config(trial))
    checkpoints: dict[int, str] = {}
    metrics: list[Metric] = []
    for stop in sorted({*range(0, cursor.total + 1, cursor.per_epoch), *cursor.checkpoints}):
        run.advance(stop)
        epoch = stop / cursor.per_epoch
        for name, split in splits.items():
            risk = evaluate(model.eval(), split)
            if not np.isfinite(risk.loss):
                rate = training.learning_rate
                raise FloatingPointError(f"{name} loss is {risk.loss} at step {stop}, learning rate {rate}")
            metrics.append(Metric(stop, epoch, name, risk.loss, risk.error, time.time()))
        if stop in cursor.checkpoints:
            checkpoints[stop] = store.write_checkpoint(trial.trial_id, 0, stop, model.state_dict())
        report(stop)
    earlier = store.record(trial.trial_id, 0)
    known = earlier.checkpoints if earlier else {}
    record = LevelRecord(
        cursor.total, time.time() - began, tuple(metrics), {**known, **checkpoints}, _environment()
    )
    store.commit(trial.trial_id, 0, record)
    return record


def _settings(trial: Trial) -> Hyperparameters:
    training = trial.training
    return Hyperparameters(
        epochs=training.epochs,
        batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        schedule=training.schedule,
        data_seed=trial.data_seed,
    )


def _environment() -> dict[str, str]:
    return {
        "raysweep": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "node": platform.node(),
    }
