"""`raysweep verify`: checks every object under a root, and says how to repair what is wrong."""

from collections.abc import Iterator

from raysweep.commands.run_log import FOLDER
from raysweep.commands.stored_sweeps import stored_sweep, sweep_files
from raysweep.errors import UserError
from raysweep.plan.plan import Desired, Done, desired, done, todo
from raysweep.store.files import CorruptObject, Files
from raysweep.store.index import discard_index, index_name
from raysweep.store.results import RESULTS, ResultStore
from raysweep.store.trials import TrialStore
from raysweep.tables.publication import forget_published
from raysweep.tables.publishing import wrong_tables
from raysweep.tables.schemas import read_table

AGAIN = "raysweep run computes it again"


def problems(files: Files) -> Iterator[str]:
    """Yield a line per problem: wrong checksums and schemas, missing jobs and tables, and leftovers.

    The store discards damaged objects that can be computed again, so that the next run does so. Objects that
    only save reading (the index, and the record of the published tables) are rebuilt.
    """
    yield from _trials(files)
    yield from _results(files)
    for name in sweep_files(files):
        try:
            yield from _sweep(files, name)
        except UserError as error:
            yield f"{error}; raysweep run with the sweep's original file writes it again"
    when = "" if files.directory else " when it is a day old"
    for name in files.list("tmp"):
        yield f"{files.where(name)}: left behind by a process that was killed; a run removes it{when}"


def _sweep(files: Files, name: str) -> Iterator[str]:
    """Check a sweep against its stored file. Raises `UserError` when the file is invalid."""
    wanted = desired(stored_sweep(files, name))
    present = done(wanted, files)
    yield from _complete(wanted, present)
    yield from _tables(files, wanted, present)


def _trials(files: Files) -> Iterator[str]:
    store = TrialStore(files)
    for name in files.list("trials"):
        trial_id, _, rest = name.removeprefix("trials/").partition("/")
        if rest == "config.json" and not store.has_config(trial_id):
            yield f"{files.where(name)}: is not this trial's; only readers use it, so remove it"
        if rest == "resume" and not store.read_resume(trial_id):
            yield f"{files.where(name)}: is damaged; raysweep run starts the level again"
        if rest == "starts" and not store.has_starts(trial_id):
            yield f"{files.where(name)}: is damaged; the next raysweep run counts the starts from zero"
        if not rest.endswith("/done"):
            continue
        level = int(rest.removesuffix("/done").removeprefix("level_"))
        record = store.record(trial_id, level)
        if record is None:
            yield f"{files.where(name)}: the checksum does not match, or it is not a record; {AGAIN}"
            continue
        reads = [(store.read_checkpoint, (trial_id, level, step)) for step in record.checkpoints]
        reads += [(store.read_optimiser, (trial_id, level, step)) for step in record.optimisers]
        try:
            for read, position in reads:
                read(*position)
            if record.mask:
                store.read_mask(trial_id, level)
        except CorruptObject as error:
            yield str(error)


def _results(files: Files) -> Iterator[str]:
    """Read every result object; the index is discarded, and rebuilt from them when it is next used."""
    store = ResultStore(files)
    for kind in RESULTS:
        yield from _index(files, kind)
        for name in files.list(f"results/{kind}"):
            try:
                store.read(name)
            except CorruptObject as error:
                yield f"{error}; {AGAIN}"


def _index(files: Files, kind: str) -> Iterator[str]:
    name = index_name(kind)
    if files.exists(name):
        try:
            files.get_checked(name)
        except CorruptObject:
            yield f"{files.where(name)}: the checksum does not match the content; it is rebuilt"
        discard_index(files, kind)


def _complete(wanted: Desired, present: Done) -> Iterator[str]:
    for what, count in todo(wanted, present).counts().items():
        if count:
            yield f"sweep {wanted.sweep.name}: {count} {what} are not done; raysweep run completes them"


def _tables(files: Files, wanted: Desired, present: Done) -> Iterator[str]:
    """Check the tables; committed results determine every byte of them, except of `failures`."""
    again = "raysweep run publishes it again"
    forget_published(files, wanted.sweep.name)
    for problem in wrong_tables(files, wanted, present):
        yield f"{problem}; {again}"
    try:
        if not files.list(f"sweeps/{wanted.sweep.name}/failures"):
            yield f"sweep {wanted.sweep.name}: the table failures is missing; {again}"
        read_table(files, wanted.sweep.name, "failures")
    except CorruptObject as error:
        yield f"{error}; {again}"


def objects(files: Files) -> int:
    """Return how many objects a root holds."""
    return sum(len(files.list(folder)) for folder in ("trials", "results", "sweeps", FOLDER))
