"""`raysweep verify`: read every object under a root and say what is wrong and how to mend it."""

from collections.abc import Iterator

from raysweep.errors import UserError
from raysweep.report import stored_sweep, sweep_files
from raysweep.store.files import CorruptObject, Files
from raysweep.store.results import RESULTS, ResultStore
from raysweep.store.tables import read_table, table_objects
from raysweep.store.trials import TrialStore
from raysweep.sweep.plan import Desired, Done, desired, done, todo
from raysweep.sweep.rows import table_rows

AGAIN = "raysweep run computes it again"


def problems(files: Files) -> Iterator[str]:
    """Yield a line per problem: checksums, schemas, ids that are not unique, what is missing or left over.

    What can be computed again is discarded by the store as it is found damaged, so that the next run does it.
    """
    yield from _trials(files)
    yield from _results(files)
    for name in sweep_files(files):
        try:
            yield from _sweep(files, name)
        except UserError as error:
            yield f"{error}; raysweep run with the sweep's own file writes it again"
    when = "" if files.directory else " when it is a day old"
    for name in files.list("tmp"):
        yield f"{files.where(name)}: left behind by a process that was killed; a run removes it{when}"


def _sweep(files: Files, name: str) -> Iterator[str]:
    """Raises `UserError` for a sweep file that is none."""
    wanted = desired(stored_sweep(files, name))
    present = done(wanted, files)
    yield from _complete(wanted, present)
    yield from _tables(files, wanted, present)


def _trials(files: Files) -> Iterator[str]:
    store = TrialStore(files)
    for name in files.list("trials"):
        trial_id, _, rest = name.removeprefix("trials/").partition("/")
        if not rest.endswith("/done"):
            continue
        level = int(rest.removesuffix("/done").removeprefix("level_"))
        record = store.record(trial_id, level)
        if record is None:
            yield f"{files.where(name)}: the checksum does not match, or it is no record; {AGAIN}"
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
    store = ResultStore(files)
    for kind in RESULTS:
        for name in files.list(f"results/{kind}"):
            try:
                store.table(name)
            except CorruptObject as error:
                yield f"{error}; {AGAIN}"


def _complete(wanted: Desired, present: Done) -> Iterator[str]:
    left, name = todo(wanted, present), wanted.sweep.name
    counts = {
        "trials": len(left.trials),
        "alignments": len(left.alignments),
        "barriers": len(left.barriers),
    }
    for what, count in counts.items():
        if count:
            yield f"sweep {name}: {count} {what} are not done; raysweep run does them"


def _tables(files: Files, wanted: Desired, present: Done) -> Iterator[str]:
    """The tables are a view of the committed results, so each byte of them is known, but for `failures`."""
    again = "raysweep run publishes it again"
    for table, rows in table_rows(files, wanted, present).items():
        expected = table_objects(wanted.sweep.name, table, rows)
        for name in files.list(f"sweeps/{wanted.sweep.name}/{table}"):
            if name not in expected or not files.holds(name, expected.pop(name)):
                yield f"{files.where(name)}: is not what the committed results say; {again}"
        for name in expected:
            yield f"{files.where(name)}: is missing; {again}"
    try:
        if not files.list(f"sweeps/{wanted.sweep.name}/failures"):
            yield f"sweep {wanted.sweep.name}: the table failures is missing; {again}"
        read_table(files, wanted.sweep.name, "failures")
    except CorruptObject as error:
        yield f"{error}; {again}"


def objects(files: Files) -> int:
    """Return how many objects a root holds."""
    return len(files.list("trials")) + len(files.list("results")) + len(files.list("sweeps"))
