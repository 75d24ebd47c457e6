"""A user's own checkpoints as finished trials."""

import time
from pathlib import Path

import torch

from raysweep.data.resident import Resident
from raysweep.errors import UserError
from raysweep.models.build import build
from raysweep.models.memory import with_tied_names
from raysweep.store.trials import LevelRecord, Metric, TrialStore
from raysweep.sweep.identity import Trial, trial_config
from raysweep.training.evaluation import evaluate
from raysweep.work.data import model_config
from raysweep.work.device import repeatable
from raysweep.work.trial import METRIC_EXAMPLES

State = dict[str, torch.Tensor]


def import_checkpoint(trial: Trial, path: str, data: Resident, store: TrialStore) -> None:
    """Read a file, check it against the model that the sweep file names, and commit it as a finished trial.

    Raises `UserError` for a file that cannot be read or whose tensors are not the model's.
    """
    repeatable(trial.training.threads)
    began = time.time()
    model = build(model_config(trial.training, data))
    try:
        state = with_tied_names(model, read_state(path))
    except ValueError as error:
        raise UserError(f"train.imports: {path}: {error}") from error
    model.load_state_dict(_checked(path, state, model.state_dict(), trial.training.model))
    model.eval()
    store.write_config(trial.trial_id, trial_config(trial))
    written = store.write_checkpoint(trial.trial_id, 0, 0, model.state_dict())
    metrics = []
    for name, split in {"train": data.train.first(METRIC_EXAMPLES), "test": data.test}.items():
        risk = evaluate(model, split)
        metrics.append(Metric(0, 0.0, name, risk.loss, risk.error, time.time()))
    record = LevelRecord(0, time.time() - began, metrics=tuple(metrics), checkpoints={0: written})
    store.commit(trial.trial_id, 0, record)


def read_state(path: str) -> State:
    """Read `.safetensors`, or `.pt`/`.pth` with `weights_only`; a `state_dict` inside a checkpoint is found.

    Raises `UserError` when the file holds no state dict, or objects other than tensors.
    """
    try:
        if Path(path).suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors, zipfile, pickle and torch each raise their own
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"train.imports: {path} cannot be read as weights: {first}") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise UserError(f"train.imports: {path} holds no state dict (names and tensors)")
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}


def _checked(path: str, state: State, expected: State, model: str) -> State:
    problems = [f"{name} is missing" for name in expected if name not in state]
    problems += [f"{name} is not the model's" for name in state if name not in expected]
    problems += [
        f"{name} has shape {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    problems += [
        f"{name} has values that are not finite"
        for name, tensor in state.items()
        if tensor.is_floating_point() and not torch.isfinite(tensor).all()
    ]
    if problems:
        raise UserError(
            f"train.imports: {path} does not fit train.model = {model}: {'; '.join(problems[:6])}"
        )
    return state
