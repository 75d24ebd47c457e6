"""Every key of a sweep file, from the schema that checks the file: as Markdown, and for messages."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml
from pydantic import BaseModel

from raysweep.registry import Registry
from raysweep.sweep.branches import BRANCHES
from raysweep.sweep.measures import MEASURES
from raysweep.sweep.methods import METHODS
from raysweep.sweep.presets import PRESETS
from raysweep.sweep.prune import Pruning
from raysweep.sweep.schema import Sections
from raysweep.sweep.train import CHOICES, REGISTRIES, Training

Json = dict[str, Any]

PRESET = {
    "enum": list(PRESETS),
    "default": None,
    "description": "The name of a published setting whose keys are the defaults; every key overrides them.",
}
WORDS = {
    "integer": "integer",
    "number": "number",
    "boolean": "`true`, `false`",
    "string": "text",
    "object": "mapping",
}
ARTICLES = {"integer": "an", "number": "a", "mapping": "a", "moment": "a"}
LIMITS = {  # the second name is that within lists and alternatives
    "minimum": "from",
    "ge": "from",
    "exclusiveMinimum": "above",
    "gt": "above",
    "maximum": "up to",
    "le": "up to",
    "exclusiveMaximum": "below",
    "lt": "below",
    "multipleOf": "in steps of",
}
NAME = "letters, digits, `_`, `.` and `-`, the first of them a letter or a digit"  # what a pattern allows


@dataclass(frozen=True)
class Key:
    """A key or section for messages: its valid values in `words`, and the keys `below` it, if any.

    `names` lists its values where they are names alone. `item` is an item of its list, or the key itself.
    """

    words: str
    names: tuple[str, ...]
    below: tuple[str, ...]
    numeric: bool
    optional: bool = False
    items: "Key | None" = None

    @property
    def item(self) -> "Key":
        return self.items or self


@lru_cache(maxsize=1)
def keys() -> dict[str, Key]:
    """Return every section and key by its path, such as `train.width`."""
    whole, swept, pruning = _schema(Sections), _schema(Training), _schema(Pruning)
    found = dict(_keys(whole["properties"], whole, ""))
    found |= _keys({"preset": PRESET, **_swept(swept)}, swept, "train.")
    found |= _keys(pruning["properties"], pruning, "prune.")
    for section in ("train", "prune"):
        below = (path.removeprefix(f"{section}.") for path in found if path.startswith(f"{section}."))
        top = tuple(name for name in below if "." not in name)
        found[section] = Key(_mapping(top), (), top, False)
    return found


def _keys(properties: Json, whole: Json, before: str) -> Iterator[tuple[str, Key]]:
    for name, key in properties.items():
        nested = {n: k for fields in _forms(key, whole) for n, k in fields.items()}
        yield f"{before}{name}", _key(key, whole, tuple(nested))
        yield from _keys(nested, whole, f"{before}{name}.")


def _key(key: Json, whole: Json, below: tuple[str, ...] = ()) -> Key:
    values = _values(key, whole)
    if _fields(key, whole):
        return Key(_mapping(below), (), below, False)
    definition = _definition(key, whole) if "$ref" in key else key
    names = tuple(map(str, definition.get("enum") or ()))
    item = _key(key["items"], whole) if "items" in key else None
    words = NAME if "pattern" in key else " or ".join(map(_with_article, values.split(" or ")))
    numeric = "integer" in values or "number" in values
    optional = any(form.get("type") == "null" for form in key.get("anyOf", []))
    return Key(words.replace("`", ""), names, below, numeric, optional, item)


def _mapping(names: tuple[str, ...]) -> str:
    return f"a section with keys among {', '.join(sorted(names))}"


def _with_article(values: str) -> str:
    of_list, one = "list of ", values.removeprefix("list of ")
    if values.startswith(of_list):
        return f"a list, each item of which is {_with_article(one)}"
    if ", " in values and values[0] not in "[{":
        return f"one of {values}"
    return f"{ARTICLES.get(values.split()[0], '')} {values}".strip()


def _swept(schema: Json) -> Json:
    return {name: {"enum": list(CHOICES.get(name, ())), **key} for name, key in schema["properties"].items()}


def reference() -> str:
    """Return a table for each section, with the values, the default and the meaning of every key."""
    whole = _schema(Sections)
    sections = {name: key for name, key in whole["properties"].items() if not _fields(key, whole)}
    tables = [
        ("The top", _rows(sections, whole)),
        ("`train`, swept", _rows({"preset": PRESET, **_swept(_schema(Training))}, whole)),
    ]
    for name, key in whole["properties"].items():
        if fields := _fields(key, whole):
            title = f"`{name}`, not swept" if name in ("train", "prune") else f"`{name}`"
            if name == "prune":
                pruning = _schema(Pruning)
                tables.append(("`prune`, swept", _rows(pruning["properties"], pruning)))
            tables.append((title, _rows(fields, whole)))
    return "\n".join([*(line for title, rows in tables for line in _table(title, rows)), *_names()])


def _names() -> Iterator[str]:
    """A table of what the names stand for that are looked up in registries."""
    yield from ("## Names", "", "| key | name | meaning |", "| --- | --- | --- |")
    named: dict[str, Registry[Any]] = {f"train.{key}": registry for key, registry in REGISTRIES.items()}
    named |= {"prune.branches": BRANCHES, "align.methods": METHODS, "compare.measures": MEASURES}
    for key, registry in named.items():
        yield from (f"| `{key}` | `{name}` | {entry.meaning} |" for name, entry in registry.items())
        if registry.own:
            yield f"| `{key}` | `module:function` | A function of your own. |"
    yield ""


def _schema(model: type[BaseModel]) -> Json:
    return model.model_json_schema(mode="serialization")


def _table(title: str, rows: Iterator[str]) -> Iterator[str]:
    yield from (f"## {title}", "", "| key | values | default | meaning |", "| --- | --- | --- | --- |")
    yield from rows
    yield ""


def _rows(keys: Json, whole: Json, before: str = "") -> Iterator[str]:
    for name, key in keys.items():
        if fields := _fields(key, whole):
            yield from _rows(fields, whole, f"{before}{name}.")
        else:
            meaning = key.get("description", "")
            yield f"| `{before}{name}` | {_values(key, whole)} | {_default(key)} | {meaning} |"


def _fields(key: Json, whole: Json) -> Json | None:
    """The keys of a nested section; None for a value, as of an enumeration."""
    forms = [each for each in key.get("anyOf", [key]) if each.get("type") != "null"]
    fields = _forms(key, whole)
    return fields[0] if len(forms) == len(fields) == 1 else None


def _forms(key: Json, whole: Json) -> list[Json]:
    """The keys of every form of a value that is a mapping."""
    given = [_definition(each, whole) for each in key.get("anyOf", [key]) if "$ref" in each]
    return [each["properties"] for each in given if "properties" in each]


def _definition(key: Json, whole: Json) -> Json:
    found: Json = whole["$defs"][key["$ref"].rpartition("/")[2]]
    return found


def _values(key: Json, whole: Json) -> str:
    if "anyOf" in key:
        return " or ".join(_values(each, whole) for each in key["anyOf"] if each.get("type") != "null")
    if "$ref" in key:
        definition = _definition(key, whole)
        fields = definition.get("properties")
        if fields is None:
            return _values(definition, whole)
        return "{" + ", ".join(f"{name}: {_values(each, whole)}" for name, each in fields.items()) + "}"
    if key.get("enum"):
        return ", ".join(f"`{value}`" for value in key["enum"])
    if "const" in key:
        return f"`{key['const']}`"
    if key["type"] == "array":
        if "prefixItems" in key:
            return "[" + ", ".join(_values(each, whole) for each in key["prefixItems"]) + "]"
        return f"list of {_values(key['items'], whole)}"
    if "pattern" in key:
        return NAME
    limits = [f"{word} {key[limit]:g}" for limit, word in LIMITS.items() if limit in key]
    kind: str = key["type"]
    return " ".join([WORDS.get(kind, kind), *limits])


def _default(key: Json) -> str:
    if "default" not in key:
        return "required"
    if key["default"] is None:
        return ""
    text = yaml.safe_dump(key["default"], default_flow_style=True, width=1000)
    return f"`{text.splitlines()[0]}`"
