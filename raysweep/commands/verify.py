"""`raysweep verify`: read every object under a root and say what is wrong and how to mend it."""

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
    """Yield a line per problem: checksums, schemas, ids that are not unique, what is missing or left over.

    What can be computed again is discarded by the store as it is found damaged, so that the next run does it.
    What only saves reading (the index, and what is known of the tables) is made again.
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
        if rest == "config.json" and not store.has_config(trial_id):
            yield f"{files.where(name)}: is not this trial's; it is for readers alone, so remove it"
        if rest == "resume" and not store.read_resume(trial_id):
            yield f"{files.where(name)}: is damaged; raysweep run begins the level again"
        if rest == "starts" and not store.has_starts(trial_id):
            yield f"{files.where(name)}: is damaged; raysweep run counts anew"
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
    """Every object is read, and the index is made again from what they say, when it is next asked for."""
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
            yield f"{files.where(name)}: the checksum does not match the content; it is made again"
        discard_index(files, kind)


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
