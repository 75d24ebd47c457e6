"""Every figure has a title, units, the line at 0.02, counts and intervals."""

import pandas as pd
import pytest

from analysis import joint, means, narrow_in_wide, transitivity, triangle, weak, width_scaling
from analysis.figures import pairs
from analysis.figures.style import caption_of
from analysis.statistics.pairs import summarise
from tests.analysis.barrier_rows import (
    NETWORKS,
    composed_rows,
    fixed_rows,
    joint_alignments,
    joint_rows,
    pair_alignments,
    pair_rows,
    set_rows,
    trial_rows,
    via_rows,
)
from tests.analysis.figure_checks import check, check_caption, record, texts
from tests.analysis.test_narrow_in_wide import tables as narrow_tables
from tests.analysis.test_triangle import GRID
from tests.analysis.test_triangle import rows as triple_rows

METHOD = "weight_matching"
WIDTHS = (8, 16, 32, 64)
ALIGNMENTS = pd.concat([pair_alignments(), joint_alignments()])
PATHS = [NETWORKS[:3], (*NETWORKS[:3], NETWORKS[0])]


def by_width():
    return pd.DataFrame(
        [
            row
            for width in WIDTHS
            for row in [
                *pair_rows("unaligned", width, 4 / width),
                *pair_rows("direct", width, 0.4 / width, METHOD),
                *via_rows(width, 0.8 / width),
                *joint_rows(width, 0.5 / width),
                *set_rows("joint", width, 0.3 / width),
            ]
        ]
    )


def draw_width_scaling(title, path):
    rows = by_width()
    laws = width_scaling.power_laws(rows, ALIGNMENTS)
    width_scaling.draw(width_scaling.summarise(rows, ALIGNMENTS), laws, title, path)


def draw_joint(title, path):
    joint.draw(joint.summarise(by_width(), ALIGNMENTS), title, path)


def draw_means(title, path):
    rows = [
        row
        for kind in ("unaligned", "via", "joint")
        for size in (2, 3)
        for width in WIDTHS[:2]
        for row in set_rows(kind, width, 0.1 * size, size, "mean")
    ]
    means.draw(means.by_number(pd.DataFrame(rows)), title, path)


def draw_triangle(title, path):
    found = triangle.surfaces(triple_rows(GRID.prod(axis=1)), [8])
    triangle.draw(found, title, path)


def draw_transitivity(title, path):
    rows = pair_rows("unaligned", 8, 0.5) + pair_rows("direct", 8, 0.1, METHOD)
    rows = [{**row, "path": None} for row in rows] + composed_rows(8, 0.2, PATHS)
    shares = transitivity.fixed_points_by_length(pd.DataFrame(fixed_rows(8, 0.1, PATHS)))
    transitivity.draw(transitivity.barriers_by_length(pd.DataFrame(rows)), shares, title, path)


def draw_narrow_in_wide(title, path):
    narrow_in_wide.draw(narrow_in_wide.summarise(*narrow_tables(0.02)), title, path)


def draw_pairs(title, path):
    barriers = pair_rows("unaligned", 8, 0.3) + pair_rows("direct", 8, 0.0, METHOD)
    rows = weak.pairs(pd.DataFrame(barriers), pd.DataFrame(trial_rows()))
    pairs.draw(rows, summarise(rows), title, path)


DRAWINGS = {
    "width_scaling": draw_width_scaling,
    "joint": draw_joint,
    "means": draw_means,
    "triangle": draw_triangle,
    "transitivity": draw_transitivity,
    "narrow_in_wide": draw_narrow_in_wide,
    "pairs": draw_pairs,
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_what_a_figure_must_show(name, tmp_path, monkeypatch):
    figures, title = record(monkeypatch), "mlp-8 on digits, norm layer, " + 3 * "weight matching, half 0, "
    DRAWINGS[name](title.strip(), tmp_path / "figures/a.png")
    (figure,) = figures
    check(figure, title.strip())
    check_caption(caption_of(tmp_path / "figures/a.png"), title.strip())


def test_a_file_without_a_caption_has_an_empty_one(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no figure")
    assert caption_of(tmp_path / "a.png") == ""


def test_power_laws_are_in_the_figure_and_what_is_left_out_of_them(tmp_path, monkeypatch):
    figures, rows = record(monkeypatch), by_width()
    rows.loc[(rows.kind == "direct") & (rows.width == 64), "loss_barrier"] = -0.001
    laws = width_scaling.power_laws(rows, ALIGNMENTS)
    width_scaling.draw(width_scaling.summarise(rows, ALIGNMENTS), laws, "title", tmp_path / "a.png")
    assert "direct (n = 6), ~ width^-1.00 [-1.00, -1.00]" in texts(figures[0])
    assert "at or below zero, left out of the fit" in texts(figures[0])


def test_no_series_is_left_out_where_there_are_many(tmp_path, monkeypatch):
    figures, widths = record(monkeypatch), [8 * each for each in range(1, 10)]
    summary = narrow_in_wide.summarise(*narrow_tables(0.02))
    many = pd.concat([summary.assign(narrow=width, wide=10 * width) for width in widths])
    narrow_in_wide.draw(many, "title", tmp_path / "a.png")
    for width in widths:
        assert any(text.startswith(f"width {width} in wide") for text in texts(figures[0]))
