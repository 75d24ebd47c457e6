"""Axes: the scale that is linear near zero, the line at the threshold, and legends outside of panels."""

import math
from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, SymmetricalLogLocator

from analysis.statistics.deciding import THRESHOLD

LINEAR = 0.01  # the scale is linear from zero to here and logarithmic above
BELOW_ZERO = LINEAR / 12  # how far an axis from zero reaches below it, so that marks there are whole
BELOW_LOWEST = 1.3  # a logarithmic axis starts below its lowest mark by this factor
FEWEST_TICKS = 3  # an axis with fewer at 1, 2 and 5 times powers of ten has round numbers at equal distances


class _Ticks(SymmetricalLogLocator):
    """Ticks of a symlog axis, from which values can be read over however short a range."""

    def __init__(self) -> None:
        super().__init__(base=10, linthresh=LINEAR, subs=[1, 2, 5])

    def tick_values(self, vmin: float, vmax: float) -> Any:
        found = super().tick_values(vmin, vmax)
        shown = [tick for tick in found if vmin <= tick <= vmax]
        if len(shown) >= FEWEST_TICKS and (vmax > LINEAR or vmin < -LINEAR):
            return found
        return MaxNLocator(2 * FEWEST_TICKS, steps=[1, 2, 5, 10]).tick_values(vmin, vmax)


def symlog(axis: Axes) -> None:
    """Make the vertical axis linear near zero and logarithmic above, and let its marks be whole."""
    lowest = axis.dataLim.y0
    if lowest < LINEAR:
        axis.axhline(0, color="0.4", linewidth=0.8)
    if 0 <= lowest < math.inf:  # infinite where the panel is empty
        axis.set_ylim(bottom=-BELOW_ZERO if lowest < LINEAR else lowest / BELOW_LOWEST)
    axis.set_yscale("symlog", linthresh=LINEAR, linscale=0.5)
    axis.yaxis.set_major_locator(_Ticks())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def legend_below(axis: Axes) -> None:
    """Put the legend below the panel, because lines may be anywhere inside."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(
            frameon=False,
            fontsize=8,
            ncols=2,
            handlelength=3.5,  # long enough to tell dashes from dots
            loc="upper center",
            bbox_to_anchor=(0.5, -0.13),
        )


def at_threshold(axis: Axes) -> None:
    """Draw the line at an error barrier of 0.02, with its value outside of the panel.

    Both are left out of a panel that does not reach there.
    """
    axis.axhline(THRESHOLD, color="0.4", linestyle="--", linewidth=1)
    axis.annotate(
        str(THRESHOLD),
        (1, THRESHOLD),
        (2, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        annotation_clip=True,
        va="center",
        color="0.3",
        fontsize=8,
    )


def legend(figure: Figure, axes: Iterable[Axes], ncols: int) -> None:
    """Put one legend below the figure that names every series of its axes once."""
    named: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    figure.legend(
        list(named.values()),
        list(named),
        loc="outside lower center",
        ncols=ncols,
        frameon=False,
        fontsize=9,
    )
