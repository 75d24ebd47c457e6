"""Whether the user's own methods of alignment can be called as a sweep asks for, before anything is done."""

import inspect

from raysweep.errors import UserError
from raysweep.registry import OwnFunction, taken
from raysweep.sweep.align import Align
from raysweep.sweep.methods import OF_A_PAIR, OFFERED, of_ours


def check_own_methods(align: Align) -> None:
    """Import the functions and compare their signatures with what they will get.

    Raises `UserError` where a function cannot be imported, does not take an option that is given, or requires
    an argument that is neither offered nor given.
    """
    for own in align.own_functions():
        _check_arguments(own, align.options_of(own.name))


def aligns_jointly(method: str) -> bool:
    """Whether a method aligns more than two networks at once; a user's own does unless it takes a pair.

    Raises `UserError` for a user's function that cannot be imported.
    """
    entry = of_ours(method)
    if entry is None:
        parameters = inspect.signature(OwnFunction("alignment method", method).load()).parameters
        return not OF_A_PAIR & parameters.keys()
    return entry.joint is not None


def _check_arguments(own: OwnFunction, options: dict[str, object]) -> None:
    function = own.load()
    for option in options:
        if option in OFFERED or not taken(function, [option]):
            raise UserError(f"{own}: align.method_options gives it {option!r}, which is not an option of it")
    for name, parameter in inspect.signature(function).parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if required and name not in OFFERED and name not in options:
            raise UserError(
                f"{own}: its argument {name!r} is neither in align.method_options nor among what is offered: "
                f"{', '.join(OFFERED)}"
            )
