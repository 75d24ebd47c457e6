"""What pydantic finds wrong with a sweep file, in words: the key, its value, and what would be valid."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from raysweep.choices import nearest, valid_choices
from raysweep.sweep.reference import Key, keys
from raysweep.training.moment import FORMS

UNKNOWN = ("extra_forbidden", "invalid_key")
AS_IN_YAML = {None: "null", True: "true", False: "false"}
DIGITS = "; write a number in decimal digits, without a leading 0, colons, underscores or quotes"


def explain(error: ValidationError, prefix: str = "") -> list[str]:
    """Return a message for each wrong key; `prefix` is the section in which the keys lie, as `train.`.

    Where a key may have several forms, pydantic says for each of them what is wrong, and this says it once.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for problem in error.errors():
        path = [*prefix.split(".")[:-1], *problem["loc"]]
        found.setdefault(_key(path, problem["type"]), []).append({**problem, "path": path})
    return [message for key, problems in found.items() for message in _messages(key, problems)]


def _key(path: list[Any], kind: str) -> str:
    """Return the longest part of a path that names a key of a sweep file, or the path of an unknown key."""
    if kind in UNKNOWN:
        return ".".join(map(str, path))
    names = [".".join(map(str, path[:end])) for end in range(len(path), 0, -1)]
    return next((name for name in names if name in keys()), "")


def _messages(key: str, problems: list[dict[str, Any]]) -> Iterator[str]:
    first = min(problems, key=lambda problem: len(problem["path"]))
    if first["type"] in UNKNOWN:
        yield _unknown(first["path"])
    elif first["type"] == "missing":
        yield f"{key} is missing"
    elif all(problem["type"] == "value_error" for problem in problems):  # by a rule of our own
        for problem in problems:
            yield _by_rule(key, problem)
    elif len(problems) > 1 and not _only_places(key, problems):
        yield f"{key} = {shown(first['input'])}: {_expected(keys()[key], first['input'])}"
    else:
        for problem in problems:
            place, value = _place(key, problem["path"]), problem["input"]
            node = keys()[key].item if place != key else keys()[key]
            yield f"{place} = {shown(value)}: {_expected(node, value)}"


def _by_rule(key: str, problem: dict[str, Any]) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not key or keys()[key].below:  # a rule between several keys names them itself
        return f"{key}{'.' if key else ''}{message}"
    return f"{_place(key, problem['path'])} = {shown(problem['input'])}: {message}"


def _only_places(key: str, problems: Iterable[dict[str, Any]]) -> bool:
    """Whether all problems lie in items of a list, which has no other form."""
    return all(_place(key, problem["path"]) != key for problem in problems)


def _place(key: str, path: list[Any]) -> str:
    """Return the key, with the place in its list where the problem lies in one item of a list."""
    rest = path[len(key.split(".")) :]
    return f"{key}.{rest[0]}" if rest and isinstance(rest[0], int) else key


def _unknown(path: list[Any]) -> str:
    section, name = ".".join(map(str, path[:-1])), path[-1]
    valid = keys()[section].below if section else [each for each in keys() if "." not in each]
    near = nearest(name, valid) or _elsewhere(name)
    hint = f"did you mean {near!r}? " if near else ""
    return f"unknown key {'.'.join(map(str, path))}: {hint}valid keys: {', '.join(sorted(valid))}"


def _elsewhere(name: object) -> str | None:
    """Return the key of another section that a name stands for; the options of methods come last."""
    ordered = sorted(keys(), key=lambda each: each.count("."))[::-1]
    last = {each.rpartition(".")[2]: each for each in ordered}
    meant = name if name in last else nearest(name, last)
    return last.get(str(meant))


def _expected(node: Key, value: Any) -> str:
    if node.names:
        return valid_choices(value, node.names)
    said = f"expected {node.words}"
    if "moment" in node.words:
        said += f"; a moment is {FORMS}"
    if isinstance(value, float) and not math.isfinite(value):
        said += "; it must be finite"
    return said + (DIGITS if isinstance(value, str) and value[:1].isdigit() and node.numeric else "")


def shown(value: Any) -> str:
    """Return a value as the user wrote it."""
    return AS_IN_YAML[value] if value is None or isinstance(value, bool) else repr(value)
