"""Why alignments, barriers and measures that look done have to be computed again."""

import json
from collections import Counter
from collections.abc import Iterable

import pyarrow as pa

from raysweep.plan.desired import Desired
from raysweep.plan.notices.differences import (
    MOST_CHANGES,
    SOURCE,
    VERSION,
    Keys,
    change,
    differing_keys,
    lists,
    of_code,
)
from raysweep.plan.record import StoredRecord
from raysweep.plan.todo import Todo
from raysweep.registry import OwnFunction
from raysweep.store.files import Files
from raysweep.store.ids import Ids, pack_column
from raysweep.store.results import ResultStore
from raysweep.vocabulary import Interpolation


def jobs_again(files: Files, wanted: Desired, work: Todo, records: list[StoredRecord]) -> Counter[str]:
    """Return what is to be said of jobs that were done with other settings, with their number."""
    own = {each.name: each for each in wanted.sweep.own_functions()}
    left = {
        "alignments": Counter(job.how for job in work.alignments),
        "barriers": work.barriers.settings(),
        "measures": work.barriers.measured(),
    }
    found: Counter[str] = Counter()
    models = _models(trial.identity for trial in wanted.trials.values())
    alike = [record for record in records if models & _models_of(record)]
    before = [record for record in alike if record.sweep == wanted.sweep.name]
    others = [record for record in alike if record.sweep != wanted.sweep.name]
    for kind, settings in left.items():
        if not (settings and alike):
            continue
        there = Ids.distinct(pack_column(ResultStore(files).index(kind).rows().column("id")))
        recorded, elsewhere = (_done(there, kind, some) for some in (before, others))
        for how, count in settings.items():
            if text := _nearest_settings(files, kind, how, recorded, elsewhere, own):
                found[f"{kind} like stored ones but for {text}"] += count
    return found


def _done(there: Ids, kind: str, records: list[StoredRecord]) -> set[str]:
    """The texts of the jobs of a kind that are recorded, and of which there are results."""
    found: set[str] = set()
    for batch in (batch for record in records for batch in record.batches(kind, ["id", "identity"])):
        done = there.places(pack_column(pa.chunked_array([batch.column("id")]))) >= 0
        found.update(batch.column("identity").filter(pa.array(done)).unique().to_pylist())
    return found


def _models_of(record: StoredRecord) -> set[str]:
    batches = record.batches("trials", ["identity"])
    return _models(text for batch in batches for (text,) in lists(batch, "identity"))


def _models(texts: Iterable[str]) -> set[str]:
    """Return the models of trained networks, and the settings of imported ones, which stand for them."""
    found = set()
    for text in texts:
        match json.loads(text):
            case "trial", dict() as determined, *_:
                found.add(str(determined.get("model")))
            case "import", _, setting, *_:
                found.add(str(setting))
    return found


def _nearest_settings(
    files: Files, kind: str, text: str, recorded: set[str], elsewhere: set[str], own: dict[str, OwnFunction]
) -> str:
    """Return in what the settings of a job differ from those of the nearest jobs that are done.

    Jobs are done of this sweep as it was `recorded`, and `elsewhere`. Nothing where jobs of the same settings
    are done: then its networks are other ones. `own` are the user's functions by name.
    """
    if text in recorded | elsewhere:
        return ""
    (now, same), least = _settings(kind, text), ""
    fewest = MOST_CHANGES + 1
    for each in sorted(recorded | elsewhere):
        before, what = _settings(kind, each)
        differing = differing_keys(before, now)
        # A later version than that of now is one of networks of another kind.
        later = any(key.startswith(VERSION) and before[key] > now.get(key, 0) for key in before)
        looks_done = what == same and not later and (each in recorded or of_code(differing))
        if looks_done and len(differing) < fewest:
            fewest = len(differing)
            least = "; ".join(change(files, key, before.get(key), now.get(key), own) for key in differing)
    return least


def _settings(kind: str, text: str) -> tuple[Keys, Keys]:
    """Return the keys of the sweep file behind a job, and what it is: jobs of another kind are other work."""
    word, version, how = json.loads(text)
    own = {f"{VERSION} {word}": version}
    if kind == "alignments":
        same = {"word": word, "method": how.pop("method")}
        shared = ("seed", "threads", "device")
        names = {key: f"align.{key}" if key in shared else f"align.{same['method']}.{key}" for key in how}
        names["source"] = f"{SOURCE} {same['method']}"  # of a user's own method
        return {**own, **{names[key]: value for key, value in how.items()}}, same
    if kind == "measures":
        name = how["measure"]
        return {**own, f"{SOURCE} {name}": how.get("source")}, {"word": word, "measure": name}
    same = {key: how.pop(key) for key in ("interpolation", "kind", "statistics", "hybrid")}
    grid = "alphas" if same["interpolation"] == Interpolation.PAIR else "subdivisions"
    names = {"grid": f"compare.{grid}", "examples": "compare.train_examples", "threads": "align.threads"}
    return {**own, **{names.get(key, f"compare.{key}"): value for key, value in how.items()}}, same
