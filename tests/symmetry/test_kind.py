"""Which groups are residual streams, which lie in blocks, and which are neither."""

import pytest
import torch
from torch import nn

from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.symmetry import Kind, PermutationSpec
from tests.symmetry.transformers import TOKENS, WORDS, Gpt, Llama, Recurrent, VisionTransformer

IMAGES = torch.zeros(2, 3, 8, 8)
SENTENCES = torch.zeros(2, TOKENS, dtype=torch.long).remainder(WORDS)
DENSE = nn.Sequential(nn.Flatten(), nn.Linear(192, 6), nn.ReLU(), nn.Linear(6, 4))


class Biased(nn.Module):
    """Adds a parameter, a number and a constant to hidden units, and no other units."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 2)
        self.shift = nn.Parameter(torch.ones(6))

    def forward(self, x):
        return self.last(self.first(x) + self.shift + 1 - torch.ones(6))


@pytest.mark.parametrize(
    ("model", "example", "streams", "blocks"),
    [
        (VisionTransformer(), IMAGES, 1, 4),
        (Gpt(), SENTENCES, 1, 4),
        (Llama(), SENTENCES, 1, 3),
        (Llama(groups=4), SENTENCES, 1, 2),
        (Llama(groups=1), SENTENCES, 1, 2),
        (DENSE, IMAGES, 0, 0),
        (Biased(), torch.zeros(2, 4), 0, 0),
        (Recurrent(nn.LSTM), torch.zeros(2, 5, 4), 0, 0),
        (build(ModelConfig("vgg11", 4, None, "batch", (3, 32, 32), 10)), torch.zeros(2, 3, 32, 32), 0, 0),
        (build(ModelConfig("resnet20", 4, None, "batch", (3, 32, 32), 10)), torch.zeros(2, 3, 32, 32), 3, 0),
    ],
)
def test_kinds_of_groups(model, example, streams, blocks):
    spec = PermutationSpec.trace(model, example, proved=False)
    kinds = [spec.kind(group) for group in spec.sizes]
    assert (kinds.count(Kind.STREAM), kinds.count(Kind.BLOCKS)) == (streams, blocks)
