"""What two drivers that publish at once leave in object storage, which has no locks."""

import pyarrow as pa
import pytest

from raysweep.store.files import Files
from raysweep.tables.publication import Publication
from raysweep.tables.schemas import schema

pytestmark = pytest.mark.slow


def rows(count):
    return [pa.table([pa.nulls(count, field.type) for field in schema("layers")], schema("layers"))]


@pytest.mark.parametrize("last_to_finish", [0, 1])
def test_a_bucket_that_another_driver_replaced_is_made_again(storage, last_to_finish):
    files = Files(f"s3://bucket/{last_to_finish}")
    drivers = [Publication(files, "s"), Publication(files, "s")]
    drivers[0].replace("layers", 3, rows(24), "all")
    drivers[1].replace("layers", 3, rows(18), "fewer")
    for driver in (drivers[1 - last_to_finish], drivers[last_to_finish]):
        driver.finish()
    assert not Publication(files, "s").keep("layers", 3, "all")


def test_a_bucket_that_nobody_replaced_is_kept(storage):
    files = Files("s3://bucket/alone")
    for _ in range(2):
        driver = Publication(files, "s")
        if not driver.keep("layers", 3, "all"):
            driver.replace("layers", 3, rows(24), "all")
        driver.finish()
        assert Publication(files, "s").keep("layers", 3, "all")
