"""A key that is added to the schema changes no id while it has the value that stands for before."""

import pytest
from pydantic import create_model

from raysweep.plan import later
from raysweep.plan.alignments import make_alignment
from raysweep.plan.barriers import BarrierMaker
from raysweep.plan.identity import Comparison, Network
from raysweep.plan.later import LATER
from raysweep.plan.trial_ids import make_chain, make_trial
from raysweep.sweep.align import Align
from raysweep.sweep.compare import Compare
from raysweep.sweep.method_options import WeightMatching
from raysweep.sweep.prune import Pruning
from raysweep.sweep.train import Training
from raysweep.vocabulary import Interpolation, Kind

TRAIN = {"dataset": "digits", "width": 8, "epochs": 2}
NETWORKS = (Network("a", 0, 1), Network("b", 0, 1))
COMPARISON = Comparison(Interpolation.PAIR, Kind.UNALIGNED, None, "g", NETWORKS, (None, None))


def trial(model, **new):
    found = make_trial(model.model_validate({**TRAIN, **new}), 0, "data")
    return found.trial_id, found.setting


def chain(model, **new):
    prune = model.model_validate({"rewind": "1st", **new})
    return make_chain(make_trial(Training.model_validate(TRAIN), 0, "data"), prune, 1).trial_id


def alignment(model, **new):
    return make_alignment("weight_matching", "g", *NETWORKS, model.model_validate(new)).alignment_id


def matching(model, **new):
    align = Align.model_construct(**{**dict(Align()), "weight_matching": model.model_validate(new)})
    return make_alignment("weight_matching", "g", *NETWORKS, align).alignment_id


SECTIONS = {
    "train": (Training, trial),
    "prune": (Pruning, chain),
    "align.weight_matching": (WeightMatching, matching),
}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_new_key_at_its_default_changes_no_id(section, monkeypatch):
    model, identity = SECTIONS[section]
    extended = create_model("Extended", __base__=model, newest=(int, 3))
    assert identity(extended) != identity(model)  # unless it is listed
    monkeypatch.setitem(later.LATER, section, {**LATER[section], "newest": 3})
    assert identity(extended) == identity(extended, newest=3) == identity(model)
    assert identity(extended, newest=4) != identity(model)


def test_the_precision_of_barriers_was_added_in_this_way():
    def barrier(**keys):
        maker = BarrierMaker(Compare.model_validate(keys), 1)
        maker.add_one(COMPARISON)
        return list(maker.table())

    assert barrier() == barrier(precision="float32") != barrier(precision="bfloat16")


def test_what_is_listed_is_in_the_schema():
    models = {"train": Training, "prune": Pruning, "align": Align, "compare": Compare}
    models |= {
        f"align.{name}": type(getattr(Align(), name)) for name in ("weight_matching", "activation_matching")
    }
    assert LATER.keys() == models.keys()
    for section, keys in (
        *LATER.items(),
        *((name, dict.fromkeys(keys)) for name, keys in later.ON_GPU.items()),
    ):
        assert keys.keys() <= models[section].model_fields.keys()
