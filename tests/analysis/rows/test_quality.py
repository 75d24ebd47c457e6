"""What is printed says how good the networks are and which statistics are shown."""

import pandas as pd
import pytest

from analysis import width_scaling
from analysis.claims import analyse
from analysis.rows.quality import at_chance, themselves
from tests.analysis.barrier_rows import METHOD, NETWORKS, pair_alignments, pair_rows, trial_rows
from tests.analysis.sweeps import trials, weak_tables, write

PAIRS = pair_rows("unaligned", 8, 0.5) + pair_rows("direct", 8, 0.01, METHOD)


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    monkeypatch.setattr(width_scaling, "draw", lambda *_: None)  # the numbers are in the text


def text(folder, barriers, runs):
    for name, table in (("barriers", barriers), ("alignments", pair_alignments()), ("trials", runs)):
        pd.DataFrame(table).to_parquet(folder / name)
    return width_scaling.analyse(folder)


def test_the_answer_shows_the_test_error_of_the_networks(tmp_path):
    runs = pd.DataFrame(trial_rows()).assign(test_error=[0.02, 0.04, 0.06, 0.08])
    found = text(tmp_path, PAIRS, runs)
    head = "test error of the networks themselves (mean, range):"
    assert f"{head}\n  width 8: 0.050 (0.020 to 0.080, n = 4)\n" in found
    assert "CHANCE" not in found


@pytest.mark.parametrize(("error", "says"), [(0.9, True), (0.88, True), (0.7, False)])
def test_networks_at_chance_make_no_result(tmp_path, error, says):
    found = text(tmp_path, PAIRS, trial_rows(test_error=error))
    assert ("(4 of 4 of width 8) support no conclusion" in found) == says
    assert found.startswith("mlp on digits, weight matching, ALL NETWORKS AT CHANCE, mean test") == says


def test_some_networks_at_chance(tmp_path):
    runs = pd.DataFrame(trial_rows()).assign(test_error=[0.1, 0.1, 0.1, 0.9])
    found = text(tmp_path, PAIRS, runs)
    assert "SOME NETWORKS AT CHANCE" in found
    assert "(1 of 4 of width 8) support no conclusion" in found


def test_verdicts_of_networks_at_chance_say_so(tmp_path):
    tables = weak_tables()
    tables["trials"] = trials(test_error=0.9)
    write(tmp_path, "mine", **tables)
    verdicts = [line for line in analyse(tmp_path).splitlines() if line.startswith("weak: mine")]
    assert len(verdicts) == 2
    assert all("ALL NETWORKS AT CHANCE" in line for line in verdicts)


def test_networks_pruned_from_one_at_chance_are_too():
    runs = pd.DataFrame(
        [
            {"trial_id": "a", "level": 0, "parent_trial": None, "test_error": 0.9, "guess_error": 0.9},
            {"trial_id": "A", "level": 1, "parent_trial": "a", "test_error": 0.1, "guess_error": 0.9},
            {"trial_id": "b", "level": 0, "parent_trial": None, "test_error": 0.1, "guess_error": 0.9},
            {"trial_id": "B", "level": 1, "parent_trial": "b", "test_error": 0.9, "guess_error": 0.9},
        ]
    )
    assert at_chance(runs) == {"a", "A"}


@pytest.mark.parametrize(
    ("keeps", "statistics", "words"),
    [
        (True, ("kept", "recomputed"), "recomputed running statistics"),
        (True, ("kept",), "kept running statistics"),
        (False, ("kept",), None),
        (False, ("kept", "repaired"), None),
        (False, ("repaired",), "repaired hidden units"),
    ],
)
def test_the_answer_says_which_statistics_it_shows(tmp_path, keeps, statistics, words):
    barriers = [{**row, "statistics": each} for row in PAIRS for each in statistics]
    runs = pd.DataFrame(trial_rows()).assign(running_statistics=keeps)
    head = text(tmp_path, barriers, runs).splitlines()[0]
    assert ("statistics" in head or "repaired" in head) == (words is not None)
    assert f"weight matching{f', {words}' if words else ''}, mean test barrier by width" in head


def test_configurations_are_not_averaged():
    runs = pd.DataFrame(trial_rows()).assign(
        test_error=[0.1, 0.1, 0.3, 0.3], learning_rate=[0.1, 0.1, 0.2, 0.2], group=list("ggff")
    )
    assert themselves(pd.DataFrame({"networks": [list(NETWORKS)]}), runs)[1:] == [
        "  width 8, learning rate 0.1: 0.100 (0.100 to 0.100, n = 2)",
        "  width 8, learning rate 0.2: 0.300 (0.300 to 0.300, n = 2)",
    ]
