import subprocess
import sys
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.jackknife import Interval
from analysis.triangle import analyse, chosen_widths, describe, excess, surface, surfaces
from raysweep.errors import UserError
from tests.analysis.barrier_rows import trial_rows

GRID = np.array([[i, j, 4 - i - j] for i in range(5) for j in range(5 - i)]) / 4
FINE = np.array([[i, j, 6 - i - j] for i in range(7) for j in range(7 - i)]) / 6
NAMES = ["a@0@9", "b@0@9", "c@0@9"]


def rows(loss, reference=None, kind="joint", width=8, grid=GRID):
    return pd.DataFrame(
        [
            {
                "barrier_id": f"{kind}{width}",
                "interpolation": "simplex",
                "kind": kind,
                "method": "weight_matching",
                "networks": NAMES,
                "reference": reference,
                "across": None,
                "permutation_step": None,
                "group": "g",
                "dataset": "digits",
                "model": "mlp",
                "norm": "none",
                "width": width,
                "level": 0,
                "step": 9,
                "statistics": "kept",
                "split": "test",
                "weights": list(grid),
                "loss": loss,
                "error": loss,
                "error_barrier": 0.0,
            }
        ]
    )


def test_a_linear_risk_has_no_excess():
    assert excess(GRID, GRID @ [0.3, 1.0, 2.0] + 0.5) == pytest.approx(0)


def test_the_excess_of_a_bump_is_the_bump():
    bump = GRID.prod(axis=1)
    assert excess(GRID, GRID @ [0.3, 1.0, 2.0] + bump) == pytest.approx(bump)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_reference_becomes_the_last_corner(place):
    others = [i for i in range(3) if i != place]
    loss = GRID[:, others].prod(axis=1)  # a barrier between the two that are not the reference
    found = surface(rows(loss, NAMES[place], "via"))
    assert found.excess == pytest.approx(found.weights[:, 0] * found.weights[:, 1])
    assert found.excess[found.worst()] == pytest.approx(0.25)
    assert found.weights[found.worst()] == pytest.approx([0.5, 0.5, 0])


def test_networks_that_play_the_same_part_are_interchangeable():
    found = surface(rows(GRID[:, 0] * GRID[:, 1]))
    pairs = found.weights[:, [0, 0, 1]] * found.weights[:, [1, 2, 2]]
    assert found.excess == pytest.approx(pairs.sum(axis=1) / 3)
    assert found.n == 1


def test_chosen_widths():
    assert chosen_widths([8], None) == [8]
    assert chosen_widths([8, 16, 32, 64, 128, 256], None) == [8, 32, 256]
    assert chosen_widths([8, 16, 32], [32, 16]) == [16, 32]
    with pytest.raises(UserError, match="widths = 9: there are triples of widths 8, 16, 32"):
        chosen_widths([8, 16, 32], [9])


FOUR = [f"{name}@0@9" for name in "abcd"]


def triples(losses, **more):
    """The four triples of four networks, with these losses."""
    parts = [
        rows(loss, **more).assign(networks=[list(together)])
        for loss, together in zip(losses, combinations(FOUR, 3), strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    ("heights", "unaligned", "word"),
    [
        ((0.5, 0.5, 0.5, 0.5), {8: Interval(0.3, 0.3, 0.3)}, "holds in the mean (0.019 [0.019, 0.019]"),
        ((1.0, 1.0, 1.0, 1.0), {8: Interval(0.3, 0.3, 0.3)}, "fails (0.037 [0.037, 0.037]"),
        (
            (0.0, 0.0, 1.0, 1.0),
            {8: Interval(0.3, 0.3, 0.3)},
            "undecided: the interval straddles 0.02 (0.019 [",
        ),
        ((0.5, 0.5, 0.5, 0.5), {8: Interval(0.02, 0.02, 0.02)}, "not informative (0.019"),
        ((0.5, 0.5, 0.5, 0.5), {}, "undecided: no unaligned baseline (0.019"),
    ],
)
def test_the_worst_mixture_decides(heights, unaligned, word):
    """A bump of 1/27 amid the triangle, the largest of a grid that contains the barycentre."""
    bump = FINE.prod(axis=1)
    table = triples([height * bump for height in heights], grid=FINE)
    (found,) = surfaces(table, [8], "loss").values()
    loss, everywhere, centre = describe({("joint", 8): found}, {("joint", 8): found}, unaligned)
    assert word in everywhere
    assert "the worst being (0.33, 0.33, 0.33)" in everywhere
    assert word in centre
    assert "of 4 triples" in centre
    assert loss.startswith("joint, width 8: mean excess test loss at most 0.0")


def test_a_point_whose_interval_reaches_higher_leaves_all_weights_undecided():
    """At the barycentre, the largest mean, all triples are alike; the midpoints of the edges are not."""
    amid, between = (np.isclose(FINE.max(axis=1), 1 / 3), (FINE == 0.5).sum(axis=1) == 2)
    table = triples([0.019 * amid + height * between for height in (0, 0, 0.036, 0.036)], grid=FINE)
    (found,) = surfaces(table, [8], "loss").values()
    unaligned = {8: Interval(0.3, 0.3, 0.3)}
    _, everywhere, centre = describe({("joint", 8): found}, {("joint", 8): found}, unaligned)
    assert "at all weights: undecided: the interval straddles 0.02 (0.018 [" in everywhere
    assert "the worst being (0.50, 0.50, 0.00)" in everywhere or "(0.00, 0.50, 0.50)" in everywhere
    assert "at the barycentre: holds in the mean (0.019 [0.019, 0.019]" in centre


def sweep(folder, widths=(8,)):
    """A sweep on disk with a bump via a reference and a dent after a joint alignment at every width."""
    parts = [
        part
        for width in widths
        for part in (
            rows(GRID.prod(axis=1), NAMES[2], "via", width=width),
            rows(-GRID.prod(axis=1), width=width),
        )
    ]
    table = pd.concat(parts)
    folder.mkdir(parents=True)
    table.drop(columns=["weights", "loss", "error"]).to_parquet(folder / "barriers")
    curves = table[["barrier_id", "split", "loss", "error"]].assign(weights=[GRID.tolist()] * len(table))
    curves.to_parquet(folder / "curves")
    pd.DataFrame(trial_rows()).to_parquet(folder / "trials")
    return folder


def test_figure_and_text(tmp_path):
    text = analyse(sweep(tmp_path / "sweep"))
    assert "via, width 8: mean excess test loss at most 0.031 nats" in text
    words = "excess test error at most 0.02 at all weights: undecided: no unaligned baseline (0.031, maximum"
    assert words in text
    assert (tmp_path / "sweep/figures/triangle_mlp_digits.png").stat().st_size > 0


def command(*arguments):
    line = [sys.executable, "-m", "analysis.triangle", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True)


@pytest.mark.slow
def test_widths_are_chosen_on_the_command_line(tmp_path):
    sweep(tmp_path / "sweeps/mine", (8, 16, 32))
    done = command(tmp_path, "--sweep", "mine", "--widths", 16)
    assert done.returncode == 0, done.stderr
    for width, there in ((8, False), (16, True), (32, False)):
        assert (f"via, width {width}:" in done.stdout) == there
    done = command(tmp_path, "--sweep", "mine", "--widths", 7)
    assert done.returncode == 2
    assert "widths = 7: there are triples of widths 8, 16, 32" in done.stderr
