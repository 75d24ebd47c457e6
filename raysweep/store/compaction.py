"""Merges small committed objects into larger ones: each one takes a request to read and a place in listings.

Readers never lose a row: the merged objects are written first, then the index that lists them, and only then
the parts are removed. A process that is killed in between leaves rows twice; the next one to merge removes
those parts. Several drivers may merge at once, because a merged object is named after its content. A reader
that finds a part gone asks the index again.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysweep.store.backends import Stamp
from raysweep.store.files import CorruptObject, Files
from raysweep.store.index import MOST_UNINDEXED, Index, store_index, table_of_entries
from raysweep.store.results import RESULTS, ResultStore

TARGET = 2**21  # bytes of a merged object; whoever needs one of its rows reads all of it
SMALL = TARGET // 4


def compact(files: Files) -> None:
    """Merge the small objects of each kind of result, where there are many."""
    for kind in RESULTS:
        _compact(files, ResultStore(files), kind)


def _compact(files: Files, results: ResultStore, kind: str) -> None:
    index = results.index(kind)
    stamps = _stamps(index)
    small = [name for name, stamp in stamps.items() if stamp.size < SMALL]
    if len(small) <= MOST_UNINDEXED:
        return
    rows = _shared(index)
    shared = set(index.objects.column("object").take(rows.column("object").unique()).to_pylist())
    merged, parts = [], _left_over(results, _held(index, rows, shared.intersection(small)))
    for names in _groups([name for name in small if name not in shared], stamps):
        with contextlib.suppress(CorruptObject, FileNotFoundError):  # another driver merges them too
            merged.append(results.merge(names))
            parts += names
    if not parts:
        return
    now = files.stamps_of(merged)
    entries = table_of_entries([(name, stamp, results.entry(name)) for name, stamp in now.items()])
    whole = pa.concat_tables([*index.slices(entries.column_names), entries]).sort_by("object")
    store_index(files, kind, [whole])
    unchanged = [name for name, stamp in files.stamps_of(parts).items() if stamp == stamps[name]]
    files.at_once(files.delete, unchanged)
    kept = pc.invert(pc.is_in(whole.column("object"), pa.array(unchanged, pa.string())))
    store_index(files, kind, [whole.filter(kept)])


def _stamps(index: Index) -> dict[str, Stamp]:
    """The stamps of all objects, in the order of their names."""
    columns = (index.objects.column(name).to_pylist() for name in ("object", *Stamp._fields))
    return {name: Stamp(*stamp) for name, *stamp in zip(*columns, strict=True)}


def _shared(index: Index) -> pa.Table:
    """The rows of the ids of which several objects have a row, with the sums of their `inputs`.

    Objects with such rows are not merged, because the name of the object is what tells two rows of one id
    apart.
    """
    rows = index.rows()
    counts = rows.group_by(["id", "split"]).aggregate([("object", "count_distinct")])
    several = counts.filter(pc.greater(counts.column("object_count_distinct"), 1)).column("id")
    sums = np.concatenate([np.zeros(0, np.int64), *(each.sums() for each in index.inputs())])
    chosen = pc.is_in(rows.column("id"), several.combine_chunks())
    return rows.append_column("inputs", pa.array(sums)).filter(chosen)


def _held(index: Index, rows: pa.Table, small: set[str]) -> dict[str, list[str]]:
    """Return, by larger objects, those small ones all of whose rows they have as far as the index tells.

    `rows` are the shared ones. Those that were computed again from other inputs, of which there may be
    millions, are told apart here.
    """
    alike = rows.group_by(["id", "split", "digest", "inputs"]).aggregate([("object", "distinct")])
    twins = alike.column("object_distinct").combine_chunks()
    twins = twins.filter(pc.greater(pc.list_value_length(twins), 1))
    numbers, objects = np.asarray(pc.list_parent_indices(twins)), np.asarray(pc.list_flatten(twins))
    order = np.argsort(objects)
    found, starts = np.unique(objects[order], return_index=True)
    numbers_of = dict(zip(found.tolist(), np.split(numbers[order], starts[1:]), strict=False))
    lengths = pc.list_value_length(index.objects.column("ids")).to_pylist()
    names, held = index.objects.column("object"), defaultdict(list)
    for own, its in numbers_of.items():
        if len(its) == lengths[own] and (name := names[own].as_py()) in small:
            for other in twins[int(its[0])].as_py():
                if lengths[other] > lengths[own] and np.isin(its, numbers_of[other]).all():
                    held[names[other].as_py()].append(name)
    return held


def _left_over(results: ResultStore, held: dict[str, list[str]]) -> list[str]:
    """Return the objects whose rows their holder has, because whoever merged them was killed then."""
    found = []
    for holder, names in held.items():
        with contextlib.suppress(CorruptObject, FileNotFoundError):  # another driver merges them too
            rows = _texts(results, holder)
            found += [name for name in names if _texts(results, name) <= rows]
    return found


def _texts(results: ResultStore, name: str) -> set[str]:
    return set(map(repr, results.read(name).to_pylist()))


def _groups(names: list[str], stamps: dict[str, Stamp]) -> Iterator[list[str]]:
    """Yield objects that are merged into one; the last ones wait until there are enough of them."""
    group: list[str] = []
    size = 0
    for name in names:
        group.append(name)
        size += stamps[name].size
        if size >= TARGET:
            yield group
            group, size = [], 0
    if len(group) > 1:
        yield group
