"""Ways to prune that a sweep has beside each other are kept apart in tables, analyses and runs."""

import pytest

from analysis import pruning
from analysis.pruning import figure
from analysis.rows.settings import pruned_settings
from analysis.rows.tables import read
from analysis.summary.evidence import PRUNING, evidence
from raysweep.sweep.prune import Pruning
from raysweep.tracking.values import configured, label, setting_words, trial_words
from tests.analysis.planned import planned

VALUES = {
    "fraction": [0.2, 0.3],
    "scope": ["global", "layer"],
    "exclude": [[], ["output"]],
    "rewind": ["1st", "1ep"],
    "optimiser": ["fresh", "kept"],
    "data_order": ["same", "new"],
}


def test_every_key_is_tried():
    assert VALUES.keys() == Pruning.model_fields.keys()


def of_two(key):
    """The tables of a sweep with two values of a key."""
    prune = {"levels": 2, "rewind": "1st", "branches": ["transport"], key: VALUES[key]}
    return planned({}, prune=prune, compare={"kinds": ["unaligned", "direct"]})


@pytest.fixture(scope="module", params=VALUES)
def swept(request):
    return request.param, of_two(request.param)


def test_analyses_keep_ways_to_prune_apart(swept):
    key, tables = swept
    trials = tables["trials"]
    parts = list(pruned_settings(trials))
    assert len(parts) == 2
    for told in ("title", "stem"):
        assert len({getattr(setting, told) for setting, _ in parts}) == 2
    for setting, rows in parts:
        assert key.replace("_", " ") in setting.title
        pruned = rows[rows.level > 0]
        assert len(pruned[f"prune_{key}"].map(str).unique()) == 1
        assert set(pruned[pruned.branch == "main"].parent_trial) == set(rows[rows.level == 0].trial_id)


def test_reports_verdicts_and_figures_are_made_of_each_way_to_prune(tmp_path, monkeypatch):
    tables, paths = of_two("rewind"), []
    for name, frame in tables.items():
        frame.to_parquet(tmp_path / name)
    monkeypatch.setattr(figure, "draw", lambda *given: paths.append(given[-2]))
    titles = [setting.title for setting, _ in pruned_settings(tables["trials"])]
    text = pruning.analyse(tmp_path)
    assert all(title.split(", ")[-1] in text for title in titles)
    assert len(set(paths)) == len(paths) == 2
    found = {row.family for row in evidence(read(tmp_path)) if row.claim == PRUNING}
    assert len(found) == 2


def test_settings_that_share_a_network_have_all_of_their_own_pairs_and_no_others(tmp_path, monkeypatch):
    """The first replicates are one trial, because both draw the order of the data by seed 0."""
    drawn = []
    tables = planned(
        {"data_seed": ["replicate", 0]}, prune={"levels": 1}, compare={"kinds": ["unaligned", "direct"]}
    )
    for name, frame in tables.items():
        frame.to_parquet(tmp_path / name)
    monkeypatch.setattr(figure, "draw", lambda *given: drawn.append(given))
    titles = [part.splitlines()[0] for part in pruning.analyse(tmp_path).split("\n\n")]
    assert ["data seed 0" in title for title in titles] == [True, False]
    for means, errors, *_ in drawn:
        assert set(means.point) == {"rewind", "end"}
        assert (set(means.n), set(errors.n)) == ({6}, {4})
    verdicts = evidence(read(tmp_path))
    assert {each.n for each in verdicts} == {6}
    assert {each.setting.variant for each in verdicts} == {"data seed 0", "data seed by replicate"}


def test_runs_of_several_ways_to_prune_have_names_of_their_own(swept):
    _, tables = swept
    barriers, trials = tables["barriers"], tables["trials"]
    rows = trials.assign(configured=configured(trials, trials))
    names = [
        label(levels.iloc[0], *trial_words(levels.iloc[0], trials)) for _, levels in rows.groupby("trial_id")
    ]
    assert len(set(names)) == len(names)
    pairs = barriers.fillna({"method": "unaligned"}).assign(configured=configured(barriers, trials))
    settings = [
        label(rows.iloc[0], *setting_words(str(method), rows, trials))
        for (_, method), rows in pairs.groupby(["group", "method"])
    ]
    assert len(set(settings)) == len(settings)


def test_dense_networks_have_no_keys_of_pruning(swept):
    key, tables = swept
    trials = tables["trials"]
    assert trials[trials.level == 0][f"prune_{key}"].isna().all()
    assert trials[trials.level > 0][f"prune_{key}"].notna().all()
