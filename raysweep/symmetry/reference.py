"""Which operations and layers are understood, and what they leave alone, as Markdown for the README."""

from collections.abc import Iterable
from dataclasses import dataclass

from raysweep.symmetry.modules import MODULES
from raysweep.symmetry.operations import elementwise, reducing

REFUSED = (
    *("softmax", "scaled_dot_product_attention", "einsum", "bmm", "cumsum", "sort", "topk", "gather"),
    *("roll", "flip", "setitem", "item"),
)
REFUSED_LAYERS = ("MultiheadAttention", "LSTM", "Embedding", "Softmax", "GLU")


@dataclass(frozen=True)
class Rule:
    """What operations of these names do to hidden units."""

    names: tuple[str, ...]
    moves: str
    alone: str = ""  # left in place
    refused: str = ""


RULES = (
    Rule(
        elementwise.ELEMENTWISE,
        "axes of equal length move together",
        "units that meet places of the input, or a constant whose entries differ",
    ),
    Rule((*elementwise.CONVERSIONS, *elementwise.DROPOUTS), "unchanged", refused="random in evaluation mode"),
    Rule(
        ("linear", "matmul", "mm"),
        "both axes of the weight",
        refused="`matmul` of other tensors than matrices",
    ),
    Rule(
        ("conv1d", "conv2d", "conv3d"),
        "channels; with `groups` inside their block, and whole blocks",
        "units that a window slides over",
    ),
    Rule(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        "channels",
        "units that a window slides over",
        "`groups`",
    ),
    Rule(("batch_norm", "instance_norm", "prelu"), "channels", refused="an input without channels"),
    Rule(("layer_norm", "rms_norm"), "the normalised entries"),
    Rule(
        ("group_norm",),
        "channels inside their block, and whole blocks",
        "the order of blocks that hold those of another operation",
    ),
    Rule(
        ("flatten", "view", "reshape", "squeeze", "unsqueeze", "unflatten", "ravel", "view_as", "reshape_as"),
        "units as blocks of entries, or blocks of units",
        "of two joined axes that move the inner one",
        "another type or size",
    ),
    Rule(("permute", "transpose", "swapaxes", "swapdims", "t"), "axes change places"),
    Rule(("getattr",), "`T` and `data`; shapes are numbers", refused="other attributes"),
    Rule(
        ("getitem", "chunk", "split"),
        "slices divide a group",
        "units taken by number or in steps",
        "lists, masks and tensors as an index",
    ),
    Rule(("cat", "concat", "concatenate", "stack"), "joined groups, side by side"),
    Rule(("expand", "expand_as"), "copies of an entry are interchangeable"),
    Rule(
        ("pad",),
        "padded constants are interchangeable",
        "along an axis that is not padded by a constant",
        "negative padding",
    ),
    Rule(
        (*reducing.POOLS, "interpolate", "upsample"),
        "channels",
        "units that a window slides over",
        "indices of maxima",
    ),
    Rule(reducing.REDUCTIONS, "all but the axes that vanish"),
)


def describe() -> str:
    """Return the rules as a table, and what is refused."""
    lines = [
        "| operations (layers) | what moves | what is left alone | refused |",
        "| --- | --- | --- | --- |",
    ]
    for rule in RULES:
        layers = [module.__name__ for module, (name, _) in MODULES.items() if name in rule.names]
        what = _listed(rule.names) + (f" ({_listed(layers)})" if layers else "")
        lines.append(f"| {what} | {rule.moves} | {rule.alone} | {rule.refused} |")
    refused = f"Refused by name is everything else, such as {_listed(REFUSED)}, {_listed(REFUSED_LAYERS)},"
    lines += ["", refused, "layers with hooks, and conditions on values.", ""]
    return "\n".join(lines)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
