import pandas as pd
import pytest

from analysis.claims import analyse
from analysis.rows.tables import read
from analysis.summary import paper
from analysis.summary.reproduction import Beside, reproductions
from raysweep.sweep.load import load_sweep
from tests.analysis.barrier_rows import fixed_rows, pair_alignments, pair_rows, via_rows
from tests.analysis.sweeps import trials, write
from tests.readmes import PROJECT

VGG = {"dataset": "cifar10", "model": "vgg16", "norm": "layer"}
NAN = float("nan")


def vgg(root, **changes):
    """A sweep of VGG-16-64 with the paper's setting, except for the changes, and barriers of 0.1."""
    barriers = pair_rows("unaligned", 64, 0.9, **VGG)
    barriers += pair_rows("direct", 64, 0.1, "weight_matching", **VGG)
    barriers += [{**row, **VGG} for row in via_rows(64, 0.3, splits=("train", "test"))]
    runs = trials(64, **{**paper.setting("vgg16"), "steps": 9, **changes})
    tables = {"trials": runs, "alignments": pair_alignments(), "barriers": barriers}
    return write(root, "vgg", **tables)


def test_numbers_of_the_papers_setting(tmp_path):
    (found,) = reproductions(read(vgg(tmp_path)))
    assert (found.networks, found.differ) == ("vgg16 on cifar10, width 64", ())
    direct, via = found.numbers
    assert (direct.width, direct.n, direct.paper) == (64, 6, 0.085)
    assert direct.difference == pytest.approx(0.015)
    assert direct.agrees == "yes"
    assert (via.paper, via.agrees) == (0.37, "no")
    assert via.difference == pytest.approx(-0.07)
    analyse(tmp_path)
    assert "+0.015" in (tmp_path / "claims.html").read_text()


def test_the_precision_is_named_and_compared(tmp_path):
    (found,) = reproductions(read(vgg(tmp_path, precision="bfloat16")))
    assert (found.networks, found.differ) == ("vgg16 on cifar10 in bfloat16, width 64", ())
    assert [each.paper for each in found.numbers] == [0.085, 0.37]


def test_widths_stand_in_one_table(tmp_path):
    folder = vgg(tmp_path)
    runs = pd.read_parquet(folder / "trials")
    wide = runs.assign(width=128, group="group128", trial_id=[f"w{name}" for name in runs.trial_id])
    pd.concat([runs, wide]).to_parquet(folder / "trials/00.parquet")
    barriers = pd.read_parquet(folder / "barriers")
    moved = [[f"w{name}" for name in networks] for networks in barriers.networks]
    wider = barriers.assign(width=128, group="group128", networks=moved)
    pd.concat([barriers, wider]).to_parquet(folder / "barriers/00.parquet")
    (found,) = reproductions(read(folder))
    assert found.networks == "vgg16 on cifar10, width 64, 128"
    assert [(each.width, each.paper) for each in found.numbers] == [
        (64, 0.085),
        (128, 0.045),
        (64, 0.37),
        (128, 0.26),
    ]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"epochs": 100}, "epochs is 100, the paper's 160"),
        ({"norm": "batch"}, "norm is batch, the paper's layer"),
        ({"milestones": ["80ep"]}, "milestones is 80ep, the paper's 80ep, 120ep"),
        ({"half": 0}, "half is 0, the paper's null"),
        ({"learning_rate": None}, "learning_rate is null, the paper's 0.1"),
    ],
)
def test_other_settings_are_named_and_not_compared(tmp_path, changes, text):
    (found,) = reproductions(read(vgg(tmp_path, **changes)))
    assert (found.differ, found.numbers) == ((text,), [])


@pytest.mark.parametrize(
    ("table", "changes", "text"),
    [
        ("barriers", {"train_examples": 100}, "compare.train_examples is 100, the paper's 10000"),
        ("barriers", {"alphas": 5}, "compare.alphas is 5, the paper's 25"),
        ("alignments", {"kernel": "cosine"}, "align.weight_matching.kernel is cosine, the paper's linear"),
        ("alignments", {"biases": False}, "align.weight_matching.biases is false, the paper's true"),
    ],
)
def test_other_alignments_and_comparisons_are_named_and_not_compared(tmp_path, table, changes, text):
    folder = vgg(tmp_path)
    path = folder / table / "00.parquet"
    pd.read_parquet(path).assign(**changes).to_parquet(path)
    (found,) = reproductions(read(folder))
    assert (found.differ, found.numbers) == ((text,), [])


def test_the_page_says_that_a_setting_is_not_the_papers(tmp_path):
    vgg(tmp_path, epochs=100)
    analyse(tmp_path)
    assert "Not the paper's setting" in (tmp_path / "claims.html").read_text()


@pytest.mark.parametrize("name", ["strong_vgg16_cifar10", "strong_resnet20_cifar10", "weak_vgg16_cifar10"])
def test_the_sweeps_of_the_papers_size_have_its_setting(name):
    sections = load_sweep(str(PROJECT / "sweeps" / f"{name}.yaml")).sections
    for method, wanted in paper.ALIGN.items():
        assert sections.align.options_of(method) == wanted
    assert paper.COMPARE.items() <= sections.compare.model_dump().items()


def test_the_trajectory_beside_the_paper(tmp_path):
    barriers = []
    for step in (3, 160):
        at = {**VGG, "step": step}
        barriers += pair_rows("unaligned", 64, 0.9, **at)
        for found in (3, 160):
            barrier = 0.05 if found == 160 else 0.8
            barriers += pair_rows("direct", 64, barrier, "weight_matching", permutation_step=found, **at)
    folder = vgg(tmp_path, steps=160)
    pd.DataFrame(barriers).to_parquet(folder / "barriers/00.parquet")
    shared = {"kind": "trajectory", "method": "weight_matching", "group": "group64"}
    rows = [
        {**shared, "step": step, "fixed_points": share, "networks": [f"{a}@0@{step}", f"{b}@0@{step}"]}
        for a, b in ("ab", "ac", "ad", "bc")
        for step, share in ((50, 0.4), (160, 1.0))
    ]
    (folder / "agreements").mkdir()
    pd.DataFrame(rows).to_parquet(folder / "agreements/00.parquet")
    (along,) = reproductions(read(folder))
    found = {each.what: each for each in along.numbers}
    early = found["error barrier at the end under the permutation of epoch 3"]
    assert (early.paper, early.agrees) == (0.90, "no")
    last = found["largest error barrier under the last permutation (at epoch 3)"]
    assert (last.paper, last.agrees) == (0.10, "yes")
    shares = found["fixed points of the permutation of epoch 50 with the last"]
    assert shares.difference == pytest.approx(0.05)


def test_cycles_beside_the_paper(tmp_path):
    folder = vgg(tmp_path)
    cycles = [("a", "b", "c", "a"), ("a", "b", "d", "a"), ("a", "c", "d", "a"), ("b", "c", "d", "b")]
    rows = fixed_rows(64, 0.15, [[f"{name}@0@9" for name in cycle] for cycle in cycles])
    (folder / "agreements").mkdir()
    pd.DataFrame(rows).to_parquet(folder / "agreements/00.parquet")
    (found,) = reproductions(read(folder))
    (cycle,) = [each for each in found.numbers if "cycles" in each.what]
    assert (cycle.what, cycle.n, cycle.paper) == ("fixed points of cycles of 3 networks", 4, 0.10)
    assert cycle.difference == pytest.approx(0.05)
    assert cycle.agrees == "no"


@pytest.mark.parametrize(
    ("low", "high", "at_most", "word"),
    [
        (0.12, 0.2, False, "yes"),
        (0.13, 0.2, False, "no"),
        (0.01, 0.02, False, "no"),
        (0.01, 0.02, True, "yes"),
        (0.13, 0.2, True, "no"),
        (NAN, NAN, False, "no interval"),
    ],
)
def test_agreement_within_the_accuracy_of_reading(low, high, at_most, word):
    assert Beside("x", 64, 0.1, low, high, 6, paper=0.1, at_most=at_most).agrees == word
