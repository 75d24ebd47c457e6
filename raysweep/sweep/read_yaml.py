"""Reading YAML as in YAML 1.2, without the surprises of older versions.

YAML 1.1 takes 010 for 8, 1:30 for 90, 1_000 for 1000 and yes for true. Here these are texts, which keys that
expect numbers refuse.
"""

import re
from typing import Any

import yaml

MOST_VALUES = 100_000  # in a sweep file
MOST_BYTES = 10_000_000  # in a sweep file

_PLAIN = {  # what a plain word is, with the characters that it may begin with
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (
        r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}


class _Loader(yaml.SafeLoader):
    """YAML in which a repeated key is an error."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's way to replace those of YAML 1.1)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = sorted({str(key) for key in keys if keys.count(key) > 1})
        if repeated:
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"the key {repeated[0]!r} appears twice in the mapping of line {line}")
        return super().construct_mapping(node, deep)


for _name, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _first)


def read_yaml(text: bytes | str) -> Any:
    """Return the content of a YAML text.

    Raises `yaml.YAMLError`, `ValueError` or `RecursionError` for a text that is not YAML, is too large,
    repeats a key, or contains itself.
    """
    if len(text) > MOST_BYTES:
        raise yaml.YAMLError(f"more than {MOST_BYTES:,} bytes")
    content = yaml.load(text, _Loader)
    _written_out(content, {})
    return content


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
