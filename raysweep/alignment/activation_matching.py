"""Activation matching: units are matched by what they compute on the same examples.

Sources: Li et al. 2015 (convergent learning, arXiv 1511.07543), Tatro et al. 2020 (arXiv 2009.02439) and
Ainsworth et al. 2023 (Git Re-Basin, arXiv 2209.04836), section 3.1. Each group is an assignment problem of
its own (of two levels where its units lie in blocks), so nothing is iterated. Examples are processed in
batches and only products of pairs of units are kept, so memory does not grow with the number of examples; a
network runs once, however many pairs it is in.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from raysweep.alignment import unit_products
from raysweep.alignment.activations import TENSORS, Recorder, recorded_values
from raysweep.alignment.assignments import Matrices, assignment, assignment_of_blocks
from raysweep.alignment.unit_products import SIMILARITIES, UnitProducts, UnitSums, Values
from raysweep.alignment.weight_matching import Alignment
from raysweep.choices import check_names, choose
from raysweep.data.given import Images, images_of
from raysweep.models.given import Network, modules_of
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.axes import Blocks
from raysweep.symmetry.blocks import together
from raysweep.symmetry.tracing import Place
from raysweep.training.answering import check_answers

CHUNK = 500  # images per forward pass; results depend on it by rounding, so it is not an option


def activation_matching(
    target: Network,
    source: Network,
    images: Images,
    tensor: str = "last",
    similarity: str = "correlation",
    pixels: int = 1,
    *,
    model: nn.Module | None = None,
) -> Alignment:
    """Find P that maximises the summed similarity of the matched units of two networks.

    Networks are modules or state dicts; of two state dicts `model` gives the architecture. `images` is a
    tensor or yields batches of images, or of images and labels. See `match_activations`. Raises `TypeError`
    for anything else, and `ValueError` for images that a network does not answer.
    """
    modules, examples = modules_of([target, source], model, "networks"), images_of(images)
    for module in modules:
        check_answers(module, examples)
    return match_activations(modules, examples, [(0, 1)], tensor, similarity, pixels)[0]


def match_activations(
    models: Sequence[nn.Module],
    images: torch.Tensor,
    pairs: Sequence[tuple[int, int]],
    tensor: str = "last",
    similarity: str = "correlation",
    pixels: int = 1,
) -> list[Alignment]:
    """Align pairs (target, source) of networks of one architecture by their units' values on images.

    See `unit_similarities` for the arguments and errors. The objective is the sum of the similarities of the
    matched units, in units of that similarity. A result does not depend on the other pairs.
    """
    found = unit_similarities(models, images, pairs, tensor, similarity, pixels)
    blocks = PermutationSpec.trace(models[0], images[:2], proved=False).blocks
    return [match_similarities(matrices, blocks) for matrices in found]


def unit_similarities(
    models: Sequence[nn.Module],
    images: torch.Tensor,
    pairs: Sequence[tuple[int, int]],
    tensor: str = "last",
    similarity: str = "correlation",
    pixels: int = 1,
) -> list[Matrices]:
    """Return, for pairs (target, source) of networks, the similarities of all their units, by group.

    Each result is a float64 matrix per group, (units of the target, units of the source). `images` has the
    shape (examples, channels, height, width), or any other that the networks take with a first axis of
    examples. A unit has several values along a forward pass; `tensor` chooses the `first` (before norm and
    nonlinearity), the `last`, or `all`, whose similarities are added. The `similarity` of two units is their
    `inner_product`, their `correlation`, or the `cosine` between them, which are 0 for a unit without spread
    or length. A unit that is a channel is compared at `pixels` random positions per image, the same in every
    network, or at all if there are no more: neighbouring pixels carry much the same information, and all of
    them would cost more than the networks themselves. The networks run in evaluation mode and are left in the
    mode they were in.

    Raises `ValueError` for unknown names, for fewer than one pixel and for networks of different widths, and
    `SpecError` for a network that is not understood.
    """
    check_names("tensor", [tensor], TENSORS)
    check_names("similarity", [similarity], SIMILARITIES)
    if pixels < 1:
        raise ValueError(f"pixels must be at least 1, not {pixels}")
    places = recorded_values(models[0], images[:2], tensor)
    if not places:
        return [{} for _ in pairs]
    recorders, chunks = [Recorder(model, places, pixels) for model in models], images.split(CHUNK)

    def values(network: int, number: int) -> Values:
        return recorders[network].values(chunks[number], number)

    return recorded_similarities(values, (len(models), len(chunks)), pairs, places, similarity)


def recorded_similarities(
    values: Callable[[int, int], Mapping[Place, torch.Tensor]],
    sizes: tuple[int, int],
    pairs: Sequence[tuple[int, int]],
    places: Mapping[str, tuple[Place, ...]],
    similarity: str,
) -> list[Matrices]:
    """Return the similarities of units for pairs (target, source) of networks, from the values of the units.

    `values(i, n)` returns the values of network i on the nth `CHUNK` of images, by place; `sizes` is the
    number of networks and of chunks. It is called once per network and chunk, however many pairs a network is
    in.
    """
    centred = choose("similarity", similarity, SIMILARITIES).centred
    sums = [UnitSums(centred) for _ in range(sizes[0])]
    products = [UnitProducts() for _ in pairs]
    with torch.no_grad():
        for number in range(sizes[1]):
            values_of = [each.add(values(network, number)) for network, each in enumerate(sums)]
            for product, (target, source) in zip(products, pairs, strict=True):
                product.add(values_of[target], values_of[source])
    return [
        _by_group(unit_products.similarities(product, sums[target], sums[source], similarity), places)
        for product, (target, source) in zip(products, pairs, strict=True)
    ]


def match_similarities(similarities: Matrices, blocks: Sequence[Blocks]) -> Alignment:
    """Match the units of every group so that the sum of their similarities is largest.

    `blocks` are the blocks of the networks' spec.
    """
    indices: dict[str, torch.Tensor] = {}
    for groups in together(similarities, blocks):
        indices |= matched_together({group: similarities[group] for group in groups}, blocks)
    reached = identity = 0.0
    for group, matrix in similarities.items():
        reached += matrix.gather(1, indices[group][:, None]).sum().item()
        identity += matrix.trace().item()
    return Alignment(Permutation({g: indices[g] for g in similarities}), reached, identity, len(indices))


def matched_together(matrices: Matrices, blocks: Sequence[Blocks]) -> dict[str, torch.Tensor]:
    """Match the units of one group, or of all groups whose blocks move together."""
    for each in blocks:
        if set(each.groups) == set(matrices):
            return assignment_of_blocks(matrices, each.count)
    return {group: assignment(matrix) for group, matrix in matrices.items()}


def _by_group(found: Values, places: Mapping[str, tuple[Place, ...]]) -> Matrices:
    """Add the similarities at the places of each group. Raises `ValueError` for different widths."""
    sums = {
        group: torch.stack([found[place] for place in own]).sum(dim=0).cpu() for group, own in places.items()
    }
    for group, matrix in sums.items():
        if matrix.shape[0] != matrix.shape[1]:
            sizes = " and ".join(map(str, matrix.shape))
            raise ValueError(f"group {group}: networks of different widths, {sizes} units, cannot be matched")
    return sums
