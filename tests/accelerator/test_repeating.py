"""Work that is repeated by a recording has the bits of the work itself, or is not recorded."""

import pytest
import torch

from raysweep.accelerator.repeating import repeated
from tests.pretended_device import DEVICE

pytestmark = pytest.mark.fast

DEVICES = [torch.device("cpu"), torch.device(DEVICE)]


@pytest.mark.parametrize("device", DEVICES)
def test_nothing_is_done_before_the_first_time(device):
    total = torch.ones(2)
    work = repeated("doubling", lambda: total.mul_(2), [total], device)
    assert total.tolist() == [1, 1]
    work()
    work()
    assert total.tolist() == [4, 4]


def test_work_that_does_not_repeat_itself_is_not_recorded(caplog):
    """As a graph would not repeat what Python does: here another number is added each time."""
    total, numbers = torch.zeros(1), iter(range(1, 10))
    work = repeated("counting", lambda: total.add_(next(numbers)), [total], DEVICES[1])
    assert (
        "counting: not captured (RuntimeError: a replay has other bits than the work itself)" in caplog.text
    )
    assert total.tolist() == [0]
    left = next(numbers)
    work()
    assert total.tolist() == [left + 1]


@pytest.mark.parametrize("device", DEVICES)
def test_work_that_fails_raises(device):
    with pytest.raises(ZeroDivisionError):
        repeated("dividing", lambda: 1 / 0, [], device)()
