"""`raysweep verify`: checks every object under a root, and says how to repair what is wrong."""

import contextlib
import hashlib
import re
from collections.abc import Iterator

from raysweep.commands.run_log import FOLDER
from raysweep.errors import UserError
from raysweep.plan.fitting import outdated_words
from raysweep.plan.record import (
    RESOLVED,
    SOURCES,
    Finished,
    Record,
    among,
    finished,
    read_record,
    source_name,
    sweep_names,
)
from raysweep.store.divergence import FOLDER as DIVERGED
from raysweep.store.divergence import read_divergence
from raysweep.store.files import CorruptObject, Files
from raysweep.store.index import index_name
from raysweep.store.known_levels import FOLDER as LEVELS
from raysweep.store.provenance import PROVENANCE, read_provenance
from raysweep.store.records import REPLACED
from raysweep.store.results import ID, RESULTS, ResultStore
from raysweep.store.resume_points import FOLDER as RESUME
from raysweep.store.resume_points import ResumePoints
from raysweep.store.trials import TrialStore
from raysweep.tables.publication import wrong_files
from raysweep.tables.schemas import read_table

FOLDERS = ("trials", "results", "sweeps", SOURCES, PROVENANCE, DIVERGED, RESUME, FOLDER)
AGAIN = "raysweep run computes it again"
RESTORED = "raysweep run of a sweep that asks for the trial writes it again"
DONE = re.compile(r"trials/([^/]+)/level_(\d+)/done")  # the record of a level; others are not ours
CONFIGURED = re.compile(r"trials/([^/]+)/(?:level_\d+/done|config\.json)")  # of trials that need one
NAMED = 8  # checkpoints and permutations that have been replaced


class Verification:
    """Looks through a root once: first for problems, and then for what is worth saying though it is none."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._left: dict[str, dict[str, int]] = {}  # jobs that are not done, of each sweep that was looked at

    def problems(self) -> Iterator[str]:
        """Yield a line per problem: wrong checksums and schemas, missing jobs and tables, and leftovers.

        The store discards damaged objects that can be computed again, so that the next run does so. Objects
        that only save reading (the index, and the record of the published tables) are rebuilt.
        """
        files = self._files
        yield from _trials(files)
        yield from _results(files)
        yield from _provenance(files)
        yield from _resume_points(files)
        for name in files.list(LEVELS):
            yield from _rebuilt(files, name)
        for name in files.list(DIVERGED):
            if read_divergence(files, name.removeprefix(f"{DIVERGED}/")) is None:
                yield f"{files.where(name)}: is damaged; the next raysweep run trains the trial again"
        for name in sweep_names(files):
            try:
                record = read_record(files, name)
                yield from _sources(files, record)
                present = finished(files, record)
                self._left[name] = present.left(record)
                yield from _sweep(files, record, present)
            except (UserError, CorruptObject) as error:
                yield str(error)
        when = "" if files.directory else " when it is a day old"
        for name in files.list("tmp"):
            yield f"{files.where(name)}: left behind by a process that was killed; a run removes it{when}"

    def remarks(self) -> Iterator[str]:
        """Yield a line for what cannot be checked, is not done yet, or has been computed to other bits.

        What is not done yet is known as soon as the problems are.
        """
        yield from _silent(self._files)
        for name, left in self._left.items():
            for what, count in left.items():
                if count:
                    yield f"sweep {name}: {count:,} {what} are not done yet; raysweep run completes them"
        yield from _trained_again(self._files)


def _resume_points(files: Files) -> Iterator[str]:
    points = ResumePoints(files)
    for identity in points.ids():
        if not points.is_sound(identity):
            where = files.where(f"{RESUME}/{identity}")
            yield f"{where}: is damaged; raysweep run starts the alignment again"


def _sources(files: Files, record: Record) -> Iterator[str]:
    for source_digest in record.ids("source").to_pylist():
        name = source_name(source_digest)
        try:
            whole = hashlib.sha256(files.get(name)).hexdigest() == source_digest
        except (FileNotFoundError, CorruptObject):
            whole = False
        if not whole:
            yield f"{files.where(name)}: is missing or damaged; raysweep run writes it again"


def _provenance(files: Files) -> Iterator[str]:
    for name in files.list(PROVENANCE):
        try:
            read_provenance(files, name)
        except CorruptObject as error:
            yield f"{error}; remove it"


def _sweep(files: Files, record: Record, present: Finished) -> Iterator[str]:
    """Check a sweep against its record."""
    name = f"sweeps/{record.sweep}/{RESOLVED}"
    if not files.holds(name, record.resolved().encode()):
        yield f"{files.where(name)}: is not what was run; raysweep run writes it again"
    if present.outdated:
        yield f"sweep {record.sweep}: {outdated_words(present.outdated)}; raysweep run trains them again"
    yield from _replaced(files, record, present)
    if wrong := wrong_files(files, record.sweep):
        yield from (f"{problem}; raysweep run publishes it again" for problem in wrong)
    else:
        yield from _against_tables(files, record, present)


def _replaced(files: Files, record: Record, present: Finished) -> Iterator[str]:
    """Name the checkpoints and permutations that results of a sweep were computed from and that are gone."""
    found: dict[str, list[str]] = {}
    for kind, rows in present.rows.items():
        ids = set(among(record.ids(kind), rows.unfit_ids()).to_pylist())
        for name, results in rows.replaced(ResultStore(files), kind, ids).items():
            count = f"{len(results):,} {kind if len(results) > 1 else kind[:-1]} (such as {min(results)})"
            found.setdefault(name, []).append(count)
    for name, counts in list(found.items())[:NAMED]:
        what = f"the weights of {name} are" if "@" in name else f"the permutation of the alignment {name} is"
        yield (
            f"sweep {record.sweep}: {what} not what was used for {' and '.join(counts)}; raysweep run "
            "computes them again"
        )
    if len(found) > NAMED:
        yield f"sweep {record.sweep}: so are {len(found) - NAMED:,} more checkpoints and permutations"


def _silent(files: Files) -> Iterator[str]:
    silent = {kind: ResultStore(files).index(kind).silent() for kind in RESULTS}
    if any(silent.values()):
        yield (
            f"{' and '.join(f'{count:,} rows of {kind}' for kind, count in silent.items() if count)} are "
            "from an earlier version of raysweep and do not say from which weights they were computed; they "
            "are taken as they are"
        )


def _trained_again(files: Files) -> Iterator[str]:
    names = filter(None, map(DONE.fullmatch, files.list("trials")))
    levels = [(found[1], int(found[2])) for found in names]
    records = files.at_once(lambda level: TrialStore(files).record(*level), levels)
    for (trial_id, level), record in zip(levels, records, strict=True):
        if record and REPLACED in record.environment:
            yield (
                f"trial {trial_id}, level {level}: was trained again to other weights than the first time "
                f"(provenance {record.environment[REPLACED]}, now {record.environment.get('provenance')})"
            )


def _against_tables(files: Files, record: Record, present: Finished) -> Iterator[str]:
    """Check that all is there of which the tables have rows, and that they have those of all that is done.

    Raises `CorruptObject`.
    """
    sweep, extents = record.sweep, record.extents
    trials = read_table(files, sweep, "trials", ["trial_id", "level"])
    levels = set(zip(*(trials.column(name).to_pylist() for name in trials.column_names), strict=True))
    wanted = {(key, level) for key, extent in extents.items() for level in extent.levels}
    lacking = {"trials": len(present.levels - levels)}
    gone = {"levels of trials": len(levels & wanted - present.levels)}
    for kind, column in ID.items():
        rows = read_table(files, sweep, kind, [column]).column(column)
        lacking[kind] = len(present.ids[kind]) - len(among(present.ids[kind], rows))
        gone[kind] = len(among(record.ids(kind), rows)) - len(among(present.ids[kind], rows))
    for what, count in gone.items():
        if count:
            yield f"sweep {sweep}: {count} {what} in the tables are no longer done; {AGAIN}"
    for kind, count in lacking.items():
        if count:
            lacks = f"the table {kind} lacks {count} rows that are done"
            yield f"sweep {sweep}: {lacks}; raysweep run publishes it again"


def _trials(files: Files) -> Iterator[str]:
    store, names = TrialStore(files), files.list("trials")
    yield from _configs(files, store, names)
    for name in names:
        trial_id, _, rest = name.removeprefix("trials/").partition("/")
        if rest == "resume" and not store.read_resume(trial_id):
            yield f"{files.where(name)}: is damaged; raysweep run starts the level again"
        if rest == "starts" and not store.has_starts(trial_id):
            yield f"{files.where(name)}: is damaged; the next raysweep run counts the starts from zero"
        if not (finished_level := DONE.fullmatch(name)):
            continue
        level = int(finished_level[2])
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


def _configs(files: Files, store: TrialStore, names: list[str]) -> Iterator[str]:
    """Check the configurations of trials, and note which a run must write again."""
    for trial_id in sorted({found[1] for found in map(CONFIGURED.fullmatch, names) if found}):
        if not store.has_config(trial_id):
            store.note_lost_config(trial_id)
            name = f"trials/{trial_id}/config.json"
            yield f"{files.where(name)}: is missing, or not this trial's; {RESTORED}"


def _results(files: Files) -> Iterator[str]:
    """Read every result object; the index is discarded, and rebuilt from them when it is next used."""
    store = ResultStore(files)
    for kind in RESULTS:
        if files.exists(index_name(kind)):
            yield from _rebuilt(files, index_name(kind))
        for name in files.list(f"results/{kind}"):
            try:
                store.read(name)
            except FileNotFoundError:  # a run has merged it with others
                continue
            except CorruptObject as error:
                yield f"{error}; {AGAIN}"


def _rebuilt(files: Files, name: str) -> Iterator[str]:
    """Discard an object that only saves reading, so that it is made again from what is stored."""
    try:
        files.get_checked(name)
    except CorruptObject:
        yield f"{files.where(name)}: the checksum does not match the content; it is rebuilt"
    with contextlib.suppress(OSError):  # a read-only root keeps it
        files.delete(name)


def objects(files: Files) -> int:
    """Return how many objects a root holds."""
    return sum(len(files.list(folder)) for folder in FOLDERS)
