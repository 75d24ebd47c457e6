"""Barriers of a plan against a plain evaluation from what the store holds."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from raysweep.models.build import build
from raysweep.plan.desired import desired
from raysweep.plan.identity import data_config
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.tables.schemas import read_table
from raysweep.work.data import model_config, resident
from raysweep.work.tile import Tile, TileWorker
from tests.store.committed import committed
from tests.work.plans import BASE, carry_out, compare_all

METHODS = ("weight_matching", "activation_matching")
KINDS = {"kinds": ["direct", "via", "joint"], "subdivisions": 6, "alphas": 5, "splits": ["test"]}
SAME = ("kind", "interpolation", "statistics", "networks", "alignments")
TRAIN = {**BASE, "model": ["mlp", "lenet"], "width": 4, "replicates": 3, "epochs": 1}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    files = Files(str(tmp_path_factory.mktemp("compared")))
    align = {"methods": list(METHODS), "activation_matching": {"examples": 500}}
    wanted = desired(check("test", {"name": "s", "train": TRAIN, "align": align, "compare": KINDS}))
    carry_out(wanted, files)
    compare_all(wanted, files)
    return wanted, files


def permutation(row, move):
    """As the row of an alignment has it, toward the network that the move names."""
    prefix = "" if move.member is None else f"{move.member}/"
    indices = {
        name.removeprefix(prefix): torch.tensor(units)
        for name, units in zip(row["groups"], row["permutations"], strict=True)
        if name.startswith(prefix)
    }
    found = Permutation(indices)
    return found.inverse() if move.inverse else found


@pytest.mark.parametrize("model", TRAIN["model"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("kind", "interpolation"),
    [("direct", "pair"), ("via", "pair"), ("joint", "pair"), ("via", "simplex"), ("joint", "simplex")],
)
def test_barriers_agree_with_brute_force(compared, kind, interpolation, method, model):
    wanted, files = compared
    jobs = [
        job
        for job in wanted.barriers.values()
        if (job.comparison.kind, job.comparison.interpolation, job.comparison.method)
        == (kind, interpolation, method)
        and wanted.trials[job.networks[0].trial_id].training.model == model
    ]
    rows, alignments = committed(files, "barriers"), committed(files, "alignments")
    training = wanted.trials[jobs[0].networks[0].trial_id].training
    data = resident(data_config(training, 0), None, False, "unit")
    network = build(model_config(training, data)).eval()
    spec = PermutationSpec.trace(network, torch.zeros(2, 1, 8, 8))

    def risks(state):
        network.load_state_dict(state)
        with torch.no_grad():
            logits = network(data.test.images)
        wrong = (logits.argmax(dim=1) != data.test.labels).double().mean().item()
        return functional.cross_entropy(logits, data.test.labels).item(), wrong

    job = jobs[0]
    still = [TrialStore(files).read_checkpoint(n.trial_id, n.level, n.step) for n in job.networks]
    moved = [
        spec.apply(permutation(alignments[move.alignment_id,], move), state) if move else state
        for state, move in zip(still, job.comparison.permutations, strict=True)
    ]
    ends = np.array([risks(state) for state in still])
    row = rows[job.barrier_id, "test"]
    grid, excess = np.array(row["curve_weights"]), []
    for weights in grid:
        mixed = zip(weights, moved, strict=True)
        parts = [{name: w * tensor for name, tensor in state.items()} for w, state in mixed]
        mixture = {name: sum(part[name] for part in parts) for name in still[0]}
        excess.append(np.array(risks(mixture)) - weights @ ends)
    assert len(excess) == {"pair": 5, "simplex": 28}[interpolation]
    centre = [max(weights) - min(weights) < 1e-9 for weights in grid].index(True)
    one = 1 / len(data.test)  # a tie between two classes may be decided by rounding
    for place, (risk, least) in enumerate((("loss", 1e-5), ("error", one))):
        along = np.array(excess)[:, place]
        assert row[f"{risk}_barrier"] == pytest.approx(along.max(), abs=least)
        assert row[f"{risk}_centre"] == pytest.approx(along[centre], abs=least)
        at = (np.abs(grid - row[f"{risk}_weights"]).max(axis=1)).argmin()
        assert along[at] == pytest.approx(along.max(), abs=2 * least)


def test_tiles_change_no_bits(compared):
    """All alignments of a group in one tile, which share passes over the images, and each in its own."""
    wanted, files = compared
    alone = committed(files, "alignments")
    worker = TileWorker(files.root, wanted.sweep.sections)
    groups = {job.setting for job in wanted.alignments.values()}
    for group in groups:
        jobs = tuple(job for job in wanted.alignments.values() if job.setting == group)
        place, _ = worker.run(Tile(jobs, wanted.trials))
        for row in ResultStore(files).read(place).to_pylist():
            before = alone[row["alignment_id"],]
            assert all(row[key] == before[key] for key in row if key != "seconds")


def test_layers_of_joint_alignments_add_up_to_what_they_maximise(compared):
    wanted, files = compared
    rows = committed(files, "alignments")
    joint = [u for u in wanted.alignments.values() if u.joint and u.method == "weight_matching"]
    assert len(joint) == 2
    for job in joint:
        row = rows[job.alignment_id,]
        for column, key in (("before", "objective_identity"), ("after", "objective")):
            assert sum(layer[column] for layer in row["layers"]) == pytest.approx(row[key], rel=1e-6)
        assert any(layer["displacement"] > 0 for layer in row["layers"])


def test_barriers_in_bfloat16_stand_beside_those_in_float32(tmp_path):
    files, found = Files(str(tmp_path)), {}
    train, kinds = {**BASE, "norm": "batch", "replicates": 2}, {**KINDS, "kinds": ["unaligned", "direct"]}
    for precision in ("float32", "bfloat16"):
        compare = {**kinds, "precision": precision}
        wanted = desired(check("test", {"name": precision, "train": train, "compare": compare}))
        if not found:
            carry_out(wanted, files)
        compare_all(wanted, files)
        rows = read_table(files, precision, "barriers").to_pylist()
        assert {row["precision"] for row in rows} == {precision}
        found[precision] = sorted(rows, key=lambda row: str([row[key] for key in SAME]))
    exact, rounded = found.values()
    assert not {row["barrier_id"] for row in exact} & {row["barrier_id"] for row in rounded}
    for one, other in zip(exact, rounded, strict=True):
        assert [one[key] for key in SAME] == [other[key] for key in SAME]
        assert other["loss_barrier"] == pytest.approx(one["loss_barrier"], abs=0.05)
    assert any(
        one["loss_barrier"] != other["loss_barrier"] for one, other in zip(exact, rounded, strict=True)
    )


def test_networks_whose_units_cannot_move(tmp_path):
    """A single unit a layer: nothing is permuted, and all tables are there."""
    files, align = Files(str(tmp_path)), {"methods": list(METHODS), "activation_matching": {"examples": 50}}
    train = {**BASE, "width": 1, "epochs": 1, "replicates": 3}
    compare = {**KINDS, "kinds": ["direct", "joint", "composed"], "path_networks": [3]}
    wanted = desired(check("test", {"name": "s", "train": train, "align": align, "compare": compare}))
    carry_out(wanted, files)
    compare_all(wanted, files)
    for table in ("alignments", "agreements"):
        assert set(read_table(files, "s", table).column("fixed_points").to_pylist()) == {1.0}
    assert read_table(files, "s", "barriers").num_rows == len(wanted.barriers)


def test_agreements_are_given_by_group(tmp_path):
    files, train = Files(str(tmp_path)), {**BASE, "width": 4, "epochs": 1, "replicates": 3}
    compare = {**KINDS, "kinds": ["composed"], "path_networks": [3]}
    wanted = desired(check("test", {"name": "s", "train": train, "compare": compare}))
    carry_out(wanted, files)
    compare_all(wanted, files)
    rows = read_table(files, "s", "agreements").to_pylist()
    assert {row["kind"] for row in rows} == {"path", "cycle"}
    for row in rows:
        assert row["groups"] == ["layers.1", "layers.3", "layers.5"]
        assert row["fixed_points"] == pytest.approx(sum(row["group_fixed_points"]) / 3)
