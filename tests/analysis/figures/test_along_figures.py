"""What every figure of networks along training and pruning must say: what it is of, units, 0.02, n."""

import re

import pandas as pd
import pytest

from analysis import pruning, trajectory, transport
from analysis.pruning import figure as pruning_figure
from analysis.statistics.jackknife import METHOD
from analysis.trajectory import figure as trajectory_figure
from analysis.transport import figure as transport_figure
from tests.analysis import pruned, trained
from tests.analysis.figure_checks import check_caption
from tests.analysis.pruned import NAMES, branch, dense_and_chains, level_rows, start_rows


def of_training(folder):
    rows = trained.along() + trained.stack(2, 0.02, 0.03) + trained.stack(3, 0.01, 0.02)
    for direction in ("bottom_up", "top_down", "one_in", "one_out"):
        rows += trained.hybrid(direction, 1, 0.01, 0.1)
    trained.write(folder, rows)
    trajectory.analyse(folder)


def of_pruning(folder):
    rows = []
    for step in (pruned.REWIND, pruned.END):
        for level in (0, *pruned.LEVELS):
            rows += level_rows("unaligned", level, 0.3, 1.0, step=step)
            for found in {0, level}:
                rows += level_rows("direct", level, 0.01, 0.1, step=step, found=found)
    pruned.write(folder, barriers=rows, trials=dense_and_chains())
    pruning.analyse(folder)


def of_masks(folder):
    trials = dense_and_chains()
    for name, mask in zip(NAMES, NAMES[1:] + NAMES[:1], strict=True):
        trials += branch("random", name, name, loss=2.3, error=0.95) + branch("one_shot", name, name)
        for permutation in ("none", "dense", "level"):
            trials += branch("transport", name, mask, permutation, loss=0.2)
    pruned.write(folder, trials=trials, metrics=start_rows())
    transport.analyse(folder)


EVERY = {
    "trajectory": (trajectory_figure, of_training),
    "pruning": (pruning_figure, of_pruning),
    "transport": (transport_figure, of_masks),
}


every = pytest.mark.parametrize("drawn", EVERY, indirect=True, scope="module")


@pytest.fixture(scope="module")
def drawn(request, tmp_path_factory):
    """The figure of an analysis, as it is saved; drawn once for all tests."""
    module, act = EVERY[request.param]
    figures = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "save", lambda figure, path, caption: figures.append((figure, caption)))
        act(tmp_path_factory.mktemp(request.param))
    ((figure, caption),) = figures
    figure.raysweep_caption = caption
    figure.canvas.draw()
    yield figure
    module.plt.close(figure)


def panels(figure):
    return [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]


def words(figure):
    """All texts of a figure: labels, titles, legends, and what is written into the panels."""
    return " ".join(text.get_text() for text in figure.findobj(match=lambda each: hasattr(each, "get_text")))


@every
def test_title_units_intervals_and_n(drawn):
    title = drawn.get_suptitle().replace("\n", " ")
    assert title.startswith("mlp-8 on digits")
    assert METHOD in title
    check_caption(drawn.raysweep_caption, title.split(":")[0])
    assert re.search(r"n = \d", words(drawn))
    for axis in panels(drawn):
        label = axis.get_ylabel()
        assert axis.get_title(), label
        assert axis.get_xlabel(), label
        assert re.search(r"\((share|nats)\)", label) or label == "permutation found at epoch", label


@every
def test_every_panel_of_error_barriers_has_the_threshold_and_no_other(drawn):
    for axis in panels(drawn):
        if axis.images:  # a heat map: its numbers may be any
            continue
        wanted = "error barrier" in axis.get_ylabel() and "difference" not in axis.get_ylabel()
        assert ("0.02" in [text.get_text() for text in axis.texts]) == wanted, axis.get_ylabel()
        assert not wanted or [0.02, 0.02] in [list(line.get_ydata()) for line in axis.lines]


@every
def test_titles_and_legends_do_not_overlap(drawn):
    """Neither each other nor the edge of the figure."""
    boxes = []
    for axis in panels(drawn):
        parts = [axis.title, axis.xaxis.label, axis.yaxis.label, axis.get_legend()]
        boxes += [part.get_window_extent() for part in parts if part is not None]
    for place, box in enumerate(boxes):
        assert drawn.bbox.x0 <= box.x0
        assert box.x1 <= drawn.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])


@every
def test_series_of_a_panel_differ_without_colours(drawn):
    for axis in panels(drawn):
        handles, labels = axis.get_legend_handles_labels()
        lines = [getattr(handle, "lines", [handle])[0] for handle in handles]
        looks = {(line.get_marker(), line.get_linestyle()) for line in lines}
        assert len(looks) == len(labels)


def test_the_heat_map_says_the_numbers_as_they_are():
    """Two digits after the point, whatever stands before it, and no negative zero."""
    means = trajectory.barriers.by_epoch(pd.DataFrame(trained.along()), trained.PER_EPOCH)
    direct = means[(means.series == "direct") & (means.risk == "loss")].copy()
    direct["mean"] = [10.05, -0.004, 0.126, 1.5, 0, 0, 0, 0, 0]
    figure, axis = trajectory_figure.plt.subplots()
    trajectory_figure.heat(axis, direct)
    assert [text.get_text() for text in axis.texts][:5] == ["10.05", "0.00", "0.13", "1.50", "0.00"]
    trajectory_figure.plt.close(figure)
