import re
import warnings

import pandas as pd
import pytest

from analysis import claims, weak, width_scaling
from analysis.claims import Page, analyse
from analysis.rows.tables import read
from analysis.summary import remembered
from analysis.summary.evidence import PRUNING, STRONG, TRAINING, WEAK, evidence
from raysweep.commands import run
from raysweep.store.files import Files
from tests.analysis.barrier_rows import joint_alignments, joint_rows, pair_alignments, pair_rows, via_rows
from tests.analysis.planned import planned
from tests.analysis.sweeps import trials, weak_tables, write

pytestmark = pytest.mark.versions

METHOD = "weight_matching"


def page(root):
    analyse(root)
    return (root / "claims.html").read_text()


def verdicts(folder, claim):
    return {(each.what, each.split): each for each in evidence(read(folder)) if each.claim == claim}


@pytest.mark.parametrize(
    ("unaligned", "direct", "state"),
    [(0.3, 0.02, "holds"), (0.3, 0.03, "fails"), (0.01, 0.01, "not informative")],
)
def test_weak_verdicts_are_those_of_the_analysis(tmp_path, unaligned, direct, state):
    folder = write(tmp_path, "mine", ["weak"], **weak_tables(direct, unaligned))
    found = verdicts(folder, WEAK)["one aligned to the other", "test"]
    assert (found.state, found.mean, found.n, found.sweep) == (state, pytest.approx(direct), 6, "mine")
    html = page(tmp_path)
    words = "holds in the mean" if state == "holds" else state
    assert f"test {words} ({direct:.3f} [{direct:.3f}, {direct:.3f}], maximum {direct:.3f}" in html
    assert f"<span>{words}</span>" in html


def test_strong_verdicts_are_those_of_the_analysis(tmp_path):
    tables = weak_tables()
    tables["barriers"] += via_rows(8, 0.05) + joint_rows(8, 0.015)
    tables["alignments"] = pd.concat([tables["alignments"], joint_alignments()])
    folder = write(tmp_path, "mine", **tables)
    found = verdicts(folder, STRONG)
    assert {key[0]: each.state for key, each in found.items() if key[1] == "test"} == {
        "pairs, both aligned to a third network": "fails",
        "pairs of three jointly aligned networks": "holds",
    }
    summary = width_scaling.summarise(pd.DataFrame(tables["barriers"]), tables["alignments"])
    assert "from no measured width on\n  8: fails (0.050" in width_scaling.verdicts(summary)[1]


def test_along_training(tmp_path):
    barriers = []
    for step in (3, 9):
        at = {"step": step}
        barriers += pair_rows("unaligned", 8, 0.3, **at)
        for found in (3, 9):
            barrier = 0.01 if found == 9 else 0.1
            barriers += pair_rows("direct", 8, barrier, METHOD, permutation_step=found, **at)
    along = [{"kind": "trajectory", "method": METHOD, "group": "group8", "step": 3, "fixed_points": 0.5}]
    tables = {**weak_tables(), "barriers": barriers, "agreements": along}
    found = verdicts(write(tmp_path, "mine", **tables), TRAINING)
    last, first = (found[f"permutation of epoch {epoch} at every epoch", "train"] for epoch in (3, 1))
    assert (last.state, last.mean, last.n) == ("holds", pytest.approx(0.01), 6)
    assert first.state == "fails"
    assert first.where == "at epoch 1, the worst; holds at 0 of the 2 informative epochs"


def test_along_pruning(tmp_path):
    barriers, runs = [], []
    for level, barrier in enumerate((0.01, 0.015, 0.05)):
        barriers += pair_rows("unaligned", 8, 0.3, level=level)
        barriers += pair_rows("direct", 8, barrier, METHOD, level=level, permutation_level=0)
        runs += [{**row, "level": level, "sparsity": 0.2 * level} for row in trials()]
    found = verdicts(
        write(tmp_path, "mine", **{**weak_tables(), "barriers": barriers, "trials": runs}), PRUNING
    )
    end = found["permutation of the dense networks at every level, at the end of training", "test"]
    assert (end.state, end.mean) == ("fails", pytest.approx(0.05))
    assert end.where == "at level 2, the worst; holds at 2 of the 3 informative levels"


def test_a_claim_without_rows_is_missing(tmp_path):
    write(tmp_path, "mine", **weak_tables())
    text, html = analyse(tmp_path), (tmp_path / "claims.html").read_text()
    assert text.count("missing") == html.count('class="missing"') == 3
    for name in ("trajectory_digits", "imp_digits", "quickstart"):
        assert f"raysweep run sweeps/{name}.yaml" in text
        assert f"raysweep run sweeps/{name}.yaml" in html
    assert "weak_digits" not in text


def test_sweeps_and_variants_have_rows_of_their_own(tmp_path):
    write(tmp_path, "one", **weak_tables(0.01))
    two, others = weak_tables(0.03), tuple(f"{name}@0@9" for name in "efgh")
    two["barriers"] += pair_rows("direct", 8, 0.2, METHOD, networks=others, group="other")
    two["alignments"] = pd.concat([two["alignments"], pair_alignments(others)])
    runs = [{**row, "half": 0} for row in trials()]
    runs += [
        {**row, "half": 1, "group": "other", "trial_id": name}
        for row, name in zip(trials(), "efgh", strict=True)
    ]
    two["trials"] = runs
    write(tmp_path, "two", **two)
    lines = [line for line in analyse(tmp_path).splitlines() if ": test " in line]
    assert ["one: mlp-8 on digits, weight matching:" in line for line in lines] == [True, False, False]
    assert "two: mlp-8 on digits, weight matching, half 0" in lines[1]
    assert "0.030" in lines[1]
    assert "half 1" in lines[2]
    assert "0.200" in lines[2]


def test_controls_are_no_evidence_for_the_claim(tmp_path):
    tables = weak_tables()
    tables["trials"] = [{**row, "init_seed": 0} for row in tables["trials"]]
    assert evidence(read(write(tmp_path, "same", **tables))) == []


def test_a_sweep_in_progress_is_shown_as_far_as_it_is_there(tmp_path):
    tables = weak_tables()
    tables["trials"] = tables["trials"][:3]
    write(tmp_path, "partly", ["weak", "trajectory"], **tables)
    write(tmp_path, "begun", ["weak"])
    write(tmp_path, "empty", ["weak"], **{name: pd.DataFrame() for name in tables})
    html = page(tmp_path)
    assert "12 of 24 barriers left out: their trials or alignments have no rows" in html
    assert "undecided: fewer than four networks" in html
    assert "analysis weak cannot read these tables: KeyError" in html
    assert html.count("no table failures") == 3
    assert html.count("no barriers yet") == 2
    assert '<td class="number">3</td>' in html  # pairs of the three trials that are there


def test_names_and_texts_are_escaped(tmp_path):
    tables = weak_tables(dataset="<i>data & more</i>")
    write(tmp_path, "<b>bold", ["weak"], **tables)
    (tmp_path / "sweeps/<b>bold/figures").mkdir()
    (tmp_path / 'sweeps/<b>bold/figures/"><script>.png').write_bytes(b"")
    html = page(tmp_path)
    assert "<b>bold" not in html
    assert "<i>data" not in html
    assert "<script" not in html
    assert "&lt;b&gt;bold" in html
    assert "&lt;i&gt;data &amp; more" in html


def test_the_page_needs_nothing_else_and_is_the_same_again(tmp_path):
    write(tmp_path, "mine", ["weak"], **weak_tables())
    html = page(tmp_path)
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in html
    assert "url(" not in html
    caption = "Error and loss barriers of all pairs by alignment (mlp-8 on digits): means with 95 % jackknife"
    assert re.search(rf'alt="weak of mlp_8_digits, sweep mine: {re.escape(caption)}', html)
    assert f"<figcaption>{caption}" in html
    assert page(tmp_path) == html


def test_a_root_without_sweeps(tmp_path):
    assert analyse(tmp_path).count("missing") == 4
    assert "There is no sweep under this root." in page(tmp_path)


def test_networks_at_chance_are_named_at_their_width_alone(tmp_path):
    tables = weak_tables()
    wide = tuple(f"w{name}@0@9" for name in "abcd")
    tables["barriers"] += via_rows(8, 0.05) + via_rows(16, 0.05, wide)
    tables["alignments"] = pd.concat([tables["alignments"], pair_alignments(wide)])
    tables["trials"] += [{**row, "trial_id": f"w{row['trial_id']}", "test_error": 0.9} for row in trials(16)]
    found = [each for each in evidence(read(write(tmp_path, "mine", **tables))) if each.claim == STRONG]
    assert {each.setting.width: each.setting.chance for each in found} == {8: "", 16: "all"}
    assert len({each.family for each in found}) == 1
    assert page(tmp_path).count("all networks at chance") == 1


def test_a_trial_of_two_settings_is_no_evidence_with_one_of_the_same_initialisation(tmp_path):
    tables = planned({"init_seed": ["replicate", 0], "replicates": 2}, analyses=["weak"])
    folder = write(tmp_path, "s", **{name: frame for name, frame in tables.items() if len(frame)})
    found = [each.setting.variant for each in evidence(read(folder)) if each.claim == WEAK]
    assert set(found) == {"init seed by replicate"}


def test_figures_of_what_a_sweep_was_before_are_not_shown(tmp_path):
    folder = write(tmp_path, "mine", ["weak"], **weak_tables())
    (folder / "figures").mkdir()
    for name in ("weak_mlp_4_digits.png", "mine.png"):
        (folder / "figures" / name).write_bytes(b"")
    html = page(tmp_path)
    assert "weak_mlp_4_digits.png" not in html
    assert "weak_mlp_8_digits.png" in html
    assert "mine.png" in html


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write the page as a process of its own does; returns the names of the sweeps that it analyses."""

    def write_page():
        analysed = []
        monkeypatch.setattr(claims, "read", lambda folder: analysed.append(folder.name) or read(folder))
        Page(Files(str(tmp_path))).write()
        return analysed

    return write_page


def test_later_processes_analyse_only_what_has_changed(tmp_path, written, monkeypatch):
    folders = [write(tmp_path, name, ["weak"], **weak_tables()) for name in ("one", "two")]
    assert written() == ["one", "two"]
    html = (tmp_path / "claims.html").read_text()
    (tmp_path / "claims.html").unlink()
    assert written() == []
    assert (tmp_path / "claims.html").read_text() == html
    pd.DataFrame(weak_tables(0.03)["barriers"]).to_parquet(folders[1] / "barriers/00.parquet")
    assert written() == ["two"]
    folders[1].rename(folders[1].with_name("three"))
    assert written() == ["three"]
    (folders[0] / "figures/weak_mlp_8_digits.png").unlink()
    assert written() == ["one"]
    (folders[0] / "analysed.json").write_text("{")
    assert written() == ["one"]
    monkeypatch.setattr(remembered, "source_digest", lambda folder: "another version")
    assert written() == ["one", "three"]


def test_a_sweep_that_cannot_be_analysed_is_said_and_tried_again(tmp_path, written, monkeypatch):
    write(tmp_path, "mine", ["weak"], **weak_tables())
    write(tmp_path, "other", ["weak"], trials=[], alignments=[])
    monkeypatch.setattr(claims, "evidence", lambda tables: 1 / (tables.name == "mine") and evidence(tables))
    assert written() == ["mine", "other"]
    html = (tmp_path / "claims.html").read_text()
    assert "these tables cannot be analysed: ZeroDivisionError" in html
    assert "mlp-8 on digits" in html
    assert written() == ["other"]


def test_a_run_analyses_its_own_sweep_once_for_page_and_answer(tmp_path, monkeypatch):
    folder, files = write(tmp_path, "mine", ["weak"], **weak_tables()), Files(str(tmp_path))
    said, analysed = [], []
    monkeypatch.setattr(weak, "analyse", lambda folder: analysed.append(folder) or "weak: so it is")
    for texts in (run._renew_page(files, "mine", None), {}):  # there is no page where a run has nothing to do
        assert run._say(None, folder, "weak", texts.get("weak"), said.append)
        assert said.pop() == "weak: so it is"
        assert analysed == [folder]
        analysed.clear()
    assert "weak: so it is" in (tmp_path / "claims.html").read_text()


def test_a_damaged_table_or_sweep_file_is_named_and_the_rest_is_shown(tmp_path):
    for name, damaged in (("one", "barriers/00.parquet"), ("two", "sweep.yaml")):
        write(tmp_path, name, **weak_tables())
        (tmp_path / "sweeps" / name / damaged).write_bytes(b"[")
    text, html = analyse(tmp_path), (tmp_path / "claims.html").read_text()
    for problem in ("one: barriers/00.parquet: is damaged", "two: sweep.yaml is not YAML"):
        assert f"\n{problem}" in text
        assert problem.partition(" ")[2] in html
    assert [f"weak: {name}:" in text for name in ("one", "two")] == [False, True]


def test_a_run_does_not_warn_because_of_the_sweeps_beside_its_own(tmp_path, monkeypatch, recwarn):
    for name in ("mine", "other"):
        write(tmp_path, name)
    monkeypatch.setattr(
        claims, "read", lambda folder: warnings.warn(folder.name, stacklevel=2) or read(folder)
    )
    run._renew_page(Files(str(tmp_path)), "mine", None)
    assert (tmp_path / "claims.html").exists()
    assert [str(each.message) for each in recwarn.list] == ["mine"]
