import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.data.augment import draw_flips_and_crops, flip_and_crop


def batch(count=6, channels=3, height=8, width=10):
    images = torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(1))
    return images, torch.arange(channels) - 7.5


def frame(image, black, padding):
    channels = zip(image, black.tolist(), strict=True)
    return torch.stack([F.pad(plane, [padding] * 4, value=value) for plane, value in channels])


def one_by_one(images, black, seed, padding):
    """The same augmentation by the plain loop over images."""
    results = []
    height, width = images.shape[2:]
    for image, flip, top, left in zip(
        images, *draw_flips_and_crops(len(images), seed, padding).tolist(), strict=True
    ):
        padded = frame(image.flip(2) if flip else image, black, padding)
        left = 2 * padding - left if flip else left  # the window is chosen before the flip
        results.append(padded[:, top : top + height, left : left + width])
    return torch.stack(results)


@settings(deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 4),
    st.integers(0),
)
def test_equals_the_plain_loop(count, channels, height, width, padding, seed):
    images, black = batch(count, channels, height, width)
    seed %= 2**63
    result = flip_and_crop(images, black, seed, padding)
    assert torch.equal(result, one_by_one(images, black, seed, padding))


def test_every_window_occurs_and_nothing_else():
    images, black = batch(1)
    found = flip_and_crop(images.expand(4000, -1, -1, -1), black, seed=0).flatten(1)
    sources = [frame(source, black, 4) for source in (images[0], images[0].flip(2))]
    windows = [
        s[:, top : top + 8, left : left + 10] for s in sources for top in range(9) for left in range(9)
    ]
    expected = {window.flatten().numpy().tobytes() for window in windows}
    assert {row.numpy().tobytes() for row in found} == expected
    assert len(expected) == 2 * 81


def test_flips_and_windows_are_fair_and_independent():
    draws = draw_flips_and_crops(100_000, seed=3).double()
    assert abs(draws[0].mean() - 0.5) < 0.01
    for corner in draws[1:]:
        assert torch.bincount(corner.long(), minlength=9).sub(100_000 / 9).abs().max() < 500
    assert torch.corrcoef(draws).fill_diagonal_(0).abs().max() < 0.02


def test_the_seed_decides():
    images, black = batch(50)
    first, again, other = (flip_and_crop(images, black, seed) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_input_and_the_global_generator_stay_as_they_were():
    images, black = batch()
    copy, state = images.clone(), torch.get_rng_state()
    flip_and_crop(images, black, seed=0)
    assert torch.equal(images, copy)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_memory_format_stays(memory_format):
    images, black = batch()
    result = flip_and_crop(images.contiguous(memory_format=memory_format), black, seed=0)
    assert result.is_contiguous(memory_format=memory_format)
    assert torch.equal(result, flip_and_crop(images, black, seed=0))


def test_the_device_does_not_matter():
    images, black = batch(50)
    expected = flip_and_crop(images, black, seed=0)
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        assert torch.equal(flip_and_crop(images.to(device), black.to(device), seed=0).cpu(), expected)
