"""Warnings about a user's own networks whose hidden units cannot all be reordered."""

from raysweep.errors import SpecError
from raysweep.models.config import ModelConfig
from raysweep.plan.desired import Desired
from raysweep.plan.identity import data_config
from raysweep.plan.layer_groups import unproved_spec
from raysweep.plan.own_networks import EXAMPLES
from raysweep.plan.probes import model_config, probe_data
from raysweep.registry import is_own


def symmetry_warnings(wanted: Desired) -> list[str]:
    """Return a line for each network that has no hidden units, or some that alignment cannot reorder."""
    return [line for config in _own_configs(wanted) for line in _warnings(config)]


def check_own_symmetries(wanted: Desired) -> None:
    """Prove the symmetries of the user's own networks, as a run does before it trains any of them.

    Those of ours are proved by tests. Raises `SpecError` for a network that a run would refuse.
    """
    configs = _own_configs(wanted)
    if not configs:
        return  # without torch
    from torch import zeros

    from raysweep.models.build import build
    from raysweep.symmetry import prove

    for config in configs:
        try:
            prove(unproved_spec(config), build(config), zeros(EXAMPLES, *config.shape))
        except SpecError as error:
            raise SpecError(f"train.model = {config.model}, norm {config.norm}: {error}") from error


def _own_configs(wanted: Desired) -> list[ModelConfig]:
    configs: dict[ModelConfig, None] = {}
    for trial in wanted.trials.values():
        if is_own(trial.training.model):  # of our own networks every hidden unit can be reordered
            facts = probe_data(data_config(trial.training, trial.replicate), wanted.sweep.sections.train)
            configs[model_config(trial.training, facts.shape, facts.classes)] = None
    return list(configs)


def _warnings(config: ModelConfig) -> list[str]:
    name = f"warning: train.model = {config.model}, width {config.width}"
    try:
        spec = unproved_spec(config)
    except SpecError as error:
        return [f"{name}: {error}"]
    found = spec.movement
    if found.units and not found.in_blocks and not found.stay:
        return []
    reasons = "; left alone: " + "; ".join(map(str, spec.left_alone)) if spec.left_alone else ""
    return [f"{name}: {found}{reasons}"]
