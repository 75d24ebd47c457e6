"""Reading a sweep file, with overrides, into configurations. Every fault is reported in one clear message."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from raysweep.choices import nearest, valid_choices
from raysweep.digest import digest
from raysweep.errors import UserError
from raysweep.registry import OwnFunction
from raysweep.sweep.imports import STATABLE, Imports, ImportTable
from raysweep.sweep.presets import PRESETS
from raysweep.sweep.problems import explain, shown
from raysweep.sweep.prune import Pruning
from raysweep.sweep.read_yaml import read_yaml
from raysweep.sweep.repeats import repeated_items, repeated_values
from raysweep.sweep.schema import Sections
from raysweep.sweep.train import Training

LIST_KEYS = (
    "milestones",
    "examples",
    "exclude",
)  # their values are lists, so a sweep over them is a list of lists

ELSEWHERE = ("resources", "tracking", "data_root", "download")  # what differs from a laptop to a cluster

MOST_COMBINATIONS = 10_000  # combinations of its lists


Swept = TypeVar("Swept", bound=BaseModel)


@dataclass(frozen=True)
class Sweep:
    """A checked sweep: its sections, the products of the swept keys, and the resolved file.

    `imports` has the files of imported networks, by their configuration among `trainings`.
    """

    sections: Sections
    trainings: tuple[Training, ...]
    prunings: tuple[Pruning, ...]
    resolved: dict[str, Any]
    imports: Mapping[Training, Imports] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.sections.name

    @property
    def text(self) -> str:
        """The resolved file."""
        return yaml.safe_dump(self.resolved, sort_keys=False)

    def own_functions(self) -> list[OwnFunction]:
        """Return the user's functions that the sweep names, each once."""
        found = {own for training in self.trainings for own in training.own_functions().values()}
        sections = (self.sections.align, self.sections.compare)
        return sorted(found.union(*(section.own_functions() for section in sections)), key=str)

    @property
    def fingerprint(self) -> str:
        """A digest of what the sweep asks for, wherever it runs: of all keys but those of `ELSEWHERE`."""
        asked = {name: section for name, section in self.resolved.items() if name not in ELSEWHERE}
        asked["train"] = {key: value for key, value in asked["train"].items() if key not in ELSEWHERE}
        return digest(asked)


def load_sweep(path: str, overrides: list[str] | None = None) -> Sweep:
    """Read a sweep file and apply `section.key=value` overrides.

    Raises `UserError` with every unknown key (and the nearest valid one) and every invalid value.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    raw = parse(path, text)
    for override in overrides or []:
        _override(raw, override)
    return check(path, raw)


def parse(path: str, text: bytes) -> dict[str, Any]:
    """Return the unchecked content of a sweep file; `path` is named in messages. Raises `UserError`."""
    try:
        raw = read_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # PyYAML lets errors of values through
        raise UserError(f"{path} is not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise UserError(
            f"{path}: a sweep file is a mapping with the sections {', '.join(Sections.model_fields)}"
        )
    return raw


def check(path: str, raw: dict[str, Any]) -> Sweep:
    """Return a sweep from the content of its file; `path` is named in messages. Raises `UserError`."""
    problems: list[str] = []
    if not isinstance(train := raw.get("train"), dict):
        raise UserError(f"{path}: {_without_train(raw)}")
    train = _with_preset(train, problems)
    swept, rest = _parted(train, Training)
    pruned, of_pruning = _parted(raw.get("prune"), Pruning)
    try:
        sections = Sections.model_validate({**raw, "train": rest, "prune": of_pruning})
    except ValidationError as error:
        problems += explain(error, "")
    tables = _tables(train)
    if train.get("imports") and not tables:
        problems += ["train.epochs: imported networks are not trained"] if train.get("epochs") else []
        swept["epochs"] = 0
    given = [{"epochs": 0, **swept, **table} for table in tables] or [swept]
    trainings = [each for keys in given for each in _product(path, "train", Training, keys, problems)]
    prunings = _product(path, "prune", Pruning, pruned, problems) if raw.get("prune") else []
    if not problems:
        problems += [*repeated_items(sections), *_across(sections, trainings)]
        problems += [problem for each in prunings for problem in repeated_items(each, "prune.")]
    if problems:
        raise UserError("\n".join(f"{path}: {problem}" for problem in dict.fromkeys(problems)))
    resolved = sections.model_dump(mode="json")
    resolved["train"] = (swept if tables else _resolved(trainings, swept)) | resolved["train"]
    if prunings:
        resolved["prune"] |= _resolved(prunings, pruned)
    imports = _imports(sections, trainings, swept if tables else {})
    return Sweep(sections, tuple(trainings), tuple(prunings), resolved, imports)


def _parted(section: Any, swept: type[BaseModel]) -> tuple[dict[str, Any], Any]:
    """The keys of a section that may be swept, and the others; what is no mapping is returned as it is."""
    if not isinstance(section, dict):
        return {}, section
    found = {key: value for key, value in section.items() if key in swept.model_fields}
    return found, {key: value for key, value in section.items() if key not in found}


def _tables(train: dict[str, Any]) -> list[dict[str, Any]]:
    """The keys of `train` that each table of imported networks gives."""
    imports = train.get("imports")
    tables = [each for each in imports if isinstance(each, dict)] if isinstance(imports, list) else []
    return [{k: v for k, v in each.items() if k not in ImportTable.model_fields} for each in tables]


def _product(
    path: str, section: str, model: type[Swept], swept: dict[str, Any], problems: list[str]
) -> list[Swept]:
    """The product of the swept keys of a section. Raises `UserError` where it is too large."""
    axes = {key: _values(key, value) for key, value in swept.items()}
    problems += [f"{section}.{key} = []: give at least one value" for key, value in axes.items() if not value]
    if (count := math.prod(len(values) for values in axes.values())) > MOST_COMBINATIONS:
        raise UserError(
            f"{path}: the lists of {section} have {count:,} combinations, more than {MOST_COMBINATIONS:,}"
        )
    found: list[Swept] = []
    for values in itertools.product(*axes.values()):
        try:
            found.append(model.model_validate(dict(zip(axes, values, strict=True))))
        except ValidationError as error:
            problems += explain(error, f"{section}.")
    if found and len(found) == count:
        problems += repeated_values(axes, found, f"{section}.")
    return found


def _imports(
    sections: Sections, trainings: list[Training], shared: dict[str, Any]
) -> dict[Training, Imports]:
    """The files of imported networks, by their configurations; all tables have the `shared` keys."""
    found = {}
    for training, table in zip(trainings, sections.train.import_tables(), strict=False):  # or none of them
        stated = STATABLE & (shared | table.keys).keys()
        found[training] = Imports(tuple(table.names), table.under, tuple(sorted(stated)))
    return found


def _without_train(raw: dict[str, Any]) -> str:
    misspelt = [key for key in raw if key not in Sections.model_fields and nearest(key, ["train"])]
    if misspelt:
        return f"unknown key {misspelt[0]}: did you mean 'train'?"
    found = (
        f"train = {shown(raw['train'])}: expected"
        if "train" in raw
        else "the section train is missing; it is"
    )
    return f"{found} a mapping with at least dataset, width and epochs"


def _with_preset(train: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """The keys of the preset, overridden by those that are given."""
    rest = {key: value for key, value in train.items() if key != "preset"}
    name = train.get("preset")
    if name is None:
        return rest
    if not isinstance(name, str) or name not in PRESETS:
        problems.append(f"train.preset = {name!r}: {valid_choices(name, PRESETS)}")
    preset = PRESETS.get(str(name), {})
    if rest.get("schedule", "milestones") != "milestones":
        preset = {key: value for key, value in preset.items() if key != "milestones"}
    return {**preset, **rest}


def _values(key: str, value: Any) -> list[Any]:
    """The values that a key is swept over."""
    if key in LIST_KEYS:
        swept = isinstance(value, list) and any(isinstance(each, list) for each in value)
        return value if swept else [value]
    return value if isinstance(value, list) else [value]


def _across(sections: Sections, trainings: list[Training]) -> list[str]:
    """Contradictions between the swept keys and the sections."""
    cpu = sections.resources.trial.cpu
    problems = [
        f"train.threads = {training.threads}: more than resources.trial.cpu = {cpu:g}"
        for training in trainings
        if training.threads > max(1, cpu)
    ]
    if not sections.resources.trial.gpu and any(each.device == "cuda" for each in trainings):
        problems.append("train.device = cuda: requires a GPU, or a fraction of one; set resources.trial.gpu")
    if (tables := sections.train.import_tables()) and len(trainings) > len(tables):
        problems.append(
            "train.imports: imported networks have one configuration, so give no lists of values; give "
            "tables of files for several configurations"
        )
    elif tables and len(set(trainings)) < len(tables):
        problems.append(
            "train.imports: two tables say the same of their networks; list their files in one, or say in "
            "what the networks differ (where they differ in `under` alone, give them sweeps of their own)"
        )
    return problems


def _resolved(found: Sequence[BaseModel], swept: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a section with what the file gives, or else with their defaults.

    A default that is not the same for all combinations, such as the depth of several models, stays null.
    """
    first = found[0].model_dump(mode="json")
    alike = {key for key in first if len({getattr(each, key) for each in found}) == 1}
    return {key: swept.get(key, value if key in alike else None) for key, value in first.items()}


def _override(raw: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    *sections, last = key.split(".")
    if not equals or not last:
        raise UserError(f"--set {override}: expected section.key=value")
    mapping = raw
    for section in sections:
        mapping = mapping.setdefault(section, {})
        if not isinstance(mapping, dict):
            raise UserError(f"--set {override}: {section} is not a section")
    try:
        mapping[last] = read_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"--set {override}: the value is not YAML") from error
