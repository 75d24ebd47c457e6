import pytest
import torch

from raysweep.training.schedule import Schedule

STEPS = 40


def rates(**settings):
    schedule = Schedule(peak=0.1, steps=STEPS, **settings)
    return [schedule.rate(step) for step in range(STEPS)]


def torch_rates(make):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler, found = make(optimiser), []
    for _ in range(STEPS):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return found


def test_schedules_agree_with_torch():
    lr = torch.optim.lr_scheduler
    assert rates(name="cosine") == pytest.approx(torch_rates(lambda o: lr.CosineAnnealingLR(o, STEPS)))
    milestones = torch_rates(lambda o: lr.MultiStepLR(o, [10, 30], 0.1))
    assert rates(name="milestones", milestones=(10, 30)) == pytest.approx(milestones)


def test_the_papers_schedule():
    """One epoch of linear warm-up, then 0.1, a tenth of it from epoch 80 on, a hundredth from 120 on."""
    schedule = Schedule("milestones", 0.1, 160 * 391, (80 * 391, 120 * 391), 0.1, 391)
    assert schedule.rate(0) == pytest.approx(0.1 / 391)
    assert [schedule.rate(epoch * 391) for epoch in (1, 79, 80, 120, 159)] == pytest.approx(
        [0.1, 0.1, 0.01, 0.001, 0.001]
    )
    assert schedule.rate(80 * 391 - 1) == 0.1


def test_one_cycle_rises_and_falls():
    found = rates(name="one_cycle")
    peak = found.index(max(found))
    assert found[:peak] == sorted(found[:peak])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    assert found[0] == pytest.approx(0.1 / 25)
    assert found[-1] < 1e-5


def test_unknown_name():
    with pytest.raises(ValueError, match="milestones"):
        Schedule("linear", 0.1, 10)
