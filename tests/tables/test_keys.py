"""Columns that are keys of a sweep file follow the schema that checks the file."""

import pyarrow as pa
import pytest

from raysweep.sweep.align import Align
from raysweep.sweep.method_options import WeightMatching
from raysweep.sweep.train import Training
from raysweep.tables.keys import column_type, key_columns
from raysweep.tables.schemas import TABLES, schema


def test_every_swept_key_is_a_column_of_trials():
    assert set(Training.model_fields) <= set(schema("trials").names)
    meanings = {name: meaning for name, _, meaning in TABLES["trials"]}
    assert meanings["momentum"] == Training.model_fields["momentum"].description


def test_every_option_of_a_method_is_a_column_of_alignments():
    assert set(WeightMatching.model_fields) <= set(schema("alignments").names)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("half", pa.int64()),  # `replicate` is resolved to a number
        ("init_seed", pa.int64()),
        ("examples", pa.list_(pa.int64())),
        ("milestones", pa.list_(pa.string())),
        ("spawn_at", pa.string()),
        ("fraction", pa.float64()),
        ("nesterov", pa.bool_()),
        ("device", pa.string()),
    ],
)
def test_types_are_those_of_the_values_in_tables(key, kind):
    ((name, found, _),) = key_columns(Training, [key])
    assert (name, found) == (key, kind)


def test_a_section_is_no_column():
    with pytest.raises(TypeError, match="no column type for"):
        column_type(Align.model_fields["weight_matching"].annotation)
