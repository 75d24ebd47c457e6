"""Axes that are linear near zero: what can be read from them, and the line at 0.02."""

import warnings

import pytest

from analysis.figures.axes import at_threshold, symlog
from analysis.figures.style import plt


@pytest.fixture
def axis():
    figure, (axis, _) = plt.subplots(1, 2, constrained_layout=True)
    yield axis
    plt.close(figure)


def drawn(axis, values):
    """Draw values and the threshold; returns the ticks that are seen."""
    axis.plot(range(len(values)), values)
    symlog(axis)
    at_threshold(axis)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axis.figure.canvas.draw()
    low, high = axis.get_ylim()
    return [tick for tick in axis.get_yticks() if low <= tick <= high]


@pytest.mark.parametrize(
    "values", [(0.28, 0.57), (0.51, 0.9), (1.01, 1.9), (0.0, 0.004), (-0.3, 0.05), (0.0, 0.0), (1e-4, 40)]
)
def test_every_range_has_ticks_to_read_values_by(axis, values):
    assert len(drawn(axis, values)) >= 3


def test_ticks_over_decades_are_1_2_and_5(axis):
    assert drawn(axis, (0.011, 0.3)) == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2])


@pytest.mark.parametrize(("values", "shown"), [((0.3, 0.5), False), ((0.01, 0.5), True), ((0.0, 0.02), True)])
def test_a_panel_far_above_the_threshold_leaves_its_value_out(axis, values, shown):
    """Room for it, as far below as it would be, would leave none for the panel."""
    drawn(axis, values)
    (text,) = axis.texts
    assert (text.get_tightbbox(axis.figure.canvas.get_renderer()).width > 0) == shown
