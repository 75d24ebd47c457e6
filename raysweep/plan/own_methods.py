"""Whether the user's own methods of alignment and measures can be called, before anything is done."""

import inspect

from raysweep.registry import check_options
from raysweep.sweep.align import Align
from raysweep.sweep.compare import Compare
from raysweep.sweep.methods import METHODS, OF_A_PAIR, OFFERED, of_ours


def check_own_methods(align: Align, compare: Compare) -> None:
    """Import the functions of methods and measures, and compare their signatures with what they will get.

    Raises `UserError` where a function cannot be imported, does not take an option that is given, or requires
    an argument that is neither offered nor given.
    """
    for own in align.own_functions():
        key, options = f"align.method_options.{own.name}", align.options_of(own.name)
        check_options(str(own), key, own.load(), OFFERED, options)
    for own in compare.own_functions():  # measures have no options
        from raysweep.connectivity.measuring import OFFERED as TO_MEASURES  # imports torch

        check_options(str(own), "compare.measures", own.load(), TO_MEASURES, {})


def aligns_jointly(method: str) -> bool:
    """Whether a method aligns more than two networks at once; a user's own does unless it takes a pair.

    Raises `UserError` for a user's function that cannot be imported.
    """
    entry = of_ours(method)
    if entry is None:
        parameters = inspect.signature(METHODS.function(method)).parameters
        return not OF_A_PAIR & parameters.keys()
    return entry.joint is not None
