"""How functions are called that sweep files name: by the names in their signatures."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from raysweep.choices import valid_choices
from raysweep.digest import canonical
from raysweep.errors import UserError

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def taken(function: Callable[..., Any], offered: Collection[str]) -> set[str]:
    """Return which of the offered arguments a function takes by name."""
    parameters = inspect.signature(function).parameters
    return {name for name in offered if _takes_all(parameters) or name in parameters}


def arguments(
    function: Callable[..., Any], offered: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of a call: what is offered and named in the signature, and all options."""
    return {**{name: offered[name] for name in taken(function, offered)}, **options}


def check_options(
    what: str,
    key: str,
    function: Callable[..., Any],
    offered: Collection[str],
    options: Mapping[str, Any],
) -> None:
    """Check that a function can be called with what is offered and with the options of a sweep file.

    `what` names the function in messages, and `key` the key that holds the options. Raises `UserError` for an
    option that the function does not take, with those that it does, for one of another type than its
    annotation says, and for an argument that it requires.
    """
    parameters = inspect.signature(function).parameters
    own = {name: each for name, each in parameters.items() if each.kind in NAMED and name not in offered}
    for name in options:
        if name in offered:
            raise UserError(f"{key}.{name}: {what} is given this argument by raysweep")
        if name not in own and not _takes_all(parameters):
            valid = valid_choices(name, own) if own else "it has none"
            raise UserError(f"{key}.{name}: {what} has no such option; {valid}")
    for name, each in own.items():
        if each.default is inspect.Parameter.empty and name not in options:
            raise UserError(
                f"{key}: {what} requires {name!r}, which is neither among its options nor among the "
                f"arguments that raysweep offers ({', '.join(offered)})"
            )
    _check_types(what, key, function, options)


def _check_types(what: str, key: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Compare options with the annotations of the function's arguments, where these stand for JSON values."""
    try:
        hints = get_type_hints(function) if options else {}
    except (NameError, TypeError, AttributeError):  # of names that only a type checker imports
        return
    for name in options.keys() & hints.keys():
        try:
            TypeAdapter(hints[name]).validate_json(canonical(options[name]), strict=True)
        except (PydanticUserError, NameError):  # not a type of JSON values
            continue
        except ValidationError as error:
            said = "; ".join(dict.fromkeys(each["msg"] for each in error.errors()))
            raise UserError(
                f"{key}.{name} = {options[name]!r}: {what} takes another type ({said})"
            ) from error


def _takes_all(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
