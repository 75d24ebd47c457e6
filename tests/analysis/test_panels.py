import numpy as np
import pandas as pd

from analysis.panels import lines
from analysis.style import Mark, plt

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
