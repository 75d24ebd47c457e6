"""Columns that are keys of a sweep file: their types and meanings are those of the schema."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pyarrow as pa
from pydantic import BaseModel

from raysweep.sweep.fields import Arguments
from raysweep.training.moment import Moment

Column = tuple[str, pa.DataType, str]  # its name, type and meaning

_SCALARS: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    Moment: pa.string(),
    Arguments: pa.string(),  # as JSON
}


def key_columns(section: type[BaseModel], keys: Iterable[str], note: str = "") -> list[Column]:
    """Return a column for each of these keys; `note` is appended to what the schema says of it.

    Raises `TypeError` for a key whose type has no column type.
    """
    fields = section.model_fields
    return [(key, column_type(fields[key].annotation), f"{fields[key].description}{note}") for key in keys]


def column_type(annotation: Any) -> pa.DataType:
    """Return the Arrow type of a key's values as tables hold them.

    A key that may be a number or `replicate` is a number there, for tables name the number that was used.
    Raises `TypeError` for a type that has no column type.
    """
    found = {each for each in _alternatives(annotation) if each is not NoneType}
    if int in found:
        found.discard(str)
    if len(found) == 1:
        (kind,) = found
        if get_origin(kind) in (tuple, list):
            return pa.list_(column_type(get_args(kind)[0]))
        if get_origin(kind) is dict:
            return pa.string()  # JSON
        if kind in _SCALARS:
            return _SCALARS[kind]
    raise TypeError(f"no column type for {annotation!r}")


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The types of which a value may be, names among them as text."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        yield from map(type, arguments)
    elif origin is Annotated:
        yield from _alternatives(arguments[0])
    elif origin in (Union, UnionType):
        for each in arguments:
            yield from _alternatives(each)
    elif isinstance(annotation, type) and issubclass(annotation, StrEnum):
        yield str
    else:
        yield annotation
