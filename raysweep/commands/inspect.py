"""`raysweep inspect`: the symmetries of networks, group by group, with what is left alone and why, and the
rotations of units."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from raysweep.commands.load_all import load_all
from raysweep.data.arrays import is_image
from raysweep.errors import SpecError, UserError
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.registry import MODELS, NORMS, check_depth, takes_images_alone
from raysweep.plan.desired import Desired
from raysweep.plan.identity import data_config
from raysweep.plan.probes import model_config, probe_data
from raysweep.symmetry import PermutationSpec, prove
from raysweep.symmetry.axes import groups_of

EXAMPLES = 2  # in the batch with which a network is traced
NAMED = 3  # tensors of a group that are named


def configs_of(
    target: str, width: int, depth: int | None, norm: str, shape: str, classes: int
) -> list[ModelConfig]:
    """Return the architectures of a sweep file, or the one of a model's name with these settings.

    Raises `UserError` for a file that is none, for an unknown model, norm or shape, and for a depth or shape
    that the model does not take.
    """
    if Path(target).suffix in (".yaml", ".yml"):
        (wanted,) = load_all([target], None, to_plan=True)
        return list(dict.fromkeys(_planned(wanted)))
    try:
        MODELS.check(target)
        NORMS.check(norm)
    except ValueError as error:
        raise UserError(f"{target}: neither a sweep file (.yaml) nor a model; {error}") from None
    try:
        check_depth(target, depth)
    except ValueError as error:
        raise UserError(f"--{error}") from None
    return [ModelConfig(target, width, depth, norm, _sizes(shape, target), classes)]


def _sizes(shape: str, model: str) -> tuple[int, ...]:
    """Read the shape of an input. Raises `UserError` for what is none, and for none that the model takes."""
    sizes = shape.split(",")
    if not all(size.strip().isdecimal() and int(size) for size in sizes):
        raise UserError(f"--shape {shape}: expected sizes with commas between, such as 3,32,32")
    found = tuple(map(int, sizes))
    if takes_images_alone(model) and not is_image(found):
        raise UserError(f"--shape {shape}: {model} needs images (channels, height, width), such as 3,32,32")
    return found


def _planned(wanted: Desired) -> Iterator[ModelConfig]:
    for trial in wanted.trials.values():
        facts = probe_data(data_config(trial.training, trial.replicate), wanted.sweep.sections.train)
        yield model_config(trial.training, facts.shape, facts.classes)


def inspection(config: ModelConfig) -> Iterator[str]:
    """Yield the text about one architecture, line by line; a refusal is the last line.

    Raises `UserError` for a network that cannot be built.
    """
    model, example = build(config), torch.zeros(EXAMPLES, *config.shape)
    depth = f", depth {config.depth}" if config.depth is not None else ""
    yield f"{config.model}, width {config.width}{depth}, norm {config.norm}, shape {config.shape}"
    began = time.perf_counter()
    try:
        spec = PermutationSpec.trace(model, example, proved=False)
        traced = time.perf_counter() - began
        yield from _table(spec)
        yield from (f"left alone: {each}" for each in spec.left_alone)
        began = time.perf_counter()
        prove(spec, model, example)
    except SpecError as error:
        yield f"refused: {error}"
        return
    yield f"{spec.movement}; there are 10^{permutations_log10(spec):,.1f} permutations"
    yield f"traced in {traced:.2f} s, proved in {time.perf_counter() - began:.2f} s"
    began = time.perf_counter()
    try:
        yield from _rotations(spec.with_rotations(model, example))
    except SpecError as error:
        yield f"no rotations: {error}"
        return
    yield f"rotations found and proved in {time.perf_counter() - began:.2f} s"


def _rotations(spec: PermutationSpec) -> Iterator[str]:
    """Yield a line for each group whose units can be rotated: how, in how many dimensions, and what moves."""
    places = _places(spec)
    for group, rotation in spec.rotations.items():
        size = spec.sizes[group]
        inside = f"inside each of {rotation.blocks} blocks" if rotation.blocks > 1 else f"of {size:,} units"
        mean = ", which keep the mean of the units" if rotation.keeps_mean else ""
        gains = [folding.gain for folding in rotation.foldings]
        folded = f"; gains that are folded first: {_named(gains)}" if gains else ""
        moved = [place for place in places[group] if place.rpartition("[")[0] not in gains]
        yield (
            f"rotations of {group}: {inside}{mean}, dimension {rotation.dimension(size):,}: "
            f"{_named(moved)}{folded}"
        )


def permutations_log10(spec: PermutationSpec) -> float:
    """Return log10 of the number of permutations that leave the function of a network as it is."""
    inside = {group for each in spec.blocks for group in each.groups}
    found = sum(_factorial(size) for group, size in spec.sizes.items() if group not in inside)
    for each in spec.blocks:
        found += _factorial(each.count)
        found += sum(each.count * _factorial(spec.sizes[group] // each.count) for group in each.groups)
    return found


def _factorial(number: int) -> float:
    return math.lgamma(number + 1) / math.log(10)


def _table(spec: PermutationSpec) -> Iterator[str]:
    """Yield a line for each group: its name, its units, how they move, and the axes that they lie along."""
    blocks = {group: each for each in spec.blocks for group in each.groups}
    places = _places(spec)
    width = max(map(len, spec.sizes), default=0)
    for group, size in spec.sizes.items():
        own = blocks.get(group)
        others = ", ".join(each for each in own.groups if each != group) if own else ""
        kind = f"in {own.count} blocks{f' with {others}' if others else ''}" if own else "free"
        yield f"  {group:{width}}  {spec.kind(group):6}  {size:6,} units  {kind}: {_named(places[group])}"


def _places(spec: PermutationSpec) -> dict[str, list[str]]:
    """Return, by group, the axes that it lies along, as `tensor[axis]`."""
    found: dict[str, list[str]] = {group: [] for group in spec.sizes}
    for name, axes in spec.axes.items():
        for dimension, axis in enumerate(axes):
            for group in groups_of(axis):
                found[group].append(f"{name}[{dimension}]")
    return found


def _named(names: list[str]) -> str:
    """Return the first names, and how many there are besides."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
