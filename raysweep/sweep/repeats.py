"""Lists of a sweep file that have an item twice: that is an error, whatever the list means."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from raysweep.sweep.problems import shown


def repeated_items(section: BaseModel, prefix: str = "") -> Iterator[str]:
    """Yield a message for each item that a list in a section, or in a section below it, has twice.

    `prefix` is that of its keys, as `train.`.
    """
    for name, value in section:
        parts = value if isinstance(value, list | tuple) else [value]
        for part in parts:
            if isinstance(part, BaseModel):
                yield from repeated_items(part, f"{prefix}{name}.")
        yield from _messages(f"{prefix}{name}", [each for each in parts if not isinstance(each, BaseModel)])


def repeated_values(
    axes: Mapping[str, Sequence[Any]], combinations: Sequence[BaseModel], prefix: str
) -> Iterator[str]:
    """Yield a message for each value that a swept key has twice.

    `axes` has the values of each key as they are written, and `combinations` their product, in which equal
    values look alike however they are written.
    """
    stride = len(combinations)
    for key, values in axes.items():
        stride //= len(values)
        last = stride * len(values)
        yield from _messages(f"{prefix}{key}", [getattr(each, key) for each in combinations[:last:stride]])


def _messages(key: str, items: Iterable[Any]) -> Iterator[str]:
    for item, count in Counter(map(_written, items)).items():
        if count > 1:
            yield f"{key} = {item}: is given {count} times; give each value once"


def _written(item: Any) -> str:
    return shown(item) if item is None or isinstance(item, bool) else str(item)
