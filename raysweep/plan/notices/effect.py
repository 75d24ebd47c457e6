"""Keys of `train` that change no number: with a list of values, one network would have several ids."""

from collections.abc import Callable, Iterator
from typing import Any

from pydantic_core import PydanticUndefined

from raysweep.data.load import draws_split
from raysweep.errors import UserError
from raysweep.models.config import OFFERED
from raysweep.models.registry import MODELS, model_entry
from raysweep.plan.identity import data_config
from raysweep.plan.probes import probe_data
from raysweep.registry import is_own, taken
from raysweep.sweep.imports import KNOWN_OF_IMPORTS, Imports
from raysweep.sweep.load import Sweep
from raysweep.sweep.train import Training
from raysweep.sweep.train_rest import TrainRest
from raysweep.training.registry import OPTIMISERS, SCHEDULE_KEYS, SCHEDULES, SETTINGS, reads

Rule = tuple[str, Callable[[Training], bool], str]

UNREAD: tuple[Rule, ...] = (  # a key, when it is not read, and why
    ("split_seed", lambda t: not draws_split(t.dataset), "{dataset} has a test set of its own"),
    (
        "subset_seed",
        lambda t: t.half is None and t.fraction is None and t.examples is None,
        "only half, fraction and examples are drawn by it",
    ),
    ("spawn_replicate", lambda t: t.spawn_at is None, "without spawn_at there is no trunk"),
    ("compile", lambda t: t.device == "cpu", "only a GPU reads it"),
    ("channels_last", lambda t: not model_entry(t.model).convolutional, "to an {model} images are vectors"),
)
READERS = (("optimiser", OPTIMISERS, SETTINGS), ("schedule", SCHEDULES, SCHEDULE_KEYS))


def refuse_without_effect(path: str, sweep: Sweep) -> None:
    """Refuse keys of `train` that change nothing in any configuration, unless they have their default.

    Where a key changes nothing in some configurations only, two configurations that are the same for that
    reason are refused. `path` is named in messages. Raises `UserError` with every such key, its values and
    the reason.
    """
    trainings, rest = sweep.trainings, sweep.sections.train
    unread = [_unread(training, sweep.imports.get(training)) for training in trainings]
    problems = [*_nowhere(trainings, unread), *_alike(trainings, unread, rest)]
    if problems:
        raise UserError("\n".join(f"{path}: {problem}" for problem in dict.fromkeys(problems)))


def _unread(training: Training, imports: Imports | None) -> dict[str, str]:
    """The keys that change nothing in a configuration, and why."""
    found = {key: why.format(**vars(training)) for key, unread, why in UNREAD if unread(training)}
    for key, registry, settings in READERS:
        name = getattr(training, key)
        for each in set(settings) - reads(registry, name, settings):
            found[each] = f"the {key} {name} does not read it"
    if is_own(training.model):
        arguments = taken(MODELS.function(training.model), OFFERED)
        for key in {"width", "depth", "norm"} - arguments:
            found[key] = f"{training.model} has no such argument"
    if imports:
        unknown = sorted(Training.model_fields.keys() - KNOWN_OF_IMPORTS - set(imports.stated))
        found |= dict.fromkeys(unknown, "imported networks are not trained")
    return found


def _nowhere(trainings: tuple[Training, ...], unread: list[dict[str, str]]) -> Iterator[str]:
    """Keys that no configuration reads, except those that have their default."""
    for key in sorted(set.intersection(*map(set, unread))):
        values = list(dict.fromkeys(getattr(training, key) for training in trainings))
        if len(values) > 1 or Training.model_fields[key].default not in (values[0], PydanticUndefined):
            yield f"train.{key} = {_listed(values)}: has no effect, because {unread[0][key]}"


def _alike(trainings: tuple[Training, ...], unread: list[dict[str, str]], rest: TrainRest) -> Iterator[str]:
    """Pairs of configurations that differ only in keys that neither reads."""
    nowhere = set.intersection(*map(set, unread))
    drops = len({training.drop_last for training in trainings}) > 1
    options = len({training.dataset_options for training in trainings}) > 1
    seen: dict[Any, Training] = {}
    for training, keys in zip(trainings, unread, strict=True):
        if drops and _fills_batches(training, rest):
            keys = {**keys, "drop_last": "batches of this size leave no examples out"}
        data = ""
        if options:
            keys = {**keys, "dataset_options": "they give the same data"}
            data = probe_data(data_config(training, 0), rest).digest
        read = (data, *((key, value) for key, value in training if key not in keys))
        other = seen.setdefault(read, training)
        for key in sorted(keys.keys() - nowhere):
            values = [getattr(other, key), getattr(training, key)]
            if values[0] != values[1]:
                yield f"train.{key} = {_listed(values)}: trains the same networks twice, because {keys[key]}"


def _fills_batches(training: Training, rest: TrainRest) -> bool:
    every = (probe_data(data_config(training, replicate), rest) for replicate in rest.replicate_numbers())
    return all(facts.train_examples % training.batch_size == 0 for facts in every)


def _listed(values: list[Any]) -> str:
    return ", ".join(str(value) for value in values)
