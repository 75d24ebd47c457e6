"""Merges small committed objects into larger ones: each one takes a request to read and a place in listings.

Readers never lose a row: the merged objects are written first, then the index that lists them, and only then
the parts are removed. A process that is killed in between leaves rows twice; the next one to merge removes
those parts. Several drivers may merge at once, because a merged object is named after its content. A reader
that finds a part gone asks the index again.
"""

import contextlib
from collections.abc import Iterator

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
    shared = _shared(index)
    merged, parts = [], [name for name in small if name in shared and _is_left_over(results, name, shared)]
    for names in _groups([name for name in small if name not in shared], stamps):
        with contextlib.suppress(CorruptObject, FileNotFoundError):  # another driver merges them too
            merged.append(results.merge(names))
            parts += names
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


def _shared(index: Index) -> dict[str, set[tuple[str, str | None]]]:
    """The ids and splits in those objects that have one of them in common with another object.

    They are not merged, because the name of the object is what tells two rows of one id apart.
    """
    rows = index.rows()
    counts = rows.group_by(["id", "split"]).aggregate([("object", "count_distinct")])
    several = counts.filter(pc.greater(counts.column("object_count_distinct"), 1)).column("id")
    numbers = rows.filter(pc.is_in(rows.column("id"), several.combine_chunks())).column("object").unique()
    objects = index.objects.select(["object", "ids", "splits"]).take(numbers).to_pydict().values()
    return {name: set(zip(ids, splits, strict=True)) for name, ids, splits in zip(*objects, strict=True)}


def _is_left_over(results: ResultStore, name: str, shared: dict[str, set[tuple[str, str | None]]]) -> bool:
    """Whether a larger object has all rows of this one, because whoever merged them was killed then."""
    holders = [other for other, keys in shared.items() if keys > shared[name]]
    own = set(map(repr, results.read(name).to_pylist())) if holders else set()
    return any(own <= set(map(repr, results.read(other).to_pylist())) for other in holders)


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
