"""Why work is to do that looks done: the nearest stored results, and the keys in which they differ.

Work of a sweep that was recorded before looks done, whatever has changed in its file. What another sweep
under the root has done looks like it only where versions of raysweep or sources of a user's functions differ
alone.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raysweep.digest import canonical
from raysweep.errors import UserError
from raysweep.plan.desired import Desired
from raysweep.plan.identity import Trial
from raysweep.plan.notices.changed_parts import changed_parts
from raysweep.plan.record import StoredRecord, source_name, stored_record, sweep_names, user_sources
from raysweep.plan.todo import Todo
from raysweep.plan.trial_ids import INDIRECT
from raysweep.plan.versions import reasons
from raysweep.registry import OwnFunction
from raysweep.store.files import CorruptObject, Files
from raysweep.store.ids import Ids, pack_column
from raysweep.store.records import json_object
from raysweep.store.results import ResultStore
from raysweep.vocabulary import Interpolation

MOST_CHANGES = 3  # with more keys that differ, work is not called the same
MOST_KINDS = 100  # of trials that are looked into
NAMED = 8  # lines
OF_IMPORTS = {"file": "the content of the imported file", "setting": "the model or the data"}
SEEDS = ("train.init_seed", "train.data_seed")
VERSION = "version"  # how keys begin that hold one; the word of the text follows
SOURCE = "source"  # how keys begin that hold the digest of a user's file; the key of `train` follows
Keys = dict[str, Any]


@dataclass(frozen=True)
class _Kind:
    """Trials that differ in their seeds alone: their keys, and one of them with its sweep."""

    keys: Keys
    example: str
    sweep: str


def why_again(files: Files, wanted: Desired, work: Todo) -> list[str]:
    """Return a line for each reason for which work is to do again; none where the work is new.

    A further line names changes of a user's modules for which nothing is done again.
    """
    own = wanted.sweep.own_functions()
    records = list(_records(files, wanted.sweep.name)) if work or own else []
    try:
        counts = Counter(_trials(files, wanted, work, records))
        counts.update(_jobs(files, wanted, work, records))
        unnoticed = _unnoticed(wanted, records)
    except UserError as error:
        return [f"why again: cannot be told: {error}"]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return ["why again: cannot be told, because a record under this root holds foreign texts"]
    lines = [*(f"why again: {what}: {count:,}" for what, count in counts.items()), *unnoticed]
    more = [f"why again: {len(lines) - NAMED} more reasons"] if len(lines) > NAMED else []
    return lines[:NAMED] + more


def _unnoticed(wanted: Desired, records: list[StoredRecord]) -> list[str]:
    """Return a line where modules changed that a user's function imports: no id notices that."""
    own = [record for record in records if record.sweep == wanted.sweep.name]
    before = {
        path: digest
        for batch in (batch for record in own for batch in record.batches("source"))
        for digest, path, dropped in _lists(batch, "id", "identity", "dropped")
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


def _trials(files: Files, wanted: Desired, work: Todo, records: list[StoredRecord]) -> Iterator[str]:
    """Yield what is to be said of each trial that is like one that is stored."""
    texts = {key: trial.identity for key, trial in wanted.trials.items()}
    owners: dict[str, str] = {}
    for record in records:
        for batch in record.batches("trials", ["id", "identity"]):
            for identity, text in _lists(batch, "id", "identity"):
                if identity not in wanted.trials:
                    texts[identity] = text
                    owners.setdefault(identity, record.sweep)
    names = files.list("trials") if owners and work.trials else []
    there = {name.split("/")[1] for name in names if name.endswith("/done")}
    stored: dict[str, _Kind] = {}
    for identity in filter(there.__contains__, owners):
        keys = _keys(identity, texts)
        stored.setdefault(_without_seeds(keys), _Kind(keys, identity, owners[identity]))
    known: dict[str, str] = {}
    for trial in work.trials:
        if trial.trial_id in there:  # it only lacks checkpoints or levels
            continue
        keys = _keys(trial.trial_id, texts)
        kind = _without_seeds(keys)
        if kind not in known and len(known) < MOST_KINDS:
            known[kind] = _nearest(files, trial, keys, stored.values(), wanted.sweep.name)
        if known.get(kind):
            yield known[kind]


def _without_seeds(keys: Keys) -> str:
    return canonical({key: value for key, value in keys.items() if key not in SEEDS})


def _keys(identity: str, texts: dict[str, str]) -> Keys:
    """Return what determines a trial, with what determines the trials that it starts from."""
    word, *rest = json.loads(texts.get(identity) or '["unknown"]')
    match word, rest:
        case "trial", [determined, data, seeds]:
            own = {f"{VERSION} {word}": determined.pop("version"), "data": data}
            sources = {"model": determined.pop("source"), **determined.pop("sources", {})}
            own |= {f"{SOURCE} {key}": found for key, found in sources.items()}
            trunk = determined.pop("trunk", None)
            found = _keys(trunk, texts) if trunk else {}
            own["word"] = "spawned" if trunk else word
            return found | own | {f"train.{key}": value for key, value in {**determined, **seeds}.items()}
        case "import", [version, setting, content, *under]:
            own = {"word": word, f"{VERSION} {word}": version, "setting": setting, "file": content}
            return {**own, "train.imports.under": under[0] if under else None}
        case "chain", [version, settings, parent]:
            own = {f"prune.{key}": value for key, value in settings.items()}
            return {**_keys(parent, texts), **own, "word": word, f"{VERSION} {word}": version}
        case "branch", [version, how, chain, _]:
            return {**_keys(chain, texts), "word": canonical(how[:2]), f"{VERSION} {word}": version}
        case _:
            return {"word": identity}


def _nearest(files: Files, trial: Trial, keys: Keys, stored: Iterable[_Kind], sweep: str) -> str:
    """Return in what a trial differs from the stored one that is most like it; nothing where none is."""
    best: _Kind | None = None
    least: list[str] = [""] * (MOST_CHANGES + 1)
    for kind in stored:
        if kind.keys["word"] == keys["word"]:
            differing = _differing(kind.keys, keys)
            if len(differing) < len(least) and (kind.sweep == sweep or _of_code(differing)):
                best, least = kind, differing
    if best is None:
        return ""
    changes = [_change(files, best, trial, key, keys.get(key)) for key in least]
    return (
        f"trials like stored ones of the sweep {best.sweep} (such as {best.example}) but for "
        f"{'; '.join(dict.fromkeys(changes))}"
    )


def _of_code(keys: Iterable[str]) -> bool:
    """Whether keys are those of versions and of the user's files alone."""
    return all(key.startswith((f"{VERSION} ", f"{SOURCE} ")) for key in keys)


def _differing(before: Keys, now: Keys) -> list[str]:
    """Return the keys in which two differ, and seeds only where there are no others.

    Where another function is named, the file in which it lies says nothing more.
    """
    keys = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    keys = [key for key in keys if f"train.{key.removeprefix(f'{SOURCE} ')}" not in keys]
    if {"train.device", "train.channels_last", "train.model", "train.init"} & set(keys):
        keys = [key for key in keys if key != f"{VERSION} trial"]
    return [key for key in keys if key not in SEEDS] or keys


def _change(files: Files, before: _Kind, trial: Trial, key: str, new: Any) -> str:
    old = before.keys.get(key)
    if key.startswith(VERSION):
        word = key.removeprefix(f"{VERSION} ")
        return _new_version(word, old, new)
    if key.startswith(SOURCE):
        return _source_change(files, old, trial.training.own_functions()[key.removeprefix(f"{SOURCE} ")])
    if key == "data":
        return _data_change(files, before.example, trial)
    if key in OF_IMPORTS:
        return OF_IMPORTS[key]
    return f"{key} {_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _new_version(word: str, old: Any, new: Any) -> str:
    article = "an" if word.startswith("a") else "a"
    why = "; ".join(reasons(word, int(old), int(new))) or "no reason is recorded"
    return f"raysweep's version of {article} {word}, {old} -> {new} ({why})"


def _source_change(files: Files, before: str | None, own: OwnFunction) -> str:
    """Say which parts of a user's file differ from the stored one."""
    named = f"source of {own.split()[0].replace('.', '/')}.py"
    try:
        stored = files.find(source_name(before or ""))
    except CorruptObject:
        stored = None
    return f"{named} changed{f' in {changed_parts(stored, own.source())}' if stored else ''}"


def _data_change(files: Files, example: str, trial: Trial) -> str:
    """Say which of the keys that choose the data differ; where none does, the files hold other data."""
    try:
        config = json_object(files.find(f"trials/{example}/config.json") or b"{}")
    except CorruptObject:
        config = {}
    before, now = config.get("training"), trial.settings()
    changed = [
        f"train.{key} {_shown(before.get(key))} -> {_shown(now[key])}"
        for key in sorted(INDIRECT & now.keys())
        if isinstance(before, dict) and f"train.{key}" not in SEEDS and before.get(key) != now[key]
    ]
    return "; ".join(changed) or f"the data of {trial.training.dataset}, which are other ones"


def _jobs(files: Files, wanted: Desired, work: Todo, records: list[StoredRecord]) -> Counter[str]:
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
        recorded = _done(files, kind, before) if settings and before else set()
        elsewhere = _done(files, kind, others) if settings and others else set()
        for how, count in settings.items():
            if text := _nearest_settings(files, kind, how, recorded, elsewhere, own):
                found[f"{kind} like stored ones but for {text}"] += count
    return found


def _done(files: Files, kind: str, records: list[StoredRecord]) -> set[str]:
    """The texts of the jobs of a kind that are recorded and done."""
    ids = Ids.distinct(pack_column(ResultStore(files).index(kind).rows().column("id")))
    found: set[str] = set()
    for batch in (batch for record in records for batch in record.batches(kind, ["id", "identity"])):
        done = ids.places(pack_column(pa.chunked_array([batch.column("id")]))) >= 0
        found.update(batch.column("identity").filter(pa.array(done)).unique().to_pylist())
    return found


def _lists(batch: pa.RecordBatch, *columns: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(batch.column(name).to_pylist() for name in columns), strict=True)


def _models_of(record: StoredRecord) -> set[str]:
    batches = record.batches("trials", ["identity"])
    return _models(text for batch in batches for (text,) in _lists(batch, "identity"))


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
        differing = _differing(before, now)
        # A later version than that of now is one of networks of another kind.
        later = any(key.startswith(VERSION) and before[key] > now.get(key, 0) for key in before)
        looks_done = what == same and not later and (each in recorded or _of_code(differing))
        if looks_done and len(differing) < fewest:
            fewest = len(differing)
            least = "; ".join(_setting(files, key, before, now, own) for key in differing)
    return least


def _setting(files: Files, key: str, before: Keys, now: Keys, own: dict[str, OwnFunction]) -> str:
    """Say how a setting of a job changed."""
    if key.startswith(VERSION):
        return _new_version(key.removeprefix(f"{VERSION} "), before.get(key, 0), now.get(key, 0))
    if key.startswith(f"{SOURCE} "):
        return _source_change(files, before.get(key), own[key.removeprefix(f"{SOURCE} ")])
    return f"{key} {_shown(before.get(key))} -> {_shown(now.get(key))}"


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
