import os
import tempfile
from pathlib import Path

os.environ.setdefault("RAYSWEEP_CACHE", str(Path(tempfile.gettempdir()) / f"raysweep-tests-{os.getuid()}"))
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
import pytest
import torch
import yaml

from raysweep.data import DataConfig, load_arrays, scaling_of
from raysweep.data.resident import Resident, make_resident
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.training.loop import Hyperparameters, TrainingRun
from raysweep.training.schedule import Schedule
from tests.test_run import TINY, raysweep

torch.set_num_threads(1)
# Some code that calls Ray and MLflow runs only in processes that tests start. There, too, the use of what
# will be removed is an error. Python has no pattern for the modules of such a filter.
PROJECT = Path(__file__).parents[1]
os.environ.setdefault(
    "PYTHONWARNINGS",
    ",".join(
        f"error::{kind}:{'.'.join(path.relative_to(PROJECT).with_suffix('').parts)}"
        for folder in ("cluster", "tracking")
        for path in sorted((PROJECT / "raysweep" / folder).glob("*.py"))
        for kind in ("DeprecationWarning", "FutureWarning", "PendingDeprecationWarning")
    ),
)
STEPS = 220  # ten epochs of 22 steps


def settings(**changes) -> Hyperparameters:
    chosen = {
        "batch_size": 64,
        "optimiser": "sgd",
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 1e-4,
        "schedule": Schedule("one_cycle", 0.1, STEPS),
        "data_seed": 0,
    }
    return Hyperparameters(**{**chosen, **changes})


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The file of a small sweep."""
    path = tmp_path_factory.mktemp("sweep") / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return path


@pytest.fixture(scope="session")
def undisturbed(tiny, tmp_path_factory):
    """The root of a run of it, to compare with; who changes it takes a copy."""
    root = tmp_path_factory.mktemp("undisturbed")
    raysweep("run", tiny, "--root", root)
    return root


@pytest.fixture(scope="session")
def digits() -> Resident:
    arrays = load_arrays(DataConfig("digits"))
    return make_resident(arrays, torch.device("cpu"), scaling_of(arrays, "unit"))


def mlp(width: int = 16, depth: int = 3, norm: str = "none") -> ModelConfig:
    return ModelConfig("mlp", width, depth, norm, (1, 8, 8), 10)


@pytest.fixture(scope="session")
def trained(digits: Resident) -> list[dict[str, torch.Tensor]]:
    """Three networks of width 16 after ten epochs."""
    states = []
    for seed in range(3):
        model = initialised(mlp(), "pytorch", seed)
        run = TrainingRun(model, digits, settings())
        run.advance(STEPS)
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    return states
