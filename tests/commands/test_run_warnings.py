"""How a run ends: with a warning where networks that are compared were trained on different machines, and
with its answer where an analysis fails."""

from dataclasses import replace

import yaml

from raysweep.commands.run import execute
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from tests.work.plans import BASE, carry_out, compare_all, plan


def done_already(tmp_path, analyses):
    """A sweep whose work is done, its file, and its root."""
    wanted, files = plan(epochs=1), Files(str(tmp_path / "runs"))
    carry_out(wanted, files)
    compare_all(wanted, files)
    sections = {
        "name": "s",
        "train": {**BASE, "epochs": 1},
        "compare": {"kinds": ["unaligned", "direct"], "alphas": 5},
        "tracking": {"enabled": False},
        "analyses": analyses,
    }
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(sections))
    return wanted, [str(tmp_path / "s.yaml")], files


def test_a_run_names_settings_that_mix_hardware(tmp_path, capsys):
    wanted, paths, files = done_already(tmp_path, [])

    def printed():
        assert execute(paths, files.root, None, None) == 0
        return capsys.readouterr().out

    assert "differ in hardware" not in printed()
    store, trial = TrialStore(files), next(iter(wanted.trials))
    record = store.record(trial, 0)
    elsewhere = {**record.environment, "hardware": "NVIDIA H100"}
    store.commit(trial, 0, replace(record, environment=elsewhere))
    said = printed()
    assert "warning: the networks of one setting (mlp, width 6, on digits, group " in said
    assert "differ in hardware: NVIDIA H100 (1) and " in said


def test_an_analysis_that_fails_keeps_nothing_else_back(tmp_path, capsys, monkeypatch):
    _, paths, files = done_already(tmp_path, ["width_scaling", "weak"])

    def fails(folder):
        raise ZeroDivisionError("no such number")

    figure = tmp_path / "runs/sweeps/s/figures/width_scaling_before.png"
    figure.parent.mkdir(parents=True)
    figure.write_bytes(b"of an earlier run")
    monkeypatch.setattr("analysis.width_scaling.analyse", fails)
    assert execute(paths, files.root, None, None, verbose=True) == 1
    said = capsys.readouterr().out
    assert "analysis width_scaling fails, as the log says: ZeroDivisionError: no such number" in said
    assert said.index("width_scaling fails") < said.index("weak") < said.index("tables and figures:")
    assert figure.exists()
    (log,) = (tmp_path / "runs/logs/s").iterdir()
    assert "in fails\n" in log.read_text()
