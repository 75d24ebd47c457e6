"""How long it takes to find and prove the symmetries of networks of torchvision, and that all are found.

One round each, in a process that has imported torch; images are as small as the network allows.
"""

import time
from collections.abc import Iterator

import torch
import torchvision
from torch import nn

from raysweep.symmetry import PermutationSpec, prove
from tests.benchmarks.records import Record

GOAL = 20.0  # seconds for tracing and proof together
# Pixels; groups and units, counted by hand from the architectures.
NETWORKS = {
    "efficientnet_b0": (64, 40, 11_404),
    "resnet50": (64, 37, 11_456),
    "resnext50_32x4d": (64, 37, 19_008),
    "vit_b_16": (32, 37, 56_064),
    "inception_v3": (299, 94, 17_216),
    "deeplabv3_resnet50": (64, 44, 13_248),
    "swin_t": (224, 52, 28_074),
    "maxvit_t": (224, 117, 45_448),
}
OPTIONS = {
    "vit_b_16": {"image_size": 32},
    "inception_v3": {"init_weights": False},
    "deeplabv3_resnet50": {"weights_backbone": None},
}


def records(quick: bool) -> Iterator[Record]:
    for name, (pixels, groups, units) in NETWORKS.items():
        model = network(name)
        example = torch.randn(2, 3, pixels, pixels)
        began = time.perf_counter()
        spec = PermutationSpec.trace(model, example, proved=False)
        traced = time.perf_counter() - began
        prove(spec, model, example)
        seconds = time.perf_counter() - began
        found = len(spec.sizes), sum(spec.sizes.values())
        assert found == (groups, units), f"{name}: {found[0]} groups of {found[1]} units"
        yield Record(
            name, "s", [seconds], GOAL, f"traced in {traced:.1f} s; {groups} groups, {units:,} units"
        )
        if quick:
            return


def network(name: str) -> nn.Module:
    models = torchvision.models
    make = getattr(models, name, None) or getattr(models.segmentation, name)
    return make(weights=None, **OPTIONS.get(name, {}))
