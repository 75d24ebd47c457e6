"""A name without an implementation is an error where it is dispatched, never the last branch.

`novel` stands for a name that was added to the list of valid ones, and nowhere else.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Literal, get_args, get_origin

import pytest
import torch
from pydantic import BaseModel
from torch import nn

from raysweep.alignment import (
    embed,
    sinkhorn_rebasin,
    straight_through,
    unit_similarities,
    weight_matching,
)
from raysweep.data.config import DataConfig
from raysweep.data.load import files_of, load_arrays
from raysweep.data.scaling import scaling_of
from raysweep.errors import UserError
from raysweep.models.build import build
from raysweep.models.initialise import initialise
from raysweep.models.norms import channel_norm, unit_norm
from raysweep.models.precision import computing_in
from raysweep.plan import probes
from raysweep.plan.alignments import make_alignment
from raysweep.plan.barriers import BarrierMaker
from raysweep.plan.cost.estimate import estimate
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.identity import Comparison
from raysweep.plan.todo import todo
from raysweep.pruning import dense_masks, prune
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.align import Align
from raysweep.sweep.compare import Compare
from raysweep.sweep.load import check
from raysweep.sweep.prune import Pruning
from raysweep.sweep.schema import Sections
from raysweep.sweep.train import CHOICES, Training
from raysweep.symmetry import PermutationSpec
from raysweep.training.loop import TrainingRun
from raysweep.training.moment import Moment
from raysweep.training.optimiser import make_optimiser
from raysweep.training.schedule import Schedule
from raysweep.work.inputs import Inputs, TrialTask
from raysweep.work.networks import numerics
from raysweep.work.tile import Tile, TileWorker
from raysweep.work.trial import ways_of
from tests.conftest import mlp, settings
from tests.work.plans import BASE, carry_out

LAYER = {"0.weight": torch.ones(2, 2), "0.bias": torch.ones(2), "2.weight": torch.ones(2, 2)}
SWEEP = {
    "name": "s",
    "train": {**BASE, "width": 2, "epochs": 1, "checkpoints": ["1st"]},
    "prune": {"levels": 1, "rewind": "1st", "branches": ["transport"]},
    "compare": {"kinds": ["unaligned", "direct"], "trajectory": {}, "alphas": 3},
}


def network():
    return nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2, bias=False))


def changed(model, path, value):
    """A copy of a section in which a key has a value that the schema would refuse."""
    key, _, rest = path.partition(".")
    return model.model_copy(update={key: changed(getattr(model, key), rest, value) if rest else value})


def plan(path, value, trainings=None):
    sweep = check("file", SWEEP)
    sections = changed(sweep.sections, path, value) if path else sweep.sections
    return desired(replace(sweep, sections=sections, trainings=trainings or sweep.trainings))


def cost(path, value, **training):
    sweep = check("file", SWEEP)
    wanted = plan(path, value, tuple(each.model_copy(update=training) for each in sweep.trainings))
    return estimate(wanted, todo(wanted, done(wanted, Files("/nowhere"))))


def step(**changes):
    def train(digits):
        TrainingRun(build(mlp(2)), digits, settings(**changes)).advance(1)

    return train


def match(**options):
    spec = PermutationSpec.trace(network(), torch.ones(2, 2), proved=False)
    return weight_matching(spec, LAYER, LAYER, 0, **options)


def similar(**options):
    return unit_similarities([network()] * 2, torch.ones(4, 2), [(0, 1)], **options)


def learn(method, **options):
    spec = PermutationSpec.trace(network(), torch.ones(2, 2), proved=False)
    return method(
        spec, [LAYER, LAYER], 0, [network()] * 2, torch.ones(4, 2), torch.zeros(4).long(), **options
    )


def embedded(order):
    spec = PermutationSpec.trace(network(), torch.ones(2, 2), proved=False)
    return embed(spec, spec, LAYER, LAYER, 0, order=order)


PURE = {  # by the key of a sweep file: where its names are dispatched
    "dataset": [lambda: load_arrays(DataConfig("novel")), lambda: files_of(DataConfig("novel"))],
    "scaling": [lambda: scaling_of(load_arrays(DataConfig("digits")), "novel")],
    "model": [lambda: build(replace(mlp(2), model="novel"))],
    "norm": [
        lambda: build(replace(mlp(2), norm="novel")),
        lambda: unit_norm("novel", 2),
        lambda: channel_norm("novel", 2),
        lambda: probes.has_running_statistics(replace(mlp(2), norm="novel")),
    ],
    "init": [lambda: initialise(network(), "novel", 0)],
    "optimiser": [
        lambda: make_optimiser(network(), "novel", {}, {}),
        lambda: cost("", None, optimiser="novel"),
    ],
    "compile": [
        lambda: ways_of(
            check("file", SWEEP).trainings[0].model_copy(update={"device": "cuda", "compile": "novel"})
        )
    ],
    "schedule": [lambda: Schedule("novel", 0.1, 1)],
    "prune.transport.partners": [lambda: plan("prune.transport.partners", "novel")],
    "prune.transport.permutations": [lambda: plan("prune.transport.permutations", ["novel"])],
    "prune.scope": [lambda: prune(LAYER, dense_masks(LAYER, ["0.weight"]), 0.5, "novel")],
    "prune.optimiser": [lambda: Pruning().model_copy(update={"optimiser": "novel"}).keeps_optimiser],
    "prune.data_order": [lambda: Pruning().model_copy(update={"data_order": "novel"}).renews_order],
    "prune.branches": [lambda: plan("prune.branches", ["novel"])],
    "align.methods": [
        lambda: plan("align.methods", ["novel"]),
        lambda: make_alignment("novel", "group", "one", "other", Align()),
    ],
    "align.weight_matching.kernel": [lambda: match(kernel="novel")],
    "align.weight_matching.order": [lambda: match(order="novel"), lambda: embedded("novel")],
    **{
        f"align.{method}.order": [lambda: match(order="novel")]
        for method in ("monomial_matching", "inner_matching", "branch_matching")
    },
    "align.sinkhorn_rebasin.loss": [lambda: learn(sinkhorn_rebasin, loss="novel")],
    "align.straight_through.point": [lambda: learn(straight_through, point="novel")],
    "align.activation_matching.tensor": [lambda: similar(tensor="novel")],
    "align.activation_matching.similarity": [lambda: similar(similarity="novel")],
    "compare.precision": [lambda: computing_in("novel", torch.device("cpu")).__enter__()],
    "compare.compile": [lambda: numerics(Compare().model_copy(update={"compile": "novel"}), mlp())],
    "compare.kinds": [lambda: plan("compare.kinds", ["novel"])],
    "compare.across": [lambda: plan("compare.across", ["novel"])],
    "compare.splits": [lambda: cost("compare.splits", ["novel"])],
    "compare.trajectory.hybrids": [lambda: plan("compare.trajectory.hybrids", ["novel"])],
    "compare.level_permutations": [lambda: plan("compare.level_permutations", ["novel"])],
    "compare.level_points": [lambda: plan("compare.level_points", ["novel"])],
    "interpolation": [
        lambda: BarrierMaker(Compare(), 1).add_one(Comparison("novel", "direct", None, "s", (), ()))
    ],
    "unit of time": [lambda: Moment(1, "novel").step(22)],
    "checkpoints": [lambda: plan("train.checkpoints", "novel")],
}
TRAINED = {"augment": step(augment="novel"), "precision": step(precision="novel")}
ELSEWHERE = {  # at work on stored networks, below; by torch; as a module of that name
    "compare.statistics",
    "device",
    "align.device",
    "compare.device",
    "analyses",
}


@pytest.mark.parametrize(
    ("key", "place"), [(key, n) for key, calls in PURE.items() for n in range(len(calls))]
)
def test_unknown_names_are_refused(key, place):
    valid = r"unknown .*'novel'.*; (did you mean .*)?valid( names| choices)?: \w"
    with pytest.raises((ValueError, UserError), match=valid):
        PURE[key][place]()


@pytest.mark.parametrize("key", TRAINED)
def test_unknown_names_are_refused_in_training(key, digits):
    with pytest.raises(ValueError, match=rf"unknown {key}\w* 'novel'; .*valid( choices)?: "):
        TRAINED[key](digits)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    wanted, files = desired(check("file", SWEEP)), Files(str(tmp_path_factory.mktemp("root")))
    carry_out(wanted, files)
    return wanted, files


@pytest.mark.parametrize("field", ["statistics", "interpolation", "method"])
def test_unknown_names_are_refused_at_work(stored, field):
    wanted, files = stored
    if field == "method":
        job = replace(next(iter(wanted.alignments.values())), method="novel")
    else:
        job = unaligned(wanted)
        job = replace(job, comparison=replace(job.comparison, **{field: "novel"}))
    with pytest.raises(ValueError, match=f"unknown (alignment )?{field} 'novel'; valid"):
        work(wanted, files, job)


def unaligned(wanted):
    return next(job for job in wanted.barriers.values() if job.comparison.kind == "unaligned")


def work(wanted, files, job):
    TileWorker(files.root, wanted.sweep.sections).run(Tile((job,), wanted.trials))


def test_activation_matching_refuses_what_only_weights_can_do(stored):
    wanted, files = stored
    job = replace(next(iter(wanted.alignments.values())), method="activation_matching", stack=2)
    with pytest.raises(ValueError, match="activation_matching cannot align stacks"):
        work(wanted, files, job)


def test_an_unknown_split_is_refused_at_work(stored):
    wanted, files = stored
    wanted = replace(
        wanted,
        sweep=replace(wanted.sweep, sections=changed(wanted.sweep.sections, "compare.splits", ["novel"])),
    )
    job = unaligned(wanted)
    with pytest.raises(ValueError, match="unknown split 'novel'; valid: train, test"):
        work(wanted, files, job)


def test_an_unknown_branch_is_refused_at_work(stored):
    wanted, files = stored
    chain = next(trial for trial in wanted.trials.values() if trial.prune)
    task = TrialTask(replace(chain, branch="novel"), wanted.extents[chain.trial_id], {})
    with pytest.raises(ValueError, match="unknown branch 'novel'; valid choices: random, one_shot"):
        Inputs(task, mlp(2), TrialStore(files), ResultStore(files)).masks(1)


def names(model: type[BaseModel], before: str = ""):
    """The keys of a section whose values are names."""
    for key, field in model.model_fields.items():
        for part in parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from names(part, f"{before}{key}.")
            elif _has_names(part):
                yield before + key


def _has_names(part) -> bool:
    if isinstance(part, type):
        return issubclass(part, StrEnum)
    return get_origin(part) is Literal and sum(isinstance(each, str) for each in get_args(part)) > 1


def parts(annotation):
    yield annotation
    for each in get_args(annotation):
        if not isinstance(each, str | int):
            yield from parts(each)


def test_every_key_with_names_is_tried():
    keys = {*CHOICES, *names(Training), *names(Pruning, "prune."), *names(Sections)}
    assert len(keys) > 25
    assert keys - {*PURE, *TRAINED, *ELSEWHERE} == set()
