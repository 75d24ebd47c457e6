"""The hyperparameters of published settings, by name; every key of `train` can be overridden."""

from typing import Any

_LOTTERY: dict[str, Any] = {
    "scaling": "standardise",
    "init": "kaiming_normal",
    "epochs": 160,
    "batch_size": 128,
    "drop_last": False,
    "optimiser": "sgd",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "nesterov": False,
    "weight_decay": 1e-4,
    "schedule": "milestones",
    "milestones": [80, 120],
    "gamma": 0.1,
    "warmup": 1,
}

# Sharma et al. 2024, section "Protocol": LayerNorm over the channels of each pixel replaces BatchNorm.
PRESETS: dict[str, dict[str, Any]] = {
    "paper_vgg16_cifar10": {
        **_LOTTERY,
        "dataset": "cifar10",
        "model": "vgg16",
        "width": 64,
        "norm": "layer",
        "augment": "flip_crop",
    },
    "paper_resnet20_cifar10": {
        **_LOTTERY,
        "dataset": "cifar10",
        "model": "resnet20",
        "width": 64,
        "norm": "layer",
        "augment": "flip_crop",
    },
    "paper_mlp_mnist": {
        **_LOTTERY,
        "dataset": "mnist",
        "model": "mlp",
        "depth": 3,
        "width": 512,
        "norm": "none",
        "augment": "none",
    },
}
