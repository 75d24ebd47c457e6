"""Why trials that look done have to be trained again."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from raysweep.digest import canonical
from raysweep.plan.desired import Desired
from raysweep.plan.identity import Trial
from raysweep.plan.notices.differences import (
    MOST_CHANGES,
    SEEDS,
    SOURCE,
    VERSION,
    Keys,
    change,
    differing_keys,
    lists,
    of_code,
    shown,
)
from raysweep.plan.record import StoredRecord
from raysweep.plan.todo import Todo
from raysweep.plan.trial_ids import INDIRECT
from raysweep.store.files import CorruptObject, Files
from raysweep.store.records import json_object

MOST_KINDS = 100  # of trials that are looked into
OF_IMPORTS = {"file": "the content of the imported file", "setting": "the model or the data"}


@dataclass(frozen=True)
class _Kind:
    """Trials that differ in their seeds alone: their keys, and one of them with its sweep."""

    keys: Keys
    example: str
    sweep: str


def trials_again(files: Files, wanted: Desired, work: Todo, records: list[StoredRecord]) -> Iterator[str]:
    """Yield what is to be said of each trial that is like one that is stored."""
    texts = {key: trial.identity for key, trial in wanted.trials.items()}
    owners: dict[str, str] = {}
    for record in records:
        for batch in record.batches("trials", ["id", "identity"]):
            for identity, text in lists(batch, "id", "identity"):
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
            differing = differing_keys(kind.keys, keys)
            if len(differing) < len(least) and (kind.sweep == sweep or of_code(differing)):
                best, least = kind, differing
    if best is None:
        return ""
    changes = [_change(files, best, trial, key, keys.get(key)) for key in least]
    return (
        f"trials like stored ones of the sweep {best.sweep} (such as {best.example}) but for "
        f"{'; '.join(dict.fromkeys(changes))}"
    )


def _change(files: Files, before: _Kind, trial: Trial, key: str, new: Any) -> str:
    if key == "data":
        return _data_change(files, before.example, trial)
    if key in OF_IMPORTS:
        return OF_IMPORTS[key]
    return change(files, key, before.keys.get(key), new, trial.training.own_functions())


def _data_change(files: Files, example: str, trial: Trial) -> str:
    """Say which of the keys that choose the data differ; where none does, the files hold other data."""
    try:
        config = json_object(files.find(f"trials/{example}/config.json") or b"{}")
    except CorruptObject:
        config = {}
    before, now = config.get("training"), trial.settings()
    changed = [
        f"train.{key} {shown(before.get(key))} -> {shown(now[key])}"
        for key in sorted(INDIRECT & now.keys())
        if isinstance(before, dict) and f"train.{key}" not in SEEDS and before.get(key) != now[key]
    ]
    return "; ".join(changed) or f"the data of {trial.training.dataset}, which are other ones"
