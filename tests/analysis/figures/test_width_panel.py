import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis.figures.marks import Mark
from analysis.figures.style import looks
from analysis.figures.width_panel import lines

NAN = float("nan")


def test_means_at_or_below_zero_are_censored_on_the_floor():
    frame = pd.DataFrame(
        {
            "x": [8, 16, 32],
            "series": "direct",
            "mean": [0.4, 0.2, -0.1],
            "low": [0.3, NAN, -0.2],
            "high": [0.5, NAN, 0.1],
            "n": [6, 6, 3],
        }
    )
    figure, axis = plt.subplots()
    lines(axis, frame, {"direct": Mark("#000000", "o"), "absent": Mark("#0072B2", "s")}, threshold=True)
    line, censored = axis.lines[:2]
    assert np.allclose(line.get_ydata(), [0.4, 0.2, 0.1])
    assert (list(censored.get_xdata()), list(censored.get_ydata())) == ([32], [0.1])
    assert axis.get_legend_handles_labels()[1] == ["direct (n = 3-6)", "at or below zero"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["8", "16", "32"]
    plt.close(figure)


def test_intervals_are_drawn_to_their_ends():
    """To a tenth of the smallest mean; what lies lower, zero and less among it, would flatten the rest."""
    at = {"x": [8, 16], "mean": [0.4, 0.2], "high": [0.9, 0.9], "n": 6}
    frame = pd.concat(
        [
            pd.DataFrame({**at, "series": "one", "low": [0.3, 0.03]}),
            pd.DataFrame({**at, "series": "two", "low": -1}),
        ]
    )
    figure, axis = plt.subplots()
    lines(axis, frame, looks(["one", "two"]))
    lowest = [band.get_paths()[0].vertices[:, 1].min() for band in axis.collections]
    assert lowest == pytest.approx([0.03, 0.03])
    plt.close(figure)


def test_many_series_lie_beside_each_other():
    names = [f"series {place}" for place in range(9)]
    frame = pd.DataFrame(
        [{"x": x, "series": s, "mean": 0.1, "low": 0.05, "high": 0.2, "n": 6} for x in (8, 16) for s in names]
    )
    marks, (figure, axis) = looks(names), plt.subplots()
    lines(axis, frame, marks)
    first = [container.lines[0].get_xdata()[0] for container in axis.containers]
    assert len(set(first)) == len(names)
    assert max(first) / min(first) < 1.3  # clearly nearer to 8 than to 16
    assert len(set(marks.values())) == len(names)
    plt.close(figure)
