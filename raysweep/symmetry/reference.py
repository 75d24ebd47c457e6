"""Which operations are understood, and what they leave alone, as Markdown for the README."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from raysweep.symmetry.operations import (
    PRODUCTS,
    RESHAPES,
    TRANSPOSITIONS,
    arranging,
    elementwise,
    recurrent,
    reducing,
)


@dataclass(frozen=True)
class Rule:
    """What operations of these names do to hidden units."""

    names: tuple[str, ...]
    moves: str
    alone: str = ""  # left in place


RULES = (
    Rule(
        elementwise.ELEMENTWISE,
        "axes of equal length move together",
        "units that meet places of the input, or a constant whose entries differ",
    ),
    Rule(
        (*elementwise.CONVERSIONS, *elementwise.DROPOUTS, *elementwise.SOFTMAXES),
        "unchanged",
        "dropout that is random in evaluation mode",
    ),
    Rule(
        (*PRODUCTS, "einsum", "linear", "bilinear"),
        "axes of one subscript together; heads of attention, and the units inside each",
        "a diagonal (`ii`)",
    ),
    Rule(
        ("scaled_dot_product_attention",),
        "heads, the units of queries and keys inside each, and those of values",
        "random dropout",
    ),
    Rule(
        ("conv1d", "conv2d", "conv3d"),
        "channels; with `groups` inside their block, and whole blocks",
        "units that a window slides over",
    ),
    Rule(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        "channels",
        "units that a window slides over; all with `groups`",
    ),
    Rule(("batch_norm", "instance_norm", "prelu"), "channels"),
    Rule(("layer_norm", "rms_norm", "weight_norm"), "the normalised entries"),
    Rule(
        ("group_norm",),
        "channels inside their block, and whole blocks",
        "the order of blocks that hold those of another operation",
    ),
    Rule(
        (*recurrent.GATES, *recurrent.CELLS),
        "the units of each layer and direction, alike in all gates",
        "all with a projection, or for packed sequences",
    ),
    Rule(("embedding",), "the entries of the vectors", "the rows, which are tokens"),
    Rule(("glu",), "gates with what they gate"),
    Rule(
        (*RESHAPES, "channel_shuffle", "pixel_shuffle", "pixel_unshuffle"),
        "units as blocks of entries, or blocks of units; two joined axes, each on its own",
    ),
    Rule((*TRANSPOSITIONS,), "axes change places"),
    Rule(
        ("getitem", "setitem", "select", "narrow", "unbind", "chunk", "split", "tensor_split"),
        "slices divide a group",
        "units taken by number or in steps; all for conditions or several lists as an index",
    ),
    Rule(("cat", "concat", "concatenate", "stack", "repeat", "tile"), "joined groups, side by side"),
    Rule(
        ("expand", "expand_as", "broadcast_to", "repeat_interleave"), "copies of an entry are interchangeable"
    ),
    Rule(
        ("pad",),
        "padded constants are interchangeable",
        "along an axis that is not padded by a constant; all for negative padding",
    ),
    Rule(
        (*reducing.POOLS, "interpolate", "upsample"),
        "channels",
        "units that a window slides over",
    ),
    Rule((*reducing.REDUCTIONS,), "all but the axes that vanish", "all where positions are returned too"),
    Rule((*arranging.ALONG,), "all but the axes that are named", "those"),
)


def describe() -> str:
    """Return the rules as a table, and what becomes of everything else."""
    lines = ["| operations | what moves | what is left alone |", "| --- | --- | --- |"]
    lines += [f"| {_listed(rule.names)} | {rule.moves} | {rule.alone} |" for rule in RULES]
    rest = (
        "Units that reach any other operation, such as `gather`, or one that turns a tensor into a Python "
        "number, stay in place, and so do those of arguments that are not understood. `spec.left_alone` "
        "names the operation, the module and the line of code."
    )
    return "\n".join([*lines, "", *textwrap.wrap(rest, 118), ""])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
