"""Random flips and crops of a batch, the usual augmentation for CIFAR, and none."""

import torch


def unchanged(images: torch.Tensor, black: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Return the images themselves."""
    return images


def draw_nothing(count: int, seed: int) -> torch.Tensor:
    """Return (0, count): nothing is drawn."""
    return torch.empty(0, count, dtype=torch.int64)


def flip_and_crop(images: torch.Tensor, black: torch.Tensor, seed: int, padding: int = 4) -> torch.Tensor:
    """Flip each image with probability 1/2, and shift it by up to `padding` pixels along both axes.

    Arguments:
        images: shape (batch, channels, height, width); not modified.
        black: shape (channels,), the value of the `padding` pixels around an image.
        seed: seeds the random numbers, which do not depend on the device.
        padding: pixels on each side; a crop is one of (2 * padding + 1)^2 windows of the padded image.

    Returns a new batch of the same shape and memory format.
    """
    return flipped_and_cropped(images, black, draw_flips_and_crops(len(images), seed, padding), padding)


def flipped_and_cropped(
    images: torch.Tensor, black: torch.Tensor, draws: torch.Tensor, padding: int = 4
) -> torch.Tensor:
    """Flip and shift images as `draw_flips_and_crops` has drawn it; see `flip_and_crop`."""
    flip, top, left = draws.to(images.device)
    batch, channels, height, width = images.shape
    padded = _pad(images, black, padding)
    # Selecting whole rows first and then pixels within rows is the fastest of several ways on the CPU.
    planes = torch.arange(batch * channels, device=images.device).view(batch, channels, 1)
    rows = top[:, None] + torch.arange(height, device=images.device)
    rows = (planes * padded.shape[2] + rows[:, None, :]).flatten()
    chosen = padded.flatten(0, 2).index_select(0, rows).view(batch, channels * height, -1)
    columns = torch.arange(width, device=images.device)
    columns = left[:, None] + torch.where(flip[:, None] == 1, width - 1 - columns, columns)
    result = chosen.gather(2, columns[:, None, :].expand(-1, channels * height, -1)).view(images.shape)
    return result.contiguous(memory_format=_memory_format(images))


def draw_flips_and_crops(count: int, seed: int, padding: int = 4) -> torch.Tensor:
    """Return for each image whether to flip it, and the top and left of its window: (3, count) int64."""
    generator = torch.Generator().manual_seed(seed)
    flip = torch.randint(2, (1, count), generator=generator)
    corner = torch.randint(2 * padding + 1, (2, count), generator=generator)
    return torch.cat([flip, corner])


def _pad(images: torch.Tensor, black: torch.Tensor, padding: int) -> torch.Tensor:
    """Return the images in a frame of `padding` pixels, contiguous whatever the images' memory format."""
    batch, channels, height, width = images.shape
    size = (batch, channels, height + 2 * padding, width + 2 * padding)
    padded = black.to(images.dtype).view(1, channels, 1, 1).expand(size).contiguous()
    padded[:, :, padding : padding + height, padding : padding + width] = images
    return padded


def _memory_format(images: torch.Tensor) -> torch.memory_format:
    if images.is_contiguous():
        return torch.contiguous_format
    channels_last = images.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format
