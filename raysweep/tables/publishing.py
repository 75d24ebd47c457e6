"""The tables as a view of the committed results: the rows whose ids are in the plan.

They are published bucket by bucket, and at most one bucket is in memory at a time. The index says which rows
a bucket is made of before any row is read, so that a bucket that would not change is not made again.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.digest import digest
from raysweep.plan.barrier_table import Measurements
from raysweep.plan.desired import Desired
from raysweep.plan.done import Done, done
from raysweep.plan.identity import AgreementJob
from raysweep.store.files import CorruptObject, Files
from raysweep.store.ids import Ids
from raysweep.store.parquet import table_of
from raysweep.store.provenance import PROVENANCE, read_provenance
from raysweep.store.results import ID, RESULTS, ResultStore
from raysweep.tables.agreements import Agreements
from raysweep.tables.failures import Failure
from raysweep.tables.publication import Publication, bucket_of
from raysweep.tables.rows import Row, agreement_row, alignment_row, barrier_row, metric_rows, trial_row
from raysweep.tables.schemas import BUCKETS, schema
from raysweep.tables.selection import Damage, Selection
from raysweep.tables.spill import Spill
from raysweep.version import code_digest

SLICE = 10_000  # rows that are made at once
MANY = 500_000  # rows: of more, a bucket is sorted in parts
ROUNDS = 8  # of a publication that others interrupt by theirs, or by merging what it reads

Item = TypeVar("Item")


def publish_tables(
    files: Files, wanted: Desired, present: Done, failures: Sequence[Failure]
) -> list[Failure]:
    """Publish all tables of a sweep.

    Returns a failure for each result that turned out to be damaged; the next run computes these again. Where
    another driver has published since `present` was looked up, or merges objects of results meanwhile, the
    tables are made again from what is done by then. So when all drivers of a sweep have ended, its tables
    have what any of them has done.
    """
    for _ in range(ROUNDS - 1):
        with contextlib.suppress(FileNotFoundError):
            published = _publish(files, wanted, present, failures)
            if published.recorded:
                return published.damaged
        present = done(wanted, files)
    return _publish(files, wanted, present, failures).damaged


class _Published(NamedTuple):
    recorded: bool
    damaged: list[Failure]


def _publish(files: Files, wanted: Desired, present: Done, failures: Sequence[Failure]) -> _Published:
    publication = Publication(files, wanted.sweep.name, present.published)
    publishing = _Publishing(files, wanted, present, publication)
    publishing.records()
    publishing.results("alignments", {"alignments": publishing.alignments, "layers": publishing.layers})
    publishing.results("barriers", {"barriers": publishing.barriers, "curves": publishing.curves})
    publishing.results("measures", {"measures": publishing.measures})
    publishing.agreements()
    publishing.provenance()
    publishing.failures(failures)
    return _Published(publication.finish(), publishing.damaged)


class _Publishing:
    """Publishes the tables of one sweep; `damaged` lists a failure for each damaged result."""

    def __init__(self, files: Files, wanted: Desired, present: Done, publication: Publication) -> None:
        self._wanted, self._present = wanted, present
        self._found = present.candidates.barriers  # those that may have committed rows
        self._measured = Measurements(self._found)
        self._files, self._results = files, ResultStore(files)
        self._publication = publication
        self.damaged: list[Failure] = []
        self._settings = [code_digest(), wanted.sweep.text]

    def records(self) -> None:
        """Publish the tables that are made of the records of finished levels."""
        # What was computed from levels that have to be trained again has rows until then, and so have they.
        levels, trials = self._present.records | self._present.stale, self._wanted.trials
        keys = sorted(levels, key=lambda key: (key[0], key[1]))
        for bucket, chosen in _by_bucket(keys, lambda key: key[0]):
            records = [(key, levels[key]) for key in chosen]
            # Files of imported networks may be renamed, and others may come before them.
            named = [(trials[key[0]].replicate, trials[key[0]].import_file) for key in chosen]
            read = [[*key, record.sha256, *name] for (key, record), name in zip(records, named, strict=True)]
            inputs = digest([self._settings, read])
            kept = [self._publication.keep(table, bucket, inputs) for table in ("trials", "metrics")]
            if all(kept):
                continue
            rows = [trial_row(self._wanted, *key, record) for key, record in records]
            metrics = [row for key, record in records for row in metric_rows(*key, record)]
            metrics.sort(key=lambda row: (row["trial_id"], row["level"], row["step"], row["split"]))
            self._replace("trials", bucket, rows, inputs)
            self._replace("metrics", bucket, metrics, inputs)

    def failures(self, failures: Sequence[Failure]) -> None:
        """Publish the failures, which alone are no view of what the store holds."""
        found = sorted([*failures, *self.damaged], key=lambda failure: failure.id)
        for bucket, chosen in _by_bucket(found, lambda failure: failure.id):
            self._replace("failures", bucket, [asdict(failure) for failure in chosen])

    def results(self, kind: str, tables: dict[str, Callable[[pa.Table], pa.Table]]) -> None:
        """Publish tables that are made of the committed rows of one kind."""
        asked: dict[str, Callable[[], Ids]] = {
            "alignments": lambda: Ids.of(self._wanted.alignments),
            "barriers": lambda: self._found.ids,
            "measures": lambda: self._measured.ids,
        }
        splits = self._wanted.sweep.sections.compare.splits
        selection = Selection(self._results, kind, self._present.rows[kind], asked[kind](), list(splits))
        stale = {}
        for bucket in range(BUCKETS):
            inputs = digest([self._settings, selection.inputs(bucket)])
            if not all(self._publication.keep(table, bucket, inputs) for table in tables):
                stale[bucket] = inputs
        unread: set[int] = set()  # buckets that lack rows, and so are made again next time
        with Spill(RESULTS[kind], ID[kind], len(selection) > MANY) as spill:
            for rows in selection.read(stale):
                if isinstance(rows, Damage):
                    lost = dict.fromkeys(rows.ids)  # each has a row for every split
                    self.damaged += [_damage(each, kind[:-1], rows.error) for each in lost]
                    unread |= {bucket_of(each) for each in lost}
                else:
                    spill.add(rows)
            for bucket, inputs in stale.items():
                for table, make in tables.items():
                    rows = _sorted(spill.read(bucket), RESULTS[kind])
                    known = None if bucket in unread else inputs
                    self._publication.replace(table, bucket, map(make, rows), known)

    def alignments(self, found: pa.Table) -> pa.Table:
        plain = ["alignment_id", "objective", "objective_identity", "iterations", "seconds"]
        plain += ["hardware", "software", "provenance", "permutations"]
        rows = []
        for row in found.select(plain).to_pylist():
            fixed = _fixed_points(row.pop("permutations"))
            planned = alignment_row(self._wanted, self._wanted.alignments[row["alignment_id"]])
            rows.append({**row, **planned, "fixed_points": fixed})
        return table_of(rows, schema("alignments"))

    def layers(self, found: pa.Table) -> pa.Table:
        rows = [
            {"alignment_id": row["alignment_id"], **layer}
            for row in found.select(["alignment_id", "layers"]).to_pylist()
            for layer in sorted(row["layers"], key=lambda layer: layer["parameter"])
        ]
        return table_of(rows, schema("layers"))

    def barriers(self, found: pa.Table) -> pa.Table:
        ids = found.column("barrier_id").combine_chunks().dictionary_encode()
        jobs = self._found.of(ids.dictionary.to_pylist())
        known = schema("barriers")
        planned = [field for field in known if field.name not in found.column_names]
        rows = [barrier_row(self._wanted, job.comparison) for job in jobs]
        plan = table_of(rows, pa.schema(planned)).take(ids.indices)
        columns = [(plan if field in planned else found).column(field.name) for field in known]
        return pa.table(columns, schema=known)

    def curves(self, found: pa.Table) -> pa.Table:
        columns = ["barrier_id", "split", "curve_weights", "curve_loss", "curve_error"]
        return found.select(columns).rename_columns(schema("curves").names)

    def measures(self, found: pa.Table) -> pa.Table:
        rows, jobs = [], self._measured.of(found.column("measure_id").to_pylist())
        sources = {measure.name: measure.source for measure in self._wanted.barriers.measures}
        for row, (job, measure) in zip(found.drop_columns("inputs").to_pylist(), jobs, strict=True):
            planned = {"barrier_id": job.barrier_id, "measure": measure, "source_digest": sources[measure]}
            of_all = {**planned, **row}
            rows += [{**of_all, **part} for part in of_all.pop("parts")]
        return table_of(rows, schema("measures"))

    def agreements(self) -> None:
        """Publish the comparisons of permutations whose alignments are done."""
        agreements = Agreements(self._results, self._present.alignments)
        jobs = sorted(self._wanted.agreements.values(), key=lambda job: job.agreement_id)
        stamps = self._results.stamps("alignments") if jobs else {}
        for bucket, chosen in _by_bucket(jobs, lambda job: job.agreement_id):
            required = {job.agreement_id: names for job in chosen if (names := agreements.objects(job))}
            if gone := set(chain.from_iterable(required.values())) - stamps.keys():
                raise FileNotFoundError(f"{min(gone)}: was merged with others")
            inputs = digest(
                [self._settings, [[key, [[n, *stamps[n]] for n in names]] for key, names in required.items()]]
            )
            if not self._publication.keep("agreements", bucket, inputs):
                ready = [job for job in chosen if job.agreement_id in required]
                before = len(self.damaged)
                rows = list(self._agreement_rows(agreements, ready))
                known = inputs if len(self.damaged) == before else None
                self._replace("agreements", bucket, rows, known)

    def provenance(self) -> None:
        """Publish what computed the results under the root; what is damaged is left out."""
        names = sorted(self._files.list(PROVENANCE))
        for bucket, chosen in _by_bucket(names, lambda name: name.split("/")[1]):
            inputs = digest([self._settings, chosen])
            if not self._publication.keep("provenance", bucket, inputs):
                self._replace("provenance", bucket, list(self._provenance_rows(chosen)), inputs)

    def _provenance_rows(self, names: Iterable[str]) -> Iterator[Row]:
        columns = schema("provenance").names
        for name in names:
            with contextlib.suppress(CorruptObject):
                facts = {**read_provenance(self._files, name), "provenance": Path(name).stem}
                yield {column: facts.get(column) for column in columns}

    def _agreement_rows(self, agreements: Agreements, jobs: Iterable[AgreementJob]) -> Iterator[Row]:
        for job in jobs:
            try:
                yield agreement_row(self._wanted, job, agreements.of(job))
            except CorruptObject as error:
                self.damaged.append(_damage(job.agreement_id, "agreement", str(error)))

    def _replace(self, table: str, bucket: int, rows: list[Row], inputs: str | None = None) -> None:
        self._publication.replace(table, bucket, [table_of(rows, schema(table))], inputs)


def _damage(identity: str, what: str, error: str) -> Failure:
    """Return the failure of a result that this process, which makes the tables, cannot read."""
    return Failure(identity, what, error, 1, os.uname().nodename)


def _by_bucket(items: Iterable[Item], key: Callable[[Item], str]) -> Iterator[tuple[int, list[Item]]]:
    """Yield the items of every bucket in their order; the first bucket is there even without items."""
    buckets: dict[int, list[Item]] = {0: []}
    for item in items:
        buckets.setdefault(bucket_of(key(item)), []).append(item)
    yield from sorted(buckets.items(), key=lambda bucket: bucket[0])


def _sorted(parts: Iterable[pa.Table], known: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of a bucket in order, `SLICE` at a time; at least one table, which may be empty.

    The first column is the id, and those of later parts are larger.
    """
    keys = [(name, "ascending") for name in (known.names[0], "split") if name in known.names]
    left = known.empty_table()
    for part in parts:
        left = pa.concat_tables([left, part.take(pc.sort_indices(part.select([n for n, _ in keys]), keys))])
        while len(left) > SLICE:
            yield left.slice(0, SLICE)
            left = left.slice(SLICE)
    yield left


def _fixed_points(permutations: list[list[int]]) -> float:
    """The share of units that stay in place, which is 1 where none can move."""
    stay = sum(unit == at for units in permutations for at, unit in enumerate(units))
    return stay / sum(map(len, permutations)) if permutations else 1.0
