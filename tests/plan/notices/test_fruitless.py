"""What a sweep asks for and does not get is said; nothing at all is an error."""

import pytest
import yaml

from raysweep.commands.load_all import load_one
from raysweep.errors import UserError
from raysweep.plan.desired import desired
from raysweep.plan.notices.fruitless import fruitless
from raysweep.sweep.load import check
from tests.data.formats import write_mnist
from tests.inside import here
from tests.sweeps.headers import FILES

TRAIN = {"dataset": "digits", "width": 4, "epochs": 1}
PRUNED = {"levels": 1, "rewind": "1st", "branches": ["transport"]}


def said(train=(), **sections):
    return fruitless(desired(check("file", {"name": "s", "train": {**TRAIN, **dict(train)}, **sections})))


def test_the_defaults_fit_each_other():
    assert said() == []
    assert said(prune=PRUNED) == []
    assert said(compare={"kinds": ["unaligned", "direct", "via", "joint"]}) == []


@pytest.mark.parametrize(
    ("replicates", "sections", "start"),
    [
        (
            2,
            {},
            "compare.kinds = via: yields nothing, because it takes 3 networks of one setting, and",
        ),
        (2, {"compare": {"kinds": ["direct", "joint"]}}, "compare.kinds = joint: yields nothing"),
        (
            4,
            {"compare": {"kinds": ["direct", "joint"], "joint_networks": [3, 5]}},
            "compare.joint_networks = [5]",
        ),
        (
            4,
            {"compare": {"joint_networks": [3, 4]}},
            "compare.joint_networks = [3, 4]: has no effect without joint",
        ),
        (4, {"compare": {"mean_networks": [2, 6]}}, "compare.mean_networks = [6]: yields nothing"),
        (
            4,
            {"compare": {"kinds": ["direct"], "mean_networks": [3]}},
            "compare.mean_networks = [3]: has no effect without unaligned or via or joint",
        ),
        (
            4,
            {"compare": {"path_networks": [3]}},
            "compare.path_networks = [3]: has no effect without composed",
        ),
        (4, {"compare": {"kinds": []}}, "compare.kinds = []: nothing is compared"),
        (4, {"analyses": ["pruning"]}, "analyses = pruning: has nothing to say without prune"),
        (
            4,
            {"analyses": ["trajectory"]},
            "analyses = trajectory: has nothing to say without compare.trajectory",
        ),
        (
            1,
            {"compare": {"kinds": []}, "prune": PRUNED},
            "prune.branches = transport: yields nothing, because it takes 2 networks",
        ),
    ],
)
def test_what_yields_nothing_is_named(replicates, sections, start):
    lines = said({"replicates": replicates}, **sections)
    assert [line for line in lines if line.startswith(start)], lines
    assert len(lines) == 1 + (replicates == 1)


@pytest.mark.parametrize("across", ["widths", "tasks"])
def test_settings_are_compared_directly_or_not_at_all(across):
    two = {"width": [4, 5]} if across == "widths" else {"half": [0, 1]}
    (line,) = said(two, compare={"across": [across], "kinds": ["via"]})
    assert line.startswith(f"compare.across = {across}: yields nothing")


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"compare": {"splits": []}}, "compare.splits"),
        ({"compare": {"statistics": []}}, "compare.statistics"),
        ({"align": {"methods": []}}, "align.methods"),
        ({"train": {**TRAIN, "replicates": []}}, "train.replicates"),
        ({"train": {**TRAIN, "width": []}}, "train.width"),
    ],
)
def test_lists_without_which_there_is_nothing_to_do_are_not_empty(sections, key):
    with pytest.raises(UserError, match=rf"file: {key} = \[\]: "):
        check("file", {"name": "s", "train": TRAIN, **sections})


def test_one_network_is_trained_with_warnings(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({"name": "s", "train": {**TRAIN, "replicates": 1}}))
    assert here("plan", path, "--root", tmp_path / "runs").count("warning: ") == 3


def test_a_sweep_that_can_compare_nothing_is_refused(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({"name": "s", "train": {**TRAIN, "replicates": 2}}))
    with pytest.raises(UserError, match=r"kinds = via: yields nothing.*\n.*kinds: nothing can be compared"):
        load_one(str(path), ["compare.kinds=[via]"])
    output = here("plan", path, "--root", tmp_path / "runs")
    assert "warning: compare.kinds = via: yields nothing" in output


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_file_of_ours_asks_for_what_it_does_not_get(path):
    assert fruitless(load_one(str(path), None, to_plan=True)) == []


def test_a_plan_needs_no_files_of_a_named_data_set(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({"name": "s", "train": {**TRAIN, "dataset": "mnist", "fraction": 0.1}}))
    sets = ["--set", f"train.data_root={tmp_path}", "--root", tmp_path / "runs"]
    for more in ([], ["--set", "train.download=true"]):
        output = here("plan", path, *sets, *more)
        assert "the files of mnist are not on this machine" in output
        assert ["trials", "4", "?", "4"] in map(str.split, output.splitlines())
    assert "dataset mnist: no folder among" in here("run", path, *sets, code=2)
    assert not (tmp_path / "runs").exists()
    write_mnist(tmp_path)
    assert "not on this machine" not in here("plan", path, *sets)
