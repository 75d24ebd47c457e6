"""What a plan must know of data and models: digests, sizes, layers.

What takes a loaded data set or a built network to find out is kept for the next command, so that a plan whose
facts are known imports neither. Of a user's own network nothing is kept: what its module imports may change.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from raysweep.choices import choose
from raysweep.data.arrays import dataset_digest
from raysweep.data.config import DataConfig
from raysweep.data.load import files_of, load_arrays
from raysweep.errors import SpecError, UserError
from raysweep.models.config import ModelConfig
from raysweep.models.names import RUNNING_STATISTICS, is_custom
from raysweep.plan.own_networks import EXAMPLES, training_only
from raysweep.store.disk_cache import recall, remember
from raysweep.sweep.schema import Training, TrainRest

if TYPE_CHECKING:  # both import torch, which a plan whose facts are known does not
    from raysweep.symmetry import PermutationSpec
    from raysweep.symmetry.axes import Blocks


@dataclass(frozen=True)
class DataFacts:
    """A data set as a plan sees it; `shape` is (channels, height, width).

    `guess_error` is the test error (share) of always answering the most frequent class of the test set.
    """

    digest: str
    train_examples: int
    test_examples: int
    shape: tuple[int, int, int]
    classes: int
    guess_error: float


@lru_cache(maxsize=64)
def data_facts(config: DataConfig, data_root: str | None, download: bool) -> DataFacts:
    """Find out what a data set is; loads it where that is not known of these files.

    Raises `UserError` for missing or malformed files.
    """
    files = {str(path): _stamp(path) for path in files_of(config.dataset, data_root, download)}
    question = ["data facts", asdict(config), files, np.__version__]  # a split is drawn by numpy
    known = recall(question)
    if known is not None:
        digest, train, test, shape, classes, guess_error = known
        return DataFacts(digest, train, test, tuple(shape), classes, guess_error)
    arrays = load_arrays(config, data_root, download)
    digest = dataset_digest(arrays)
    if config != config.whole():  # a subset is scaled by the statistics of the whole
        digest += dataset_digest(load_arrays(config.whole(), data_root, download))
    train, test = len(arrays.train_labels), len(arrays.test_labels)
    guess_error = 1 - int(np.bincount(arrays.test_labels).max()) / test
    facts = DataFacts(digest, train, test, arrays.shape, arrays.classes, guess_error)
    remember(question, astuple(facts))
    return facts


def _stamp(path: Path) -> list[int]:
    """What tells a file from another one in its place."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _known(what: str, config: ModelConfig, find: Callable[[ModelConfig], Any]) -> Any:
    """Return a JSON-like fact of a network, found only where it is not known."""
    if is_custom(config.model):
        return find(config)
    question = [what, asdict(config)]
    known = recall(question)
    if known is None:
        known = find(config)
        remember(question, known)
    return known


def facts_of(config: DataConfig, rest: TrainRest) -> DataFacts:
    return data_facts(config, rest.data_root, rest.download)


def model_config(training: Training, shape: tuple[int, int, int], classes: int) -> ModelConfig:
    return ModelConfig(training.model, training.width, training.depth, training.norm, shape, classes)


def arguments_of(model: str) -> set[str]:
    """Return what a user's own function takes of `shape`, `classes`, `width`, `depth` and `norm`."""
    from raysweep.models.custom import arguments_of as found

    return found(model)


@lru_cache(maxsize=256)
def layer_sizes(config: ModelConfig) -> dict[str, tuple[str, int]]:
    """Return the parameter and the number of weights of every layer that can be pruned, in order.

    Layers whose weights are tied have one parameter. A layer that only training reads is not pruned, for the
    network that is evaluated and aligned has no part in it. Raises `UserError` for a user's own network that
    cannot be built.
    """
    return {layer: (name, size) for layer, name, size in _known("layers", config, _layers)}


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


@dataclass(frozen=True)
class ModelSize:
    """Parameters, multiplications of a weight with an activation for one example, and units of its layers."""

    parameters: int
    products: int
    units: int


@lru_cache(maxsize=256)
def model_size(config: ModelConfig) -> ModelSize:
    """Build a network and run it once to count.

    A user's own runs on the CPU: there it has just run to be checked, and elsewhere what it makes as it goes,
    or keeps in attributes, may not follow.
    """
    return ModelSize(*_known("size", config, _size))


def _size(config: ModelConfig) -> tuple[int, int, int]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from raysweep.models.build import build

    device = "cpu" if is_custom(config.model) else "meta"
    model = build(config).eval().to(device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(EXAMPLES, *config.shape, device=device))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    units = sum(len(parameter) for parameter in model.parameters() if parameter.dim() > 1)
    return parameters, counter.get_total_flops() // (2 * EXAMPLES), units


@lru_cache(maxsize=256)
def has_running_statistics(config: ModelConfig) -> bool:
    """Whether a network has norms that keep running statistics; of our own networks the norm says so."""
    if not is_custom(config.model):
        return choose("norm", config.norm, RUNNING_STATISTICS)
    from raysweep.connectivity.statistics import has_running_statistics as found
    from raysweep.models.build import build

    return found(build(config))


@lru_cache(maxsize=256)
def check_statistics(config: ModelConfig, statistics: tuple[str, ...]) -> None:
    """Raise `UserError` where statistics are to be recomputed that a user's own network keeps itself."""
    if "recomputed" not in statistics or not is_custom(config.model):
        return
    from raysweep.connectivity.statistics import foreign_statistics
    from raysweep.models.build import build

    foreign = foreign_statistics(build(config), config.shape)
    if foreign:
        raise UserError(
            f"compare.statistics = {list(statistics)}: training changes {', '.join(foreign)} of "
            f"{config.model}, which no norm of torch keeps and raysweep cannot recompute; valid: [kept]"
        )


@lru_cache(maxsize=64)
def group_sizes(config: ModelConfig) -> dict[str, int]:
    """Return the groups of units that can be permuted and their sizes, in order. Raises `SpecError`."""
    return dict(_known("groups", config, _groups))


def _groups(config: ModelConfig) -> list[tuple[str, int]]:
    return list(_spec(config).sizes.items())


def _spec(config: ModelConfig) -> "PermutationSpec":
    import torch

    from raysweep.models.build import build
    from raysweep.symmetry import PermutationSpec

    example = torch.zeros(EXAMPLES, *config.shape)
    return PermutationSpec.trace(build(config), example, proved=False)  # workers prove it


@lru_cache(maxsize=64)
def group_blocks(config: ModelConfig) -> tuple["Blocks", ...]:
    """Return the groups whose units lie in blocks; our own networks have none, nor has one without a spec."""
    if not is_custom(config.model):
        return ()
    try:
        return _spec(config).blocks
    except SpecError:
        return ()


def layers_of_groups(config: ModelConfig) -> tuple[tuple[str, ...], ...]:
    """Return the groups in order, in one layer those whose blocks move alike. Raises `SpecError`."""
    partners = {group: each.groups for each in group_blocks(config) for group in each.groups}
    return tuple(dict.fromkeys(partners.get(group, (group,)) for group in group_sizes(config)))


def pruned_parameters(config: ModelConfig, exclude: list[str]) -> dict[str, int]:
    """Return the parameters that pruning acts on, with their sizes.

    A parameter that several layers share is left out where one of them is. Raises `UserError` for a layer
    that does not exist, naming those that do, and for a network without any.
    """
    layers = layer_sizes(config)
    if not layers:
        raise UserError(
            f"prune: {config.model} has no layer to prune: none of its modules has a parameter named weight "
            "of two axes or more"
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


def file_digest(path: str) -> str:
    """Return the SHA-256 of a file. Raises `UserError` when it cannot be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"train.imports: {path}: {error.strerror}") from error
