import os

os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
import pytest
import torch

from raysweep.data import load_arrays
from raysweep.data.resident import Resident, make_resident
from raysweep.models.build import ModelConfig, build
from raysweep.models.initialise import initialise
from raysweep.training.loop import Hyperparameters, TrainingRun

torch.set_num_threads(1)
SETTINGS = Hyperparameters(
    epochs=10,
    batch_size=64,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="one_cycle",
    data_seed=0,
)


@pytest.fixture(scope="session")
def digits() -> Resident:
    return make_resident(load_arrays("digits"), torch.device("cpu"))


def mlp(width: int = 16, depth: int = 3, norm: str = "none") -> ModelConfig:
    return ModelConfig("mlp", width, depth, norm, (1, 8, 8), 10)


@pytest.fixture(scope="session")
def trained(digits: Resident) -> list[dict[str, torch.Tensor]]:
    """Three networks of width 16 after ten epochs."""
    states = []
    for seed in range(3):
        model = build(mlp())
        initialise(model, "pytorch", seed)
        run = TrainingRun(model, digits.train, SETTINGS)
        run.advance(SETTINGS.steps(len(digits.train)))
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    return states
