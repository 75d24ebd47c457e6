"""Lists of keys of `prune`: several ways to prune the same dense networks, in one sweep."""

import pytest

from raysweep.errors import UserError
from raysweep.sweep.load import check
from tests.work.plans import BASE, plan


def test_chains_share_their_dense_trials_and_have_the_ids_that_they_have_alone():
    both = plan(prune={"levels": 2, "rewind": ["1st", "1ep"], "branches": ["transport"]})
    alone = [plan(prune={"levels": 2, "rewind": at, "branches": ["transport"]}) for at in ("1st", "1ep")]
    assert both.trials.keys() == alone[0].trials.keys() | alone[1].trials.keys()
    assert both.barriers.keys() == alone[0].barriers.keys() | alone[1].barriers.keys()
    assert both.alignments.keys() == alone[0].alignments.keys() | alone[1].alignments.keys()
    dense = [trial for trial in both.trials.values() if trial.prune is None]
    assert len(dense) == BASE["replicates"]
    assert all({0, 1, 11, 33} <= set(both.extents[trial.trial_id].checkpoints) for trial in dense)


def test_two_moments_that_are_one_step_are_one_way_to_prune():
    assert (
        plan(prune={"levels": 1, "rewind": ["11st", "1ep"]}).trials
        == plan(prune={"levels": 1, "rewind": "11st"}).trials
    )


@pytest.mark.parametrize(
    ("prune", "said"),
    [
        ({"levels": 1, "fraction": []}, r"prune.fraction = \[\]: give at least one value"),
        ({"levels": 1, "fraction": [0.2, 2]}, "prune.fraction = 2: expected a number above 0 below 1"),
        ({"levels": 1, "scope": ["layers"]}, "prune.scope = 'layers': did you mean 'layer'"),
        ({"levels": [1, 2]}, r"prune.levels = \[1, 2\]: expected an integer"),
        ({"fraction": 0.2}, "prune.levels is missing"),
        ({"levels": 1, "rewinding": 1}, "unknown key prune.rewinding: did you mean 'rewind'"),
        ({"levels": 1, "exclude": [["a"], "b"]}, "prune.exclude = 'b': expected a list"),
        (3, "prune = 3: expected a section"),
    ],
)
def test_mistakes_are_named(prune, said):
    with pytest.raises(UserError, match=said):
        check("file", {"name": "s", "train": BASE, "prune": prune})


def test_the_resolved_file_has_the_lists_and_asks_for_the_same():
    sweep = check("file", {"name": "s", "train": BASE, "prune": {"levels": 1, "rewind": ["1st", "1ep"]}})
    assert sweep.resolved["prune"]["rewind"] == ["1st", "1ep"]
    assert check("file", sweep.resolved).prunings == sweep.prunings
    assert len(sweep.prunings) == 2
