"""`raysweep verify`: read every object under a root and say what is wrong and how to mend it."""

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.report import stored_sweeps
from raysweep.run_log import FOLDER
from raysweep.store.files import CorruptObject, Files
from raysweep.store.results import RESULTS
from raysweep.store.tables import TABLES, keys, schema
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import Sweep
from raysweep.sweep.plan import Desired, desired, done, todo

AGAIN = "raysweep run computes it again"


def problems(files: Files) -> Iterator[str]:
    """Yield a line per problem: checksums, schemas, ids that are not unique, what is missing or left over.

    What can be computed again is discarded by the store as it is found damaged, so that the next run does it.
    """
    yield from _trials(files)
    yield from _results(files)
    for sweep in stored_sweeps(files):
        wanted = desired(sweep)
        yield from _complete(files, wanted)
        for table in TABLES:
            yield from _table(files, sweep, table)
    for name in files.list("tmp"):
        yield f"{files.where(name)}: left behind by a process that was killed; the next run removes it"


def _trials(files: Files) -> Iterator[str]:
    store = TrialStore(files)
    for name in files.list("trials"):
        trial_id, _, rest = name.removeprefix("trials/").partition("/")
        if not rest.endswith("/done"):
            continue
        level = int(rest.removesuffix("/done").removeprefix("level_"))
        record = store.record(trial_id, level)
        if record is None:
            yield f"{files.where(name)}: the checksum does not match the content; {AGAIN}"
            continue
        reads = [(store.read_checkpoint, (trial_id, level, step)) for step in record.checkpoints]
        reads += [(store.read_optimiser, (trial_id, level, step)) for step in record.optimisers]
        try:
            for read, place in reads:
                read(*place)
            if record.mask:
                store.read_mask(trial_id, level)
        except CorruptObject as error:
            yield str(error)


def _results(files: Files) -> Iterator[str]:
    for kind, expected in RESULTS.items():
        for name in files.list(f"results/{kind}"):
            try:
                content = files.get_checked(name)
                found = pq.read_schema(io.BytesIO(content))
            except (CorruptObject, pa.ArrowException):
                yield f"{files.where(name)}: the checksum does not match the content; {AGAIN}"
                continue
            if not found.equals(expected):
                yield f"{files.where(name)}: written by another version of raysweep; {AGAIN}"


def _complete(files: Files, wanted: Desired) -> Iterator[str]:
    left, name = todo(wanted, done(wanted, files)), wanted.sweep.name
    counts = {
        "trials": len(left.trials),
        "alignments": len(left.alignments),
        "barriers": len(left.barriers),
    }
    for what, count in counts.items():
        if count:
            yield f"sweep {name}: {count} {what} are not done; raysweep run does them"


def _table(files: Files, sweep: Sweep, table: str) -> Iterator[str]:
    names = files.list(f"sweeps/{sweep.name}/{table}")
    parts = []
    for name in names:
        try:
            part = pq.read_table(io.BytesIO(files.get(name)))
        except pa.ArrowException:
            yield f"{files.where(name)}: is not Parquet; raysweep run publishes it again"
            continue
        if not part.schema.equals(schema(table)):
            yield f"{files.where(name)}: has other columns than documented; raysweep run publishes it again"
        else:
            parts.append(part.select(keys(table)))
    if not names:
        yield f"sweep {sweep.name}: the table {table} is missing; raysweep run publishes it"
    elif parts:
        rows = pa.concat_tables(parts)
        if rows.group_by(keys(table)).aggregate([]).num_rows != rows.num_rows:
            yield f"sweep {sweep.name}: rows of {table} are not unique; raysweep run publishes it again"


def objects(files: Files) -> int:
    """Return how many objects a root holds."""
    return sum(len(files.list(folder)) for folder in ("trials", "results", "sweeps", FOLDER))
