import os
import sys
import tempfile
from pathlib import Path

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of some hundred processes compiles every module
os.environ.setdefault("RAYSWEEP_CACHE", str(Path(tempfile.gettempdir()) / f"raysweep-tests-{os.getuid()}"))
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of BLAS: its threads spin while they wait for each other
# Ray gives its workers niceness 15. Beside tests that keep all cores busy they would hardly run; with 0 they
# would keep Ray's own processes from answering in time.
os.environ.setdefault("RAY_worker_niceness", "5")
# Nor does Ray start a process for each CPU beforehand, for which every driver would wait.
os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
os.environ.setdefault("RAY_enable_worker_prestart", "0")
import pytest
import ray
import torch
import yaml
from xdist.scheduler import LoadScopeScheduling

from raysweep.data import DataConfig, load_arrays, scaling_of
from raysweep.data.resident import Resident, make_resident
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.training.hyperparameters import Hyperparameters
from raysweep.training.loop import TrainingRun
from raysweep.training.schedule import Schedule
from tests.cluster import poison
from tests.environment import variables
from tests.inside import carried_out
from tests.machine import connected, running_ray
from tests.slow import listed
from tests.store.servers import running_s3
from tests.test_run import TINY

sys.dont_write_bytecode = False
torch.set_num_threads(1)
TESTS = Path(__file__).parent
SPLIT = {  # long files whose tests share no fixture of their module: any worker may run any test
    "tests/test_run.py",
    "tests/commands/test_load_all.py",
    "tests/test_object_storage.py",
    "tests/cluster/test_pool.py",
    "tests/cluster/test_trials.py",
    "tests/store/test_storage_faults.py",
    "tests/sweeps/test_sweep_files.py",
    "tests/work/test_resume.py",
}
WHOLE = {  # files whose tests train and compare whole sweeps in this process, or draw figures: they are slow
    "tests/test_added_method.py",
    "tests/analysis/test_aggregates.py",
    "tests/analysis/test_questions.py",
    "tests/analysis/figures/test_along_figures.py",
    "tests/analysis/figures/test_figures.py",
    "tests/commands/test_publishing_live.py",
    "tests/work/test_aligning.py",
    "tests/work/test_comparing.py",
    "tests/work/test_measures.py",
    "tests/work/test_monomial_methods.py",
    "tests/work/test_orthogonal_methods.py",
    "tests/work/test_provenance.py",
    "tests/work/test_pruned_levels.py",
    "tests/work/test_resuming.py",
    "tests/work/test_shared_trials.py",
    "tests/work/test_unusual_networks.py",
}
RAYS = {"machine", "cluster"}  # the fixtures that start Ray: tests that use them are slow
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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark as fast what is not slow, and begin with what takes longest, so that all workers end together."""
    slow = listed()
    for item in items:
        if item.path.parent == TESTS and item.path.name.startswith("test_readme"):
            item.add_marker(pytest.mark.slow)
        file, test = item.nodeid.partition("::")[0], item.nodeid.partition("[")[0]
        if RAYS & set(item.fixturenames) or file in WHOLE or test in slow:
            item.add_marker(pytest.mark.slow)
        if not item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.fast)
    items.sort(key=_begins)


def pytest_xdist_make_scheduler(config, log):
    """Give each worker whole files, but single tests of the long files that share no module's fixtures."""
    return _FilesOrTests(config, log) if config.getvalue("dist") == "loadfile" else None


class _FilesOrTests(LoadScopeScheduling):
    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        return nodeid if file in SPLIT else file


def _begins(item):
    """The README's commands are one long file; the many fast tests fill up the end."""
    return not item.path.name.startswith("test_readme"), bool(item.get_closest_marker("fast"))


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


@pytest.fixture(autouse=True)
def _fast_tests_start_no_ray(request, monkeypatch):
    """Refuse Ray to a fast test, whose sweep was meant to be done before."""
    if request.node.get_closest_marker("fast"):
        monkeypatch.setattr(ray, "init", _refuse)


def _refuse(*arguments, **options):
    raise AssertionError("this test starts Ray: mark it slow, or let it find its work done")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The file of a small sweep."""
    path = tmp_path_factory.mktemp("sweep") / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return path


@pytest.fixture(scope="session")
def undisturbed(tiny, tmp_path_factory):
    """The root of the same sweep, computed in this process alone; a test that changes it takes a copy."""
    return carried_out(tiny, tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="session")
def s3_variables():
    """The environment variables with which one S3 server for all tests of a process is reached."""
    with running_s3("bucket") as environment:
        yield environment


@pytest.fixture
def storage(s3_variables):
    """That server's bucket, called `bucket`, for this process and those that it starts."""
    with variables(s3_variables):
        yield


@pytest.fixture(scope="session")
def switches(tmp_path_factory):
    """The variable that names the folder of the switches and notes of `tests.cluster.poison`."""
    return {poison.FOLDER: str(tmp_path_factory.mktemp("switches"))}


@pytest.fixture(scope="session")
def machine(s3_variables, switches):
    """The address of one Ray for all tests of a process, which knows the S3 server and the switches."""
    with running_ray(s3_variables | switches) as address:
        yield address


@pytest.fixture
def session(machine, storage, switches):
    """Let the commands in this process use that Ray."""
    with variables(switches), connected(machine):
        poison.reset()
        yield


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
