"""Reading a sweep file, with overrides, into configurations. Every fault is reported in one clear message."""

import difflib
import itertools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from raysweep.errors import UserError
from raysweep.sweep.presets import PRESETS
from raysweep.sweep.schema import Sections
from raysweep.sweep.train import Training

LIST_KEYS = ("milestones", "examples")  # their values are lists, so a sweep over them is a list of lists

MOST_VALUES = 100_000  # in a sweep file
MOST_BYTES = 10_000_000  # in a sweep file
MOST_TRAININGS = 10_000  # combinations of its lists


@dataclass(frozen=True)
class Sweep:
    """A checked sweep: its sections, the product of the swept keys, and the resolved file."""

    sections: Sections
    trainings: tuple[Training, ...]
    resolved: dict[str, Any]

    @property
    def name(self) -> str:
        return self.sections.name

    @property
    def text(self) -> str:
        """The resolved file."""
        return yaml.safe_dump(self.resolved, sort_keys=False)


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-4 is a number (as in YAML 1.2) and a repeated key is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = sorted({str(key) for key in keys if keys.count(key) > 1})
        if repeated:
            raise yaml.YAMLError(f"the key {repeated[0]!r} appears twice{node.start_mark}")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


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
        if len(text) > MOST_BYTES:
            raise yaml.YAMLError(f"more than {MOST_BYTES:,} bytes")
        raw = yaml.load(text, _Loader)
        _written_out(raw, {})
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # PyYAML lets errors of values through
        raise UserError(f"{path} is not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise UserError(
            f"{path}: a sweep file is a mapping with the sections {', '.join(Sections.model_fields)}"
        )
    return raw


def _written_out(value: Any, known: dict[int, int]) -> int:
    """Count the values when all aliases are written out.

    Raises `yaml.YAMLError` for too many values (each alias may stand for a list of others) and for a value
    that contains itself.
    """
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = (
            MOST_VALUES  # until it is counted, so that a value that contains itself is too many
        )
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_written_out(part, known) for part in parts)
    if known[id(value)] > MOST_VALUES:
        raise yaml.YAMLError(f"more than {MOST_VALUES} values")
    return known[id(value)]


def check(path: str, raw: dict[str, Any]) -> Sweep:
    """Return a sweep from the content of its file; `path` is named in messages. Raises `UserError`."""
    train = raw.get("train")
    if not isinstance(train, dict):
        raise UserError(f"{path}: the section train is missing")
    problems: list[str] = []
    train = _with_preset(train, problems)
    swept = {key: value for key, value in train.items() if key in Training.model_fields}
    try:
        rest = {key: value for key, value in train.items() if key not in Training.model_fields}
        sections = Sections.model_validate({**raw, "train": rest})
    except ValidationError as error:
        problems += _explain(error, "")
    if train.get("imports"):
        problems += ["train.epochs: imported networks are not trained"] if train.get("epochs") else []
        swept["epochs"] = 0
    axes = {key: _values(key, value) for key, value in swept.items()}
    problems += [f"train.{key} = []: give at least one value" for key, value in axes.items() if not value]
    if (count := math.prod(len(values) for values in axes.values())) > MOST_TRAININGS:
        raise UserError(
            f"{path}: the lists of train have {count:,} combinations, more than {MOST_TRAININGS:,}"
        )
    trainings: list[Training] = []
    for values in itertools.product(*axes.values()):
        try:
            trainings.append(Training.model_validate(dict(zip(axes, values, strict=True))))
        except ValidationError as error:
            problems += _explain(error, "train.")
    if not problems:
        problems += _across(sections, trainings)
    if problems:
        raise UserError("\n".join(f"{path}: {problem}" for problem in dict.fromkeys(problems)))
    resolved = sections.model_dump(mode="json")
    resolved["train"] = _defaults(trainings[0], swept) | resolved["train"]
    return Sweep(sections, tuple(dict.fromkeys(trainings)), resolved)


def _with_preset(train: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """The keys of the preset, overridden by those that are given."""
    rest = {key: value for key, value in train.items() if key != "preset"}
    name = train.get("preset")
    if name is None:
        return rest
    if not isinstance(name, str) or name not in PRESETS:
        near = difflib.get_close_matches(str(name), PRESETS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        problems.append(f"train.preset = {name!r}: {hint}valid choices: {', '.join(PRESETS)}")
    preset = PRESETS.get(str(name), {})
    if rest.get("schedule", "milestones") != "milestones":
        preset = {key: value for key, value in preset.items() if key != "milestones"}
    return {**preset, **rest}


def _values(key: str, value: Any) -> list[Any]:
    """The values that a key of `train` is swept over."""
    if key in LIST_KEYS:
        return value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
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
    if sections.train.imports and len(trainings) > 1:
        problems.append("train.imports: imported networks have one configuration, so give no lists of values")
    return problems


def _defaults(training: Training, swept: dict[str, Any]) -> dict[str, Any]:
    return {key: swept.get(key, value) for key, value in training.model_dump(mode="json").items()}


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
        mapping[last] = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise UserError(f"--set {override}: the value is not YAML") from error


def _explain(error: ValidationError, prefix: str) -> list[str]:
    return [_one(dict(problem), prefix) for problem in error.errors()]


def _one(problem: dict[str, Any], prefix: str) -> str:
    path = [str(part) for part in problem["loc"]]
    key = prefix + ".".join(path)
    if problem["type"] == "extra_forbidden":
        valid = _valid_keys(prefix, path[:-1])
        near = difflib.get_close_matches(path[-1], valid, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"unknown key {key}: {hint}valid keys: {', '.join(valid)}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error" and not path:  # a rule between several keys names them itself
        return f"{prefix}{message}"
    return f"{key} = {problem['input']!r}: {message}"


def _valid_keys(prefix: str, path: list[str]) -> list[str]:
    model: Any = Sections
    for part in (prefix + ".".join(path)).strip(".").split("."):
        if part:
            annotation = model.model_fields[part].annotation
            model = next(
                each for each in (annotation, *get_args(annotation)) if hasattr(each, "model_fields")
            )
    keys = list(model.model_fields)
    return sorted([*keys, *Training.model_fields, "preset"]) if path == ["train"] else sorted(keys)
