"""Networks whose outputs are no function of each example are refused, by name, wherever they come in."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from raysweep.alignment import activation_matching
from raysweep.connectivity import barrier_of
from raysweep.data.resident import ImagesWritten, Split
from raysweep.errors import SpecError
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.measurable import unmeasurable
from raysweep.symmetry import PermutationSpec
from raysweep.training.evaluation import evaluate

IMAGES = torch.zeros(2, 1, 8, 8)


class Own(nn.Module):
    """A perceptron with something between its layers."""

    def __init__(self, between, zero_head=False):
        super().__init__()
        self.first, self.head = nn.Linear(64, 12), nn.Linear(12, 10)
        self.between = between
        if zero_head:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, images):
        return self.head(self.between(self.first(images.flatten(1))).relu())


class Writing(Own):
    def __init__(self):
        super().__init__(nn.Identity())

    def forward(self, images):
        return super().forward(images.sub_(0.3))


def centred(hidden):
    return hidden - hidden.mean(0)


BATCH = "its outputs for an example depend on the other examples of the batch: "
REFUSED = [
    (lambda: Own(nn.BatchNorm1d(12, track_running_stats=False)), BATCH + "module between (BatchNorm1d)"),
    (
        lambda: Own(nn.BatchNorm1d(12, track_running_stats=False), True),
        BATCH + "module between (BatchNorm1d)",
    ),
    (lambda: Own(centred), BATCH + "what is given to module head (Linear)"),
    (lambda: Own(functional.dropout), "its outputs in evaluation mode are not the same when it is run again"),
    (lambda: Own(lambda hidden: hidden + torch.zeros(2, 12)), "it fails on 4 or 2 examples: RuntimeError"),
    (Writing, "it writes into the images that it is given"),
    (
        lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 10)),
        "it writes into the images",
    ),
]


@pytest.mark.parametrize(("make", "reason"), REFUSED)
def test_refused_wherever_they_come_in(make, reason):
    torch.manual_seed(0)
    model = make()
    assert (unmeasurable(model, IMAGES) or "").startswith(reason)
    images, labels = torch.rand(40, 1, 8, 8), torch.zeros(40, dtype=torch.int64)
    before = images.clone()
    with pytest.raises(SpecError, match=f"{reason[:25]}|is random in evaluation mode"):
        PermutationSpec.trace(model, images[:2])
    with pytest.raises(ValueError, match=reason[:25]):
        barrier_of(model, [model.state_dict()] * 2, images, labels)
    assert torch.equal(images, before)


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
@pytest.mark.parametrize("model", ["mlp", "lenet", "vgg11", "resnet20"])
def test_ours_are_functions_of_each_example(model, norm):
    network = build(ModelConfig(model, 3, None, norm, (1, 8, 8), 10))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert unmeasurable(network, IMAGES) is None
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_images_that_are_written_end_an_evaluation():
    with pytest.raises(ImagesWritten, match="writes into the images"):
        evaluate(Writing().eval(), Split(torch.rand(9, 1, 8, 8), torch.zeros(9, dtype=torch.int64)))


def test_images_that_are_written_end_a_matching_of_activations():
    with pytest.raises((ImagesWritten, SpecError), match="writes into the images"):
        activation_matching(Writing(), Writing(), torch.rand(9, 1, 8, 8))
