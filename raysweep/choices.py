"""Names that stand for something: an unknown one is an error, wherever it comes from."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar, cast

Name = TypeVar("Name", bound=str)
T = TypeVar("T")

SYNONYMS = {  # what other programs call a key or a value
    "arch": "model",
    "architecture": "model",
    "augmentation": "augment",
    "batch": "batch_size",
    "batch_norm": "batch",
    "batchnorm": "batch",
    "bf16": "bfloat16",
    "bn": "batch",
    "bs": "batch_size",
    "checkpoint": "checkpoints",
    "cifar": "cifar10",
    "cosine": "one_cycle",
    "cpus": "cpu",
    "data": "dataset",
    "data_dir": "data_root",
    "dtype": "precision",
    "float": "float32",
    "fp32": "float32",
    "gpu": "cuda",
    "gpus": "gpu",
    "init_method": "init",
    "initialisation": "init",
    "initialization": "init",
    "layer_norm": "layer",
    "layernorm": "layer",
    "layers": "depth",
    "ln": "layer",
    "lr": "learning_rate",
    "lr_schedule": "schedule",
    "lr_scheduler": "schedule",
    "max_epochs": "epochs",
    "network": "model",
    "networks": "replicates",
    "normalisation": "norm",
    "normalization": "norm",
    "num_epochs": "epochs",
    "num_workers": "workers",
    "opt": "optimiser",
    "optim": "optimiser",
    "optimizer": "optimiser",
    "repeats": "replicates",
    "scheduler": "schedule",
    "seeds": "replicates",
    "wd": "weight_decay",
}


def choose(kind: str, name: str, table: Mapping[Name, T]) -> T:
    """Return what a name stands for. Raises `ValueError` for another name, with those that are valid."""
    check_names(kind, [name], table)
    return table[cast(Name, name)]


def check_names(kind: str, names: Iterable[str], valid: Collection[str]) -> None:
    """Raise `ValueError` for a name that is not valid, with those that are."""
    for name in names:
        if name not in valid:
            raise ValueError(f"unknown {kind} {name!r}; valid: {', '.join(valid)}")


def nearest(name: object, valid: Collection[str]) -> str | None:
    """Return the valid name that a wrong one may stand for: a synonym, or else one of similar spelling."""
    word = str(name).lower().replace("-", "_")
    synonym = SYNONYMS.get(word)
    if synonym in valid:
        return synonym
    spelt = {each.lower(): each for each in valid}
    return next((spelt[each] for each in difflib.get_close_matches(word, spelt, n=1)), None)


def valid_choices(name: Any, valid: Collection[str]) -> str:
    """Return the valid names for a message, after the one that may be meant."""
    near = nearest(name, valid)
    return f"{f'did you mean {near!r}? ' if near else ''}valid choices: {', '.join(valid)}"
