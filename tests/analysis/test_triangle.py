import numpy as np
import pandas as pd
import pytest

from analysis.triangle import analyse, excess, some_widths, surface
from tests.analysis.frames import trial_rows

GRID = np.array([[i, j, 4 - i - j] for i in range(5) for j in range(5 - i)]) / 4
NAMES = ["a@0@9", "b@0@9", "c@0@9"]


def rows(loss, reference=None, kind="joint", width=8):
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
                "weights": list(GRID),
                "loss": loss,
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
    value, at = found.largest()
    assert value == pytest.approx(0.25)
    assert at == pytest.approx([0.5, 0.5, 0])


def test_networks_that_play_the_same_part_are_interchangeable():
    found = surface(rows(GRID[:, 0] * GRID[:, 1]))
    pairs = found.weights[:, [0, 0, 1]] * found.weights[:, [1, 2, 2]]
    assert found.excess == pytest.approx(pairs.sum(axis=1) / 3)
    assert found.n == 1


def test_default_widths():
    assert some_widths([8]) == [8]
    assert some_widths([8, 16, 32, 64, 128, 256]) == [8, 32, 256]


def test_figure_and_text(tmp_path):
    table = pd.concat([rows(GRID.prod(axis=1), NAMES[2], "via"), rows(-GRID.prod(axis=1))])
    table.drop(columns=["weights", "loss"]).to_parquet(tmp_path / "barriers")
    table[["barrier_id", "split"]].assign(weights=[GRID.tolist()] * 2, loss=list(table.loss)).to_parquet(
        tmp_path / "curves"
    )
    pd.DataFrame(trial_rows()).to_parquet(tmp_path / "trials")
    text = analyse(tmp_path)
    assert "via, width 8: mean excess test loss at most 0.031 nats" in text
    assert (tmp_path / "figures/triangle_mlp_digits.png").stat().st_size > 0
