"""GPU-hours follow from measured networks: exactly at their widths, and linearly between and beyond."""

import pytest

from raysweep.commands.plan import plan_table
from raysweep.errors import UserError
from raysweep.models.config import ModelConfig
from raysweep.plan.cost.estimate import gpu_hours
from raysweep.plan.cost.rates import (
    MEASURED,
    PRODUCTS,
    RESNET,
    VGG,
    check_gpu,
    evaluation_seconds,
    measured_like,
    step_seconds,
)
from raysweep.plan.desired import desired
from raysweep.plan.done import Done
from raysweep.plan.probes import model_size
from raysweep.plan.todo import todo
from raysweep.sweep.load import check

NOTHING = Done({}, {}, {})
MODELS = {VGG: "vgg16", RESNET: "resnet20"}


@pytest.mark.parametrize("family", PRODUCTS)
def test_the_measured_networks_have_their_own_times(family):
    for gpu, by_precision in MEASURED.items():
        for precision, by_family in by_precision.items():
            for place, width in enumerate((16, 64)):
                model, rates = MODELS[family], by_family[family]
                products = model_size(ModelConfig(model, width, None, "layer", (3, 32, 32), 10)).products
                assert products == PRODUCTS[family][place]
                what = gpu, model, precision, products
                assert step_seconds(*what, 128) == pytest.approx(rates.step[place] / 1000)
                assert evaluation_seconds(*what, 20_000) == pytest.approx(2 * rates.evaluation[place] / 1000)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
@pytest.mark.parametrize("model", ["mlp", "vgg11", "resnet32", "package:network"])
def test_a_network_without_products_still_takes_time(model, precision):
    assert measured_like(model) == (RESNET if model in ("resnet32", "package:network") else VGG)
    small, large = (step_seconds("h100", model, precision, products, 64) for products in (0, 1e9))
    assert 0 < small < large
    assert evaluation_seconds("h100", model, precision, 0, 100) > 0


SECTIONS = {
    "name": "s",
    "train": {"dataset": "digits", "model": "lenet", "width": 6, "epochs": 3, "batch_size": 128},
    "compare": {"kinds": ["direct"], "alphas": 5, "splits": ["test"]},
}


def planned(**changes):
    sections = {key: {**SECTIONS[key], **changes.get(key, {})} for key in ("train", "compare")}
    wanted = desired(check("test", {**SECTIONS, **sections, **changes.get("more", {})}))
    return wanted, todo(wanted, NOTHING)


def test_hours_are_steps_and_evaluations():
    wanted, work = planned()
    hours = gpu_hours(wanted, work, "h100", everything=True)
    extent, trials = next(iter(wanted.extents.values())), len(work.trials)
    products = model_size(ModelConfig("lenet", 6, None, "none", (1, 8, 8), 10)).products
    what = "h100", "lenet", "float32", products
    steps = extent.total * step_seconds(*what, 1397 / extent.per_epoch)
    evaluated = 4 * evaluation_seconds(*what, 1397 + 400)  # at the start and after each of three epochs
    assert hours.training == pytest.approx(trials * (steps + evaluated) / 3600)
    points = 5 * len(work.barriers)
    assert hours.barriers == pytest.approx(points * evaluation_seconds(*what, 400) / 3600)


def test_the_plan_says_them_where_they_are_asked_for_or_a_gpu_is_used():
    cpu, gpu = {}, {"train": {"device": "cuda"}, "more": {"resources": {"trial": {"gpu": 1}}}}
    assert "GPU-hours" not in plan_table(*planned(**cpu))
    said = "GPU-hours on one H100: "
    assert said in plan_table(*planned(**cpu), gpu="h100")
    (line,) = [line for line in plan_table(*planned(**gpu)).splitlines() if said in line]
    assert " 0 of barriers" in line  # they are computed on the CPU
    assert "lenet is taken for a VGG-16" in line


def test_a_gpu_that_was_not_measured_is_refused():
    with pytest.raises(UserError, match="--gpu a100: no rates of this GPU were measured; valid: h100"):
        check_gpu("a100")
