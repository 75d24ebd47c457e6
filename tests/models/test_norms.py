import pytest
import torch

from raysweep.models.norms import ChannelLayerNorm, channel_norm


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_layer_norm_equals_its_definition_over_the_channels_of_a_pixel(memory_format):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64)
    norm = ChannelLayerNorm(5).double()
    with torch.no_grad():
        norm.weight.normal_(generator=generator)
        norm.bias.normal_(generator=generator)
    expected = torch.empty_like(images)
    for image in range(2):
        for row in range(3):
            for column in range(4):
                pixel = images[image, :, row, column]
                mean = sum(pixel) / 5
                variance = sum((value - mean) ** 2 for value in pixel) / 5
                scaled = (pixel - mean) / (variance + norm.eps) ** 0.5
                expected[image, :, row, column] = scaled * norm.weight + norm.bias
    torch.testing.assert_close(norm(images.to(memory_format=memory_format)), expected)


def test_layer_norm_has_one_scale_and_shift_per_channel():
    assert {name: p.shape for name, p in channel_norm("layer", 5).named_parameters()} == {
        "weight": (5,),
        "bias": (5,),
    }
