"""Checks that a worker computes with the data and the code that ids stand for."""

from functools import lru_cache

from raysweep.data.config import DataConfig
from raysweep.data.load import data_digest
from raysweep.data.registry import DATASETS
from raysweep.errors import UserError
from raysweep.plan.identity import Trial, data_config
from raysweep.registry import OwnFunction
from raysweep.sweep.train_rest import TrainRest
from raysweep.version import CodeDiffers


def check_origin(trial: Trial, rest: TrainRest) -> None:
    """Compare the data set and the files of the user's own functions with those that were planned with.

    Each is read once in a process. Raises `UserError` for other data and `CodeDiffers` for another file.
    """
    training = trial.training
    for key, own in training.own_functions().items():
        check_source(own, trial.sources[key])
    config = data_config(training, trial.replicate)
    if _data_digest(config, rest.data_root, rest.download) != trial.data_digest:
        hint = (
            "it must return the same at each call and on each node"
            if DATASETS.is_own(training.dataset)
            else "compare the files in train.data_root"
        )
        raise UserError(
            f"dataset {training.dataset}: this node has other images or labels than the driver planned with; "
            f"{hint}"
        )


def check_source(own: OwnFunction, planned: str) -> None:
    """Raise `CodeDiffers` where a user's file is not the one, of this SHA-256, that was planned with."""
    if _source_digest(own) != planned:
        raise CodeDiffers(f"{own}: the file on this node is not the one that the driver planned with")


@lru_cache(maxsize=256)
def _data_digest(config: DataConfig, data_root: str | None, download: bool) -> str:
    return data_digest(config, data_root, download)


@lru_cache(maxsize=64)
def _source_digest(own: OwnFunction) -> str:
    return own.digest()
