"""Why work that looks done has to be done again: the nearest stored results, and the keys that differ.

Work of a sweep that was recorded before looks done, whatever has changed in its file. What another sweep
under the root has done looks like it only where nothing but versions of raysweep or sources of a user's
functions differs.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator

from raysweep.errors import UserError
from raysweep.plan.desired import Desired
from raysweep.plan.notices.differences import lists
from raysweep.plan.notices.jobs_again import jobs_again
from raysweep.plan.notices.trials_again import trials_again
from raysweep.plan.record import StoredRecord, stored_record, sweep_names, user_sources
from raysweep.plan.todo import Todo
from raysweep.store.files import Files

NAMED = 8  # lines


def why_again(files: Files, wanted: Desired, work: Todo) -> list[str]:
    """Return a line for each reason why work has to be done again; none where the work is new.

    A further line names changes of a user's modules for which nothing is done again.
    """
    own = wanted.sweep.own_functions()
    records = list(_records(files, wanted.sweep.name)) if work or own else []
    try:
        counts = Counter(trials_again(files, wanted, work, records))
        counts.update(jobs_again(files, wanted, work, records))
        unnoticed = _unnoticed(wanted, records)
    except UserError as error:
        return [f"why again: cannot be told: {error}"]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return ["why again: cannot be told, because a record under this root holds texts of another form"]
    lines = [*(f"why again: {what}: {count:,}" for what, count in counts.items()), *unnoticed]
    more = [f"why again: {len(lines) - NAMED} more reasons"] if len(lines) > NAMED else []
    return lines[:NAMED] + more


def _unnoticed(wanted: Desired, records: list[StoredRecord]) -> list[str]:
    """Return a line where modules changed that a user's function imports: no id notices that."""
    own = [record for record in records if record.sweep == wanted.sweep.name]
    before = {
        path: digest
        for batch in (batch for record in own for batch in record.batches("source"))
        for digest, path, dropped in lists(batch, "id", "identity", "dropped")
        if dropped is None
    }
    in_ids = {own.digest() for own in wanted.sweep.own_functions()}
    changed = [
        path
        for path, content in user_sources(wanted).items()
        if path in before
        and before[path] != (now := hashlib.sha256(content).hexdigest())
        and now not in in_ids
    ]
    if not changed:
        return []
    return [
        f"warning: {', '.join(changed)} changed since this sweep last ran, but results count as the same, "
        "because ids cover only the files that the sweep file names"
    ]


def _records(files: Files, first: str) -> Iterator[StoredRecord]:
    """The records under a root that can be read; that of the sweep itself comes first."""
    for name in sorted(sweep_names(files), key=lambda name: name != first):
        try:
            yield stored_record(files, name)
        except UserError:
            continue
