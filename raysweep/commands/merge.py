"""`raysweep merge`: aligns stored networks and writes their mean, with its barrier before and after."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from raysweep.commands.chosen import chosen_networks
from raysweep.commands.export import check_new, config_of, stored_network, write_network
from raysweep.connectivity import Barrier
from raysweep.data.load import data_digest, whole_digest
from raysweep.data.resident import Resident
from raysweep.errors import UserError
from raysweep.merging import Merged, merge
from raysweep.models.build import build
from raysweep.plan.identity import Network, data_config
from raysweep.store.files import Files
from raysweep.sweep.read_yaml import read_yaml
from raysweep.sweep.train import Training
from raysweep.version import CodeDiffers
from raysweep.work.data import model_config, trained_on
from raysweep.work.origin import check_source

ALIKE = (
    "dataset",
    "dataset_options",
    "split_seed",
    "pixel_seed",
    "scaling",
    "scaling_options",
    "model",
    "width",
    "depth",
    "norm",
)  # keys of networks that can be merged


def merge_stored(
    files: Files,
    words: Sequence[str],
    sweep: str | None,
    out: str,
    method: str,
    options: Sequence[str],
    repair: bool,
    seed: int,
    data_root: str | None,
) -> Iterator[str]:
    """Merge the chosen networks, write the result to the file `out`, and yield what is to be said of it.

    The whole training set serves to align and repair them, whatever part of it each was trained on, and the
    test set to measure. `options` of the method are written `name=value`. Raises `UserError` for networks
    that do not belong together, and as `chosen_networks` and `raysweep.merge` do.
    """
    check_new(Path(out))
    given = _options(options)
    networks = chosen_networks(files, words, sweep)
    training, planned = _shared(files, networks)
    data = _data(training, planned, data_root)
    states = [stored_network(files, network) for network in networks]
    examples = data.train.first(len(data.train))
    try:
        merged = merge(
            states,
            examples.images,
            examples.labels,
            test=(data.test.images, data.test.labels),
            method=method,
            options=given,
            repair=repair,
            model=build(model_config(training, data)),
            seed=seed,
        )
    except (ValueError, TypeError) as error:
        raise UserError(f"raysweep merge: {error}") from error
    names = [str(network) for network in networks]
    header = {"networks": json.dumps(names), "method": method, "repair": str(repair), "seed": str(seed)}
    header["options"] = json.dumps(given)
    write_network(Path(out), merged.model.state_dict(), header)
    yield f"{len(names)} networks of {training.model}, width {training.width}: {', '.join(names)}"
    yield from _measured(merged)
    yield f"the mean is in {out}"


def _options(words: Sequence[str]) -> dict[str, Any]:
    """Return the options that are written `name=value`, with values as in a sweep file."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise UserError(f"--option {word}: expected name=value, such as steps=500")
        try:
            found[name] = read_yaml(value)
        except (yaml.YAMLError, ValueError) as error:
            raise UserError(f"--option {word}: the value is not YAML") from error
    return found


def _measured(merged: Merged) -> Iterator[str]:
    if merged.before and merged.after:
        yield f"before the alignment: {_barrier(merged.before)}"
        yield f"as they are merged:   {_barrier(merged.after)}"
    if merged.risk and merged.risks:
        errors = ", ".join(f"{risk.error:.4f}" for risk in merged.risks)
        yield f"test error of the mean {merged.risk.error:.4f}, of the networks {errors}"


def _barrier(barrier: Barrier) -> str:
    loss, error = barrier.loss_barrier, barrier.error_barrier
    return f"test loss barrier {loss:.4f} nats, test error barrier {error:.4f}"


def _shared(files: Files, networks: list[Network]) -> tuple[Training, str]:
    """Return the configuration of networks of one architecture and data set, and the digest of that.

    Raises `UserError` for networks of several, and for a user's own whose file has changed.
    """
    configs = [config_of(files, network) for network in networks]
    trainings = [_training(config) for config in configs]
    digests = [whole_digest(config["data_digest"]) for config in configs]
    for network, training, digest in zip(networks[1:], trainings[1:], digests[1:], strict=True):
        for key in ALIKE:
            one, two = getattr(trainings[0], key), getattr(training, key)
            if one != two:
                raise UserError(
                    f"--networks: {networks[0]} has {key} = {one}, but {network} has {key} = {two}"
                )
        if digest != digests[0]:
            raise UserError(
                f"--networks: {networks[0]} and {network} had other images or labels of the dataset "
                f"{training.dataset}"
            )
    for network, config in zip(networks, configs, strict=True):
        _check_sources(network, config, trainings[0])
    return trainings[0], digests[0]


def _check_sources(network: Network, config: dict[str, Any], training: Training) -> None:
    """Raise `UserError` where a file of the user's network or data is not the one of the training."""
    sources = config.get("sources") or {"model": config.get("source_digest")}
    for key, own in training.own_functions().items():
        try:
            if key in ALIKE:
                check_source(own, str(sources.get(key)))
        except CodeDiffers as error:
            raise UserError(f"{own}: its file is not the one with which {network} was trained") from error


def _training(config: dict[str, Any]) -> Training:
    """Return the keys of `train` that are known; of an imported network the others do not matter."""
    known = {key: value for key, value in config["training"].items() if value is not None}
    return Training.model_validate({"epochs": 0, **known})


def _data(training: Training, planned: str, data_root: str | None) -> Resident:
    """Return the whole data set. Raises `UserError` for one of another digest than was `planned` with."""
    config = data_config(training, 0).whole()
    if data_digest(config, data_root) != planned:
        raise UserError(f"dataset {training.dataset}: has other images or labels than those of the networks")
    return trained_on(training, config, data_root, False)
