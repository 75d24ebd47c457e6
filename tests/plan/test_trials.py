import pytest

from raysweep.errors import UserError
from raysweep.plan.desired import desired
from raysweep.plan.trials import checkpoint_steps
from raysweep.sweep.load import check
from tests.plan.compared import comparisons

BASE = {"dataset": "digits", "width": 8, "epochs": 4, "batch_size": 64, "replicates": 2}  # 22 steps an epoch


def plan(prune=None, **train):
    sections = {"name": "s", "train": {**BASE, **train}}
    return desired(check("test", sections | ({"prune": prune} if prune else {})))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ([], (0, 88)),
        ([1, "30st", "0.5ep"], (0, 11, 22, 30, 88)),
        ({"every": 2}, (0, 44, 88)),
        ({"every": "40st"}, (0, 40, 80, 88)),
        ({"first": "2st", "factor": 3}, (0, 2, 6, 18, 54, 88)),
        ([0, 4, 400], (0, 88)),
    ],
)
def test_checkpoint_schedules(schedule, expected):
    sections = plan(checkpoints=schedule).sweep.sections
    assert checkpoint_steps(sections.train, 22, 0, 88) == expected
    assert next(iter(plan(checkpoints=schedule).extents.values())).checkpoints == expected
    assert list(plan(checkpoints=schedule).trials) == list(plan().trials)


def test_levels_and_branches_change_no_id():
    short = plan(prune={"levels": 2})
    assert set(short.trials) == set(plan(prune={"levels": 5}).trials)
    assert set(short.trials) < set(plan(prune={"levels": 2, "branches": ["random", "transport"]}).trials)
    assert set(short.barriers) < set(plan(prune={"levels": 3}).barriers)
    for change in ({"fraction": 0.3}, {"scope": "layer"}, {"rewind": 1}, {"exclude": ["output"]}):
        chains = {t.trial_id for t in short.trials.values() if t.prune}
        assert not chains & set(plan(prune={"levels": 2, **change}).trials)


def test_barriers_by_level_at_both_points_and_under_both_permutations():
    wanted = plan(prune={"levels": 2, "rewind": "5st"})
    seen = set()
    for each in comparisons(wanted):
        if each.kind in ("unaligned", "direct") and each.interpolation == "pair":
            level, step = each.networks[0].level, each.networks[0].step
            found = wanted.alignments[each.alignments[0]].target.level if each.alignments else None
            seen.add((level, step, found))
    expected = {(0, step, found) for step in (5, 88) for found in (None, 0)}
    expected |= {(level, step, found) for level in (1, 2) for step in (5, 88) for found in (None, 0, level)}
    assert seen == expected


@pytest.mark.parametrize(
    ("train", "prune", "message"),
    [
        (
            {},
            {"levels": 60, "fraction": 0.5},
            r"prune.levels = 60: would prune everything; at most \d+ levels",
        ),
        (
            {},
            {"levels": 2, "rewind": 5},
            r"prune.rewind = 5ep: is step 110, but training goes from step 0 to 88",
        ),
        (
            {},
            {"levels": 2, "exclude": ["conv9"]},
            r"prune.exclude: mlp has no layer 'conv9'; its layers: layers",
        ),
        ({"spawn_at": "88st"}, None, r"train.spawn_at = 88st: is step 88"),
        ({"batch_size": 2000, "drop_last": True}, None, r"train.batch_size = 2000: is more than the 1397"),
        ({"batch_size": 4, "norm": "batch"}, None, r"train.batch_size = 4: 1397 training .* a single one"),
    ],
)
def test_what_cannot_be_is_one_clear_message(train, prune, message):
    with pytest.raises(UserError, match=message):
        plan(prune, **train)


def test_halves_by_replicate_share_a_group():
    wanted = plan(half="replicate", replicates=4)
    assert len({t.setting for t in wanted.trials.values()}) == 1
    assert len(wanted.alignments) == 6
    assert not set(wanted.trials) & set(plan(replicates=4).trials)


def test_data_and_inputs_are_in_the_id():
    base = set(plan().trials)
    for change in (
        {"half": 0},
        {"fraction": 0.5},
        {"examples": [0, 500]},
        {"pixel_seed": 1},
        {"scaling": "standardise"},
        {"augment": "flip_crop"},
        {"drop_last": True},
        {"optimiser": "adamw"},
        {"warmup": "3st"},
        {"precision": "bfloat16"},
    ):
        assert not base & set(plan(**change).trials), change
