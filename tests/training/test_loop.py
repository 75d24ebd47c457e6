import pytest
import torch
from torch.nn import functional

from raysweep.data.augment import flip_and_crop
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.training.evaluation import evaluate
from raysweep.training.loop import Diverged, TrainingRun
from raysweep.training.schedule import Schedule
from tests.conftest import mlp, settings

VARIANTS = {
    "sgd": {},
    "nesterov": {"nesterov": True},
    "adamw": {"optimiser": "adamw", "schedule": Schedule("cosine", 1e-3, 220)},
    "adam": {"optimiser": "adam", "schedule": Schedule("cosine", 1e-3, 220)},
    "rmsprop": {"optimiser": "rmsprop", "schedule": Schedule("cosine", 1e-3, 220)},
    "augmented": {"augment": "flip_crop"},
    "bfloat16": {"precision": "bfloat16"},
    "drop_last": {"drop_last": True},
}


def masks_of(model):
    generator = torch.Generator().manual_seed(5)
    return {
        name: torch.rand(parameter.shape, generator=generator) > 0.5
        for name, parameter in model.named_parameters()
        if parameter.dim() > 1
    }


def weights(model):
    return torch.cat([tensor.reshape(-1).double() for tensor in model.state_dict().values()])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("config", [mlp(), ModelConfig("lenet", 2, None, "batch", (1, 8, 8), 10)])
def test_stopped_and_resumed_is_bitwise_the_same(digits, variant, config):
    """Weights, buffers and the optimiser's state are all there is to carry over, masks included.

    Also at the last step of an epoch, whose batch is smaller than those that follow.
    """
    chosen = settings(**VARIANTS[variant])

    def fresh(start=0, state=None, optimiser=None):
        model = initialised(config, "pytorch", 0)
        masks = masks_of(model)
        if state:
            model.load_state_dict(state)
        return model, TrainingRun(model, digits, chosen, start, masks, optimiser)

    straight, run = fresh()
    run.advance(30)
    other, run = fresh()
    for stop in (0, 1, 21):
        run.advance(stop)
        evaluate(other, digits.test)
    for begin, stop in ((21, 26), (26, 30)):
        state = {name: tensor.clone() for name, tensor in other.state_dict().items()}
        other, run = fresh(begin, state, run.optimiser_state())
        run.advance(stop)
    assert torch.equal(weights(straight), weights(other))


@pytest.mark.parametrize("variant", ["sgd", "nesterov", "adamw"])
def test_pruned_weights_stay_exactly_zero(digits, variant):
    """Also when the state of a dense optimiser is kept."""
    chosen = settings(**VARIANTS[variant])
    dense = initialised(mlp(), "kaiming_normal", 0)
    before = TrainingRun(dense, digits, chosen)
    before.advance(5)
    masks = masks_of(dense)
    run = TrainingRun(dense, digits, chosen, 5, masks, before.optimiser_state())
    for stop in (5, 6, 30):
        run.advance(stop)
        for name, parameter in dense.named_parameters():
            if name in masks:
                assert (parameter[~masks[name]] == 0).all()
                assert (parameter[masks[name]] != 0).any()


def test_steps_agree_with_plain_pytorch(digits):
    """Two epochs of SGD written plainly, from the same orders and crops."""
    chosen = settings(augment="flip_crop", schedule=Schedule("milestones", 0.1, 44, (22,)))
    model = initialised(mlp(), "pytorch", 0)
    run = TrainingRun(model, digits, chosen)
    run.advance(44)
    plain = initialised(mlp(), "pytorch", 0)
    optimiser = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    from raysweep.digest import seed_for

    for epoch in range(2):
        order = torch.randperm(
            len(digits.train), generator=torch.Generator().manual_seed(seed_for("data order", 0, epoch))
        )
        for position, batch in enumerate(order.split(64)):
            optimiser.param_groups[0]["lr"] = 0.1 if epoch == 0 else 0.01
            seed = seed_for("augmentation", 0, epoch * 22 + position)
            images = flip_and_crop(digits.train.images[batch], digits.black, seed)
            optimiser.zero_grad()
            functional.cross_entropy(plain(images), digits.train.labels[batch]).backward()
            optimiser.step()
    torch.testing.assert_close(weights(model), weights(plain), atol=1e-5, rtol=1e-4)


def test_a_loss_that_is_not_finite_names_step_and_rate(digits):
    run = TrainingRun(
        initialised(mlp(), "pytorch", 0), digits, settings(schedule=Schedule("constant", 1e30, 220))
    )
    with pytest.raises(Diverged, match=r"at step \d+, learning rate 1e\+30"):
        run.advance(40)


def test_training_learns(digits, trained):
    model = build(mlp())
    model.load_state_dict(trained[0])
    assert evaluate(model.eval(), digits.test).error < 0.2
