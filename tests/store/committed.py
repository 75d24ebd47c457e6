"""What workers committed, row by row."""

from raysweep.store.results import ResultStore


def committed(files, kind):
    """Return every row of alignments by (alignment_id,), of barriers by (barrier_id, split)."""
    store = ResultStore(files)
    key = ("alignment_id",) if kind == "alignments" else ("barrier_id", "split")
    return {
        tuple(row[column] for column in key): row | {"_object": name}
        for name in store.index(kind).objects.column("object").to_pylist()
        for row in store.read(name).to_pylist()
    }
