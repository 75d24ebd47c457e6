"""What a plan must know of data sets and models: digests, sizes, layers.

Facts that take a loaded data set or a built network are stored for the next command, so that a plan whose
facts are known imports neither. Nothing is stored of a user's own network, because the modules that it
imports may change.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from raysweep.data.config import DataConfig
from raysweep.data.known import known_sizes
from raysweep.data.load import data_digest, files_of, load_arrays
from raysweep.digest import canonical
from raysweep.errors import MissingFiles, UserError
from raysweep.models.config import ModelConfig
from raysweep.models.registry import NORMS
from raysweep.plan.own_networks import EXAMPLES, training_only
from raysweep.registry import is_own
from raysweep.store.disk_cache import recall, remember
from raysweep.sweep.train import Training
from raysweep.sweep.train_rest import TrainRest
from raysweep.vocabulary import Statistics


@dataclass(frozen=True)
class DataFacts:
    """A data set as a plan sees it; `shape` is that of an input, such as (channels, height, width).

    `guess_error` is the 0-1 error (share) of a classifier that always answers the most frequent class of the
    test set. Where the files of the data set are not on this machine, `missing` says so, and the digest and
    the `guess_error` are not those of the data.
    """

    digest: str
    train_examples: int
    test_examples: int
    shape: tuple[int, ...]
    classes: int
    guess_error: float
    missing: str = ""


@lru_cache(maxsize=64)
def data_facts(config: DataConfig, data_root: str | None, download: bool) -> DataFacts:
    """Return the facts of a data set, which is loaded where they are not known of these files.

    Nothing is remembered of data whose files are not known, such as those of a user's own function. Raises
    `UserError` for missing or malformed files.
    """
    files = files_of(config, data_root, download)
    if files is None:
        return _facts(config, data_root, download)
    stamps = {str(path): stamp(path) for path in files}
    # Numpy draws a split, and Pillow decodes and resizes images.
    question = ["data facts", asdict(config), stamps, np.__version__, version("pillow")]
    known = recall(question)
    if known is not None:
        digest, train, test, shape, classes, guess_error = known
        return DataFacts(digest, train, test, tuple(shape), classes, guess_error)
    facts = _facts(config, data_root, download)
    remember(question, [getattr(facts, field.name) for field in fields(facts) if field.name != "missing"])
    return facts


def _facts(config: DataConfig, data_root: str | None, download: bool) -> DataFacts:
    arrays = load_arrays(config, data_root, download)
    digest = data_digest(config, data_root, download)
    train, test = len(arrays.train_labels), len(arrays.test_labels)
    guess_error = 1 - int(np.bincount(arrays.test_labels.ravel()).max()) / arrays.test_labels.size
    return DataFacts(digest, train, test, arrays.shape, arrays.classes, guess_error)


def stamp(path: Path) -> list[int]:
    """Return what distinguishes a file from another one of the same name."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def fact_of(what: str, config: ModelConfig, find: Callable[[ModelConfig], Any]) -> Any:
    """Return a JSON-like fact of a network, which is found only where it is not stored."""
    if is_own(config.model):
        return find(config)
    question = [what, asdict(config)]
    known = recall(question)
    if known is None:
        known = find(config)
        remember(question, known)
    return known


def probe_data(config: DataConfig, rest: TrainRest) -> DataFacts:
    """Return the facts of the data of a sweep, or what is known of them where their files are missing.

    Raises `UserError` for malformed files, and for missing ones of a data set of which nothing is known.
    """
    try:
        return data_facts(config, rest.data_root, rest.download)
    except MissingFiles as error:
        sizes = known_sizes(config)
        if sizes is None:
            raise
        train, test, shape, classes = sizes.train_examples, sizes.test_examples, sizes.shape, sizes.classes
        digest = f"not known: {canonical(asdict(config))}"
        return DataFacts(digest, train, test, shape, classes, float("nan"), str(error))


def model_config(training: Training, shape: tuple[int, ...], classes: int) -> ModelConfig:
    """Return the architecture of a configuration for inputs of a shape, such as (channels, height, width)."""
    return ModelConfig(training.model, training.width, training.depth, training.norm, shape, classes)


@lru_cache(maxsize=256)
def layer_sizes(config: ModelConfig) -> dict[str, tuple[str, int]]:
    """Return the parameter and the number of weights of every layer that can be pruned, in order.

    Layers whose weights are tied have one parameter. A layer that only training reads is not pruned, because
    it is no part of the network that is evaluated and aligned. Raises `UserError` for a user's own network
    that cannot be built.
    """
    return {layer: (name, size) for layer, name, size in fact_of("layers", config, _layers)}


def _layers(config: ModelConfig) -> list[tuple[str, str, int]]:
    from raysweep.models.build import build
    from raysweep.models.layers import prunable

    model = build(config)
    parameters = dict(model.named_parameters())
    heads = training_only(model, config)
    return [
        (layer, name, parameters[name].numel())
        for layer, name in prunable(model).items()
        if name not in heads
    ]


def trains_on_one(config: ModelConfig) -> bool:
    """Return whether a network can be trained on a batch of one example, which some norms cannot."""
    found: bool = fact_of("trains on one", config, _trains_on_one)
    return found


def _trains_on_one(config: ModelConfig) -> bool:
    import torch

    from raysweep.models.build import build

    model = build(config).train()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model(torch.zeros(1, *config.shape))
    except Exception:  # of torch's norms, or whatever a user's code raises
        return False
    return True


@dataclass(frozen=True)
class ModelSize:
    """How large a network is.

    It has `parameters` and `units` in its layers; `products` counts the multiplications of a weight with an
    activation for one example, `matched` those of all weights with all units of another network, and `pairs`
    the pairs of a unit with one of the same layer of another network. An example passes so many `calls` of
    torch, which write so many `values` of images and tokens.
    """

    parameters: int
    products: int
    units: int
    matched: int
    pairs: int
    calls: int
    values: int


@lru_cache(maxsize=256)
def model_size(config: ModelConfig) -> ModelSize:
    """Return the size of a network, which is built and run once.

    A user's own network runs on the CPU, where it was checked before: on another device, tensors that it
    creates as it runs or keeps as plain attributes may not follow.
    """
    return ModelSize(*fact_of("sizes", config, _size))


def _size(config: ModelConfig) -> tuple[int, ...]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from raysweep.models.build import build
    from raysweep.models.written import Written

    device = "cpu" if is_own(config.model) else "meta"
    model, batch = build(config).eval().to(device), torch.zeros(EXAMPLES, *config.shape, device=device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter, Written() as written:
        model(batch)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    weights = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    units = sum(map(len, weights))
    # The inputs of the first layer and the outputs of the last one stay in place.
    outputs, inputs = weights[:-1], weights[1:]
    matched = sum(each.numel() * len(each) for each in outputs)
    matched += sum(each.numel() * each.shape[1] for each in inputs)
    products, pairs = counter.get_total_flops() // (2 * EXAMPLES), sum(len(each) ** 2 for each in outputs)
    return parameters, products, units, matched, pairs, written.calls, written.values // EXAMPLES


@lru_cache(maxsize=256)
def has_running_statistics(config: ModelConfig) -> bool:
    """Return whether a network has norms that keep running statistics; `norm` says so for our own."""
    if not is_own(config.model):
        return NORMS[config.norm].running_statistics
    from raysweep.connectivity.statistics import has_running_statistics as found
    from raysweep.models.build import build

    return found(build(config))


@lru_cache(maxsize=256)
def check_statistics(config: ModelConfig, statistics: tuple[str, ...]) -> None:
    """Raise `UserError` for statistics that cannot be computed of a user's own network.

    It may keep running statistics itself, which are not recomputed, or have no layer that could be repaired.
    """
    if not is_own(config.model):
        return
    import torch

    from raysweep.connectivity.repair import Rescaled
    from raysweep.connectivity.statistics import foreign_statistics
    from raysweep.errors import SpecError
    from raysweep.models.build import build

    asked = f"compare.statistics = [{', '.join(statistics)}]"
    recomputed = Statistics.RECOMPUTED in statistics
    foreign = foreign_statistics(build(config), torch.zeros(1, *config.shape)) if recomputed else []
    if foreign:
        raise UserError(
            f"{asked}: training changes {', '.join(foreign)} of {config.model}, which belong to no norm of "
            "torch, so that raysweep cannot recompute them; valid: kept, repaired"
        )
    if Statistics.REPAIRED in statistics:
        try:
            Rescaled(build(config), torch.zeros(EXAMPLES, *config.shape))
        except SpecError as error:
            raise UserError(f"{asked}: {config.model}: {error}; valid: kept, recomputed") from error


def pruned_parameters(config: ModelConfig, exclude: Iterable[str]) -> dict[str, int]:
    """Return the parameters that pruning acts on, with their sizes.

    A parameter that several layers share is left out where one of these layers is excluded. Raises
    `UserError` for a layer that does not exist, with the names of those that do, and for a network without
    layers to prune.
    """
    layers = layer_sizes(config)
    if not layers:
        raise UserError(
            f"prune: {config.model} has no layer to prune: none of its modules has a parameter named weight "
            "with two axes or more"
        )
    last = list(layers)[-1]
    excluded = {last if name == "output" else name for name in exclude}
    for name in sorted(excluded - set(layers)):
        raise UserError(
            f"prune.exclude: {config.model} has no layer {name!r}; its layers: {', '.join(layers)} "
            "(output stands for the last)"
        )
    dense = {layers[layer][0] for layer in excluded}
    return {name: size for name, size in layers.values() if name not in dense}
