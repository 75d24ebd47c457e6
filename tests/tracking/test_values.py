"""Parameters and names of runs, from rows."""

import json
import math
from itertools import product

import pandas as pd
import pyarrow as pa
import pytest

from raysweep.tables.frames import decoded, read_frame
from raysweep.tables.schemas import schema
from raysweep.tracking.known_runs import KnownRun
from raysweep.tracking.of_settings import OfSetting, of_settings
from raysweep.tracking.values import (
    OF_BARRIERS,
    OPTIONS,
    PARAMETERS,
    across,
    barriers,
    by_width,
    configured,
    content_of,
    label,
    options,
    order,
    parameters,
    text,
)
from tests.analysis.planned import planned

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


def test_options_have_the_keys_of_the_sweep_file():
    """Those that the rows share; of a method of the user's own they are one text."""
    settings = {"kernel": "linear", "method": "weight_matching", "seed": 3, "tolerance": 0.5}
    shared = dict.fromkeys(OPTIONS) | {"precision": "tf32", "train_examples": 5.0}
    rows = pd.DataFrame([shared | {"alignment_settings": json.dumps(settings), "alphas": n} for n in (3, 5)])
    assert options(rows.assign(alignment_settings=None, alphas=3)) == {
        "with compare.alphas": "3",
        "with compare.precision": "tf32",
        "with compare.train_examples": "5",
    }
    assert options(rows) == {
        "with compare.precision": "tf32",
        "with compare.train_examples": "5",
        "with align.weight_matching.kernel": "linear",
        "with align.weight_matching.tolerance": "0.5",
        "with align.seed": "3",
    }
    own = json.dumps({"method": "mine:match", "options": {"b": 1, "a": [2]}})
    assert options(rows.assign(alignment_settings=own))["with align.mine:match.options"] == '{"a":[2],"b":1}'


def test_a_parameter_whose_end_a_server_has_cut_is_the_same():
    each = OfSetting("group g m", "", {}, {"a": "x" * 300, "b": "12"}, pd.Series(), [], "")
    for params, other in (({"a": "x" * 250, "b": "12"}, False), ({"b": "1"}, True), ({"c": "1"}, False)):
        assert each.contradicts(KnownRun("", False, "", params=params)) == other


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


def test_long_names_are_cut_and_lines_that_begin_alike_stay_apart():
    """PostgreSQL refuses names of runs of more than 250 characters; those of metrics end there too."""
    assert len(label(pd.Series(ROW), "weight_matching", "augment options " * 30)) == 250
    shared = {"split": "test", "interpolation": "pair", "kind": "direct", "statistics": "kept"}
    shared |= {"model": "mlp", "method": "weight_matching", "dataset": "digits", "level": 0, "step": 9}
    values = {0.1: 1.0, 0.2: 3.0}
    rows = [
        {**dict.fromkeys(schema("barriers").names), **shared, "group": f"{width} {rate}", "width": width}
        | {"loss_barrier": value, "error_barrier": value}
        for (rate, value), width in product(values.items(), (4, 8))
    ]
    frame = pa.Table.from_pylist(rows, schema("barriers")).to_pandas()
    frame["configured"] = f"{'x' * 300} rate " + frame.group.str.split().str[1]
    lines = [(name, value) for name, value, _, _ in by_width(frame, 0) if " loss " in name]
    assert len({name for name, _ in lines}) == 2
    assert sorted(value for _, value in lines) == [1.0, 1.0, 3.0, 3.0]
    assert max(len(name) for name, _ in lines) <= 250


def test_pairs_of_two_tasks_are_one_metric_wherever_their_permutations_were_found():
    """Of trainings of different lengths the permutation bears the step of either end."""
    shared = {"split": "test", "interpolation": "pair", "kind": "direct", "statistics": "kept", "level": 0}
    shared |= {"across": "tasks", "step": 9, "loss_barrier": 1.0, "error_barrier": 0.5}
    rows = [
        {**dict.fromkeys(schema("barriers").names), **shared, "permutation_step": step} for step in (6, 9)
    ]
    found = barriers(pa.Table.from_pylist(rows, schema("barriers")).to_pandas(), 0)
    assert ("test/pair_direct/n", 2, 0, 0) in found


def test_values_that_are_not_finite_have_a_digest():
    """A mixture of two networks may overflow."""
    digests = {content_of([("loss", value, 0, 1)]) for value in (1.0, math.inf, -math.inf, math.nan)}
    assert len(digests) == 4
    assert content_of([("loss", 1.0, 5, 1)]) in digests  # whatever its time


def test_texts_that_are_categories_give_the_same_runs(tmp_path):
    compare = {"across": ["widths"], "kinds": ["unaligned", "direct"], "splits": ["test"]}
    tables = planned({"width": [4, 8], "replicates": 3}, compare=compare)
    tables["barriers"].to_parquet(tmp_path / "barriers")
    trials, measured = tables["trials"], tables["measures"].assign(largest_excess=0.5)
    coded = read_frame(tmp_path, "barriers", OF_BARRIERS, OF_BARRIERS - {"barrier_id"})
    method = coded.method.cat.add_categories("unaligned").fillna("unaligned")
    words = pd.Categorical(configured(decoded(coded), trials))
    both = [coded.assign(method=method, configured=words)]
    both.append(decoded(both[0]))
    one, other = (
        [(each.name, each.tags, each.parameters, list(each.datasets), each.values) for each in found]
        for found in (list(of_settings(rows, measured, trials, 0)) for rows in both)
    )
    assert len(one) > 4
    assert one == other
    one, other = (list(by_width(rows, 0)) for rows in both)
    assert one
    assert one == other
