"""Permutations of groups whose units lie in blocks: inside each block, and of whole blocks."""

from collections.abc import Collection, Iterable, Mapping

import torch

from raysweep.symmetry.axes import Blocks


def random_blocks(
    blocks: Blocks, sizes: Mapping[str, int], generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Draw one permutation of the blocks, and one inside each block of every group."""
    order = torch.randperm(blocks.count, generator=generator)
    return {
        group: block_index(
            order,
            torch.stack([torch.randperm(sizes[group] // blocks.count, generator=generator) for _ in order]),
        )
        for group in blocks.groups
    }


def block_index(order: torch.Tensor, inside: torch.Tensor, size: int | None = None) -> torch.Tensor:
    """Return the units taken by blocks: at position b those `inside[b]` of block `order[b]`.

    `order` has the shape (blocks,) and `inside` the shape (blocks, units taken from each). Blocks have `size`
    units; by default all of them are taken.
    """
    return (order[:, None] * (size or inside.shape[1]) + inside).reshape(-1)


def order_of(index: torch.Tensor, count: int, size: int | None = None) -> torch.Tensor:
    """Return which block is taken at each position, shape (blocks,); the inverse of `block_index`."""
    return index.view(count, -1)[:, 0] // (size or len(index) // count)


def first_units(
    blocks: Iterable[Blocks], sizes: Mapping[str, int], wide: Mapping[str, int]
) -> dict[str, torch.Tensor]:
    """Return, by group, the first `sizes` units of a network that has more of them, `wide`.

    For a group in blocks they are the first ones of each block.
    """
    counts = {group: each.count for each in blocks for group in each.groups}
    first = {}
    for group, size in sizes.items():
        count = counts.get(group, 1)
        inside = torch.arange(size // count).expand(count, -1)
        first[group] = block_index(torch.arange(count), inside, wide[group] // count)
    return first


def completed(index: torch.Tensor, size: int, count: int = 1) -> torch.Tensor:
    """Return a permutation of `size` units in which these come first, in each of `count` blocks."""
    units = size // count
    order, blocks = order_of(index, count, units), []
    for inside in index.view(count, -1) % units:
        rest = torch.ones(units, dtype=torch.bool)
        rest[inside] = False
        blocks.append(torch.cat([inside, rest.nonzero().flatten()]))
    return block_index(order, torch.stack(blocks))


def check_blocks(blocks: Iterable[Blocks], indices: Mapping[str, torch.Tensor]) -> None:
    """Raise `ValueError` for a permutation that breaks up blocks or orders them differently in two groups."""
    for each in blocks:
        first = each.groups[0]
        order = order_of(indices[first], each.count)
        for group in each.groups:
            taken = indices[group].view(each.count, -1) // (len(indices[group]) // each.count)
            if not torch.equal(taken, taken[:, :1].expand_as(taken)):
                raise ValueError(f"group {group}: its units lie in {each.count} blocks, which are broken up")
            if not torch.equal(taken[:, 0], order):
                raise ValueError(
                    f"group {group}: its {each.count} blocks are not reordered in the same way as those of "
                    f"group {first}, with which they must move together"
                )


def together(groups: Collection[str], blocks: Iterable[Blocks]) -> tuple[tuple[str, ...], ...]:
    """Return the groups in order, as tuples: groups whose blocks move together share a tuple."""
    partners = {group: each.groups for each in blocks for group in each.groups}
    return tuple(dict.fromkeys(partners.get(group, (group,)) for group in groups))
