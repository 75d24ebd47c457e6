"""Parameters and names of runs, from rows."""

import pandas as pd
import pytest

from raysweep.tracking.values import PARAMETERS, across, label, order, parameters, text

pytestmark = pytest.mark.versions

ROW = {"dataset": "digits", "model": "mlp", "width": 16.0, "learning_rate": 0.1, "milestones": ["1ep", "2ep"]}


def test_parameters_are_what_the_rows_share_as_the_sweep_file_writes_it():
    rows = pd.DataFrame([ROW | {"replicate": 0, "half": None}, ROW | {"replicate": 1, "half": None}])
    assert parameters(rows) == {
        "dataset": "digits",
        "model": "mlp",
        "width": "16",
        "milestones": "1ep, 2ep",
        "learning_rate": "0.1",
    }
    assert parameters(rows.iloc[:1])["replicate"] == "0"


def test_names_leave_out_what_differs_within_the_run():
    assert label(pd.Series(ROW), "weight_matching") == "mlp-16 weight_matching digits"
    assert label(pd.Series(ROW | {"width": None}), "direct") == "mlp direct digits"
    assert text(float("nan")) == ""


def test_runs_are_sorted_by_width_as_a_number():
    rows = [pd.Series(ROW | {"width": width}) for width in (8, 16, 128)]
    keys = [order(row, method) for row in rows for method in ("activation_matching", "weight_matching")]
    assert keys == sorted(keys)


def test_comparisons_across_configurations_are_named_by_what_differs():
    trials = pd.DataFrame(
        [
            {**dict.fromkeys(PARAMETERS), "trial_id": "a", "width": 64.0, "replicate": 0, "pixel_seed": None},
            {**dict.fromkeys(PARAMETERS), "trial_id": "b", "width": 16.0, "replicate": 1, "pixel_seed": 3},
        ]
    )
    rows = pd.DataFrame({"networks": [["a@0@9", "b@0@9"]]})
    assert across(rows, trials) == "width 64 and 16 pixel_seed none and 3"
