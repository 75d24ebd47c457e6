"""What every figure must show."""

import re

from matplotlib.figure import Figure

from analysis.figures.style import INTERVALS
from analysis.statistics.jackknife import METHOD

UNITS = re.compile(r"\((share|nats|share of [a-z ]+)\)")


def record(monkeypatch):
    """Return the list of the figures that are saved from now on; they are saved as ever."""
    figures, savefig = [], Figure.savefig

    def saved(figure, *arguments, **more):
        figures.append(figure)
        savefig(figure, *arguments, **more)

    monkeypatch.setattr(Figure, "savefig", saved)
    return figures


def texts(figure):
    """All that is written in a figure's titles, legends and labels."""
    legends = [*figure.legends, *(axis.get_legend() for axis in figure.axes if axis.get_legend())]
    found = [figure.get_suptitle(), *(text.get_text() for legend in legends for text in legend.get_texts())]
    for axis in figure.axes:
        found += [axis.get_title(), axis.get_xlabel(), axis.get_ylabel()]
    return found


def quantity(axis):
    """What an axis measures: its own label, or that of the first in its row."""
    place = axis.get_subplotspec()
    if axis.get_ylabel() or place is None:
        return axis.get_ylabel()
    row = [other for other in axis.figure.axes if other.get_subplotspec() is not None]
    first = [o for o in row if o.get_subplotspec().rowspan == place.rowspan and o.get_ylabel()]
    return first[0].get_ylabel() if first else ""


def check_caption(text, title):
    """Assert that a caption is one sentence that names the setting, the intervals and the counts."""
    assert f"({title}): means with " in text
    assert INTERVALS in text
    assert re.search(r", n = \d+( to [1-9]\d*)? [a-z ,]+\.$", text), text


def has_threshold(axis):
    line = any(list(line.get_ydata()) == [0.02, 0.02] for line in axis.lines)
    return line and any(text.get_text() == "0.02" for text in axis.texts)


def check(figure, title):
    """Assert title, what the intervals are, units, the line at 0.02 wherever errors are, and counts."""
    head = figure.get_suptitle().replace("\n", " ")
    assert title in head
    assert METHOD in head
    figure.draw_without_rendering()
    for text in (*figure.texts, *figure.legends):
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0, "wider than the figure"
        assert box.x1 <= figure.bbox.x1, "wider than the figure"
    shown = [axis for axis in figure.axes if axis.axison]
    for axis in shown:
        assert UNITS.search(quantity(axis)), quantity(axis)
        assert has_threshold(axis) == ("error" in quantity(axis)), quantity(axis)
    assert any("n = " in text for text in texts(figure))
