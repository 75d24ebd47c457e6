"""What two drivers that publish at once leave in object storage, which has no locks."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from raysweep.plan.desired import desired
from raysweep.plan.done import done, manifest_name
from raysweep.store.files import Files
from raysweep.sweep.load import check
from raysweep.tables.publication import Publication
from raysweep.tables.publishing import publish_tables
from raysweep.tables.schemas import read_table, schema
from tests.store.faulty import Faults, faulty_storage
from tests.store.results import commit_barriers

pytestmark = pytest.mark.slow

TRAIN = {"dataset": "digits", "width": 8, "epochs": 1, "replicates": 3}


def rows(count):
    return [pa.table([pa.nulls(count, field.type) for field in schema("layers")], schema("layers"))]


def begun(files):
    return Publication(files, "s", files.version(manifest_name("s")))


@pytest.mark.parametrize("last_to_finish", [0, 1])
def test_of_two_drivers_the_later_one_looks_again(storage, last_to_finish):
    files = Files(f"s3://bucket/{last_to_finish}")
    drivers = [begun(files), begun(files)]
    drivers[0].replace("layers", 3, rows(24), "all")
    drivers[1].replace("layers", 3, rows(18), "fewer")
    finished = [driver.finish() for driver in (drivers[1 - last_to_finish], drivers[last_to_finish])]
    assert finished == [True, False]
    assert not begun(files).keep("layers", 3, "all")
    assert begun(files).keep("layers", 3, "fewer") == (last_to_finish == 0)


def test_a_bucket_that_nobody_replaced_is_kept(storage):
    files = Files("s3://bucket/alone")
    for _ in range(2):
        driver = begun(files)
        if not driver.keep("layers", 3, "all"):
            driver.replace("layers", 3, rows(24), "all")
        assert driver.finish()
        assert begun(files).keep("layers", 3, "all")


class Interrupted(Files):
    """A root on which somebody acts before a request that a driver makes, once."""

    def __init__(self, root, moment, act):
        super().__init__(root)
        self._moment, self._act, self._asked = moment, act, []

    def _reached(self, *request):
        self._asked.append(request)
        if self._act and self._moment(*request, self._asked.count(request)):
            act, self._act = self._act, None
            act()

    def stamps(self, folder):
        self._reached("list", folder)
        return super().stamps(folder)

    def put(self, name, content):
        self._reached("put", name)
        return super().put(name, content)

    def swap(self, name, content, version):
        self._reached("swap", name)
        return super().swap(name, content, version)


MOMENTS = {
    "before it looks at the tables": lambda act, name, times: (act, name, times) == ("list", "sweeps/s", 1),
    "before it writes a bucket": lambda act, name, _: act == "put" and name.startswith("sweeps/s/barriers"),
    "when it has written all": lambda act, name, times: (act, name, times) == ("list", "sweeps/s", 2),
    "before it records them": lambda act, *_: act == "swap",
}


@pytest.fixture(scope="module")
def wanted():
    return desired(check("test", {"name": "s", "train": TRAIN, "compare": {"kinds": ["unaligned"]}}))


def publish(files, wanted, present=None):
    assert publish_tables(files, wanted, present or done(wanted, files), []) == []


def published_barriers(files):
    return set(read_table(files, "s", "barriers", ["barrier_id"]).column(0).to_pylist())


def assert_complete(files, wanted):
    """All barriers are in the tables, and the next publication has nothing to write."""
    assert published_barriers(files) == set(wanted.barriers)
    present = done(wanted, files)
    before = files.stamps("sweeps/s")
    publish(files, wanted, present)
    assert files.stamps("sweeps/s") == before
    assert files.version(manifest_name("s")) == present.published


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_another_driver_published_meanwhile_stays(storage, wanted, moment):
    """It knew of a barrier more; none of the moments makes the tables older than what it published."""
    root, (first, *others) = f"s3://bucket/{moment}", list(wanted.barriers.values())
    other = Files(root)
    commit_barriers(other, [first], "0" * 20)

    def act():
        commit_barriers(other, others, "1" * 20)
        publish(other, wanted)

    publish(Interrupted(root, MOMENTS[moment], act), wanted)
    assert_complete(other, wanted)


def test_drivers_that_publish_at_once_leave_what_all_of_them_did(storage, wanted):
    root, together = "s3://bucket/together", threading.Barrier(3, timeout=60)

    def driver(number, job):
        files = Files(root)
        commit_barriers(files, [job], f"{number}" * 20)
        present = done(wanted, files)
        together.wait()
        publish(files, wanted, present)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(driver, range(3), wanted.barriers.values()))
    assert_complete(Files(root), wanted)


@pytest.mark.parametrize("kind", ["unknown", "unconditional"])
def test_storage_without_conditional_writes_still_publishes(storage, wanted, kind):
    root = f"s3://bucket/{kind}"
    with faulty_storage(Faults([kind], chance=1.0, methods=("PUT",))):
        files = Files(root)
        assert not files.check_writable()
        commit_barriers(files, list(wanted.barriers.values()), "0" * 20)
        publish(files, wanted)
        assert_complete(files, wanted)
    assert Files(root).check_writable()
