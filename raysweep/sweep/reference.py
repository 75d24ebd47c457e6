"""Every key of a sweep file as Markdown, for `sweeps/README.md`, from the schema that checks the file."""

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from raysweep.sweep.presets import PRESETS
from raysweep.sweep.schema import Sections
from raysweep.sweep.train import CHOICES, Training

Json = dict[str, Any]

PRESET = {
    "enum": list(PRESETS),
    "default": None,
    "description": "The name of a published setting whose keys are the defaults; every key overrides them.",
}
WORDS = {"integer": "integer", "number": "number", "boolean": "`true`, `false`", "string": "text"}
LIMITS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}


def reference() -> str:
    """Return a table for each section, with the values, the default and the meaning of every key."""
    whole = _schema(Sections)
    swept = {
        name: {"enum": CHOICES.get(name), **key} for name, key in _schema(Training)["properties"].items()
    }
    sections = {name: key for name, key in whole["properties"].items() if not _fields(key, whole)}
    tables = [
        ("The top", _rows(sections, whole)),
        ("`train`, swept", _rows({"preset": PRESET, **swept}, whole)),
    ]
    for name, key in whole["properties"].items():
        if fields := _fields(key, whole):
            title = "`train`, not swept" if name == "train" else f"`{name}`"
            tables.append((title, _rows(fields, whole)))
    return "\n".join(line for title, rows in tables for line in _table(title, rows))


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
    given = [each for each in key.get("anyOf", [key]) if each.get("type") != "null"]
    if len(given) == 1 and "$ref" in given[0]:
        return _definition(given[0], whole).get("properties")
    return None


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
