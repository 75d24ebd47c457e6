import json

import pytest

from raysweep.plan.alignments import (
    make_agreement,
    make_alignment,
    make_embedding,
    make_joint,
    make_stacked,
)
from raysweep.plan.applied_permutations import FoundPermutation
from raysweep.plan.desired import desired
from raysweep.plan.identity import KNOWN_OF_IMPORTS, Network, data_config
from raysweep.plan.import_files import ImportFile
from raysweep.plan.trial_ids import make_branch, make_chain, make_import, make_trial
from raysweep.plan.versions import FACTORS_VERSION
from raysweep.sweep.align import Align
from raysweep.sweep.imports import Imports
from raysweep.sweep.load import check
from raysweep.sweep.prune import Pruning

pytestmark = pytest.mark.versions

GOLDEN = {
    "dense": "eb9bd2929b1aec22b43e",
    "channels last": "17de1f7830aed2b65751",
    "spawned": "831832624e18938ab2f6",
    "imported": "71ef930484ab072fae08",
    "chain": "610bca25b4ac7dc534a4",
    "spawned chain": "cf07b8359e247b0ec31c",
    "random": "4d7211cd09893d6b076b",
    "transport": "03b37345f8c2396ebffe",
    "permuted": "9611c388d88445982ea2",
    "alignment": "4f4c5350f0773208e061",
    "stacked": "0e48e39ea47f1104f0da",
    "embedding": "d5c2bbd641c64d631417",
    "joint": "27fb38436011809db44e",
    "agreement": "1153ea983ac19189db85",
}
BASE = {"dataset": "digits", "width": 8, "epochs": 2, "replicates": 4}


def plan(**train):
    return desired(check("test", {"name": "s", "train": {**BASE, **train}}))


def test_golden_id():
    """Changes when an id changes: then a version in `identity` must change, or stored work is lost."""
    training = plan().sweep.trainings[0]
    assert make_trial(training, 1, "data").trial_id == "bd80a41ebda269e9bcdb"


def test_training_that_keeps_what_a_constructor_drew_alone_has_a_version_of_its_own():
    """Golden: embeddings were drawn from the seed of the initialisation; all other trials keep their ids."""
    training = plan().sweep.trainings[0]
    vit = training.model_copy(update={"model": "vit"})
    found = [make_trial(each, 1, "data") for each in (vit, vit.model_copy(update={"init": "own"}))]
    assert [json.loads(each.identity)[1]["version"] for each in found] == [7, 4]
    assert make_trial(training, 1, "data", imported=True).trial_id == make_trial(training, 1, "data").trial_id
    own = training.model_copy(update={"model": "module:function"})
    found = [make_trial(own, 1, "data", imported=imported) for imported in (False, True)]
    assert [json.loads(each.identity)[1]["version"] for each in found] == [7, 4]


def test_what_changes_no_number_changes_no_id():
    assert list(plan().trials) == list(plan(checkpoints=[1], data_root=None).trials)
    assert set(plan().trials) < set(plan(replicates=5).trials)
    assert set(plan().barriers) < set(plan(replicates=5).barriers)


def test_what_changes_numbers_changes_ids():
    for change in (
        {"width": 9},
        {"weight_decay": 0.0},
        {"split_seed": 1},
        {"init_seed": 7},
        {"norm": "layer"},
    ):
        assert not set(plan().trials) & set(plan(**change).trials)


def test_chains_of_spawned_runs_alone_have_a_version_of_their_own():
    """Golden: they took their run's order of examples, which raised a version; all others keep theirs."""

    def chains(**train):
        sections = {"name": "s", "train": {**BASE, "replicates": 1, **train}}
        return {
            order: next(
                trial.trial_id
                for trial in desired(
                    check("test", sections | {"prune": {"levels": 1, "rewind": 1, "data_order": order}})
                ).trials.values()
                if trial.prune
            )
            for order in ("same", "new")
        }

    assert chains() == {"same": "bbd3bef3dbf5a8880a91", "new": "e788566a3ae89c2e1bb2"}
    assert chains(spawn_at="3st") == {"same": "ba5f7e7b43b7404e91c9", "new": "3af081986b5627f43a79"}


def test_correlations_over_several_pixels_alone_have_a_version_of_their_own():
    """Golden: they changed when each unit's own number of values was counted; all others keep their ids."""
    one, other = Network("a", 0, 1), Network("b", 0, 1)

    def identity(**activations):
        align = Align.model_validate({"activation_matching": activations})
        return make_alignment("activation_matching", "g", one, other, align).alignment_id

    assert identity() == "479f9f2d60bdde8342f8"
    assert identity(pixels=8, similarity="cosine") == "3ea768fa469a31536676"
    assert identity(pixels=8) == "acbe0b1f244a58a2c523"
    assert make_alignment("weight_matching", "g", one, other, Align()).alignment_id == "6e777e05c1b5eb67812b"


def test_permutations_that_are_learned_on_a_gpu_alone_have_a_version_of_their_own():
    """Golden: they changed with the operations of Adam's steps there."""
    one, other = Network("a", 0, 1), Network("b", 0, 1)
    found = [
        make_alignment("learned", "g", one, other, Align(device=device)).alignment_id
        for device in ("cpu", "cuda")
    ]
    assert found == ["47679c47d174a4a57590", "b2f306d27a9f91733b25"]


def test_matching_up_to_scales_or_rotations_alone_has_a_version_of_its_own():
    """It changed in narrow networks, of which fewer false and more true scales and rotations are found."""
    one, other = Network("a", 0, 1), Network("b", 0, 1)
    for method in ("monomial_matching", "orthogonal_matching"):
        how = make_alignment(method, "g", one, other, Align()).how
        assert json.loads(how)[2]["version"] == FACTORS_VERSION
    assert "version" not in json.loads(make_alignment("learned", "g", one, other, Align()).how)[2]


@pytest.mark.parametrize("method", ["weight_matching", "activation_matching"])
def test_the_device_of_an_alignment_belongs_to_its_id(method):
    """A GPU sums in another order."""
    one, other = Network("a", 0, 1), Network("b", 0, 1)
    found = [
        make_alignment(method, "g", one, other, align).alignment_id
        for align in (Align(), Align(device="cpu"), Align(device="cuda"))
    ]
    assert found[0] == found[1] != found[2]


def jobs_of_every_kind():
    """A job of every kind, of trials and networks with fixed names."""
    training = plan(replicates=3, half="replicate").sweep.trainings[0]
    dense = [make_trial(training, replicate, "data") for replicate in range(3)]
    spawning = plan(replicates=1, spawn_at="3st").sweep.trainings[0]
    spawned = make_trial(spawning, 5, "data", trunk=dense[1])
    imported = make_import(training, 1, "data", ImportFile("a.pt", "content"), Imports(("a.pt",)), {})
    prune, align = Pruning(), Align()
    chain, other = make_chain(dense[0], prune, 4), make_chain(dense[1], prune, 4)
    networks = tuple(Network(name, level, 3) for name, level in (("b", 0), ("a", 1), ("c", 0), ("a", 0)))
    pair, joint = networks[:2], networks[:3]
    move = FoundPermutation("alignment", inverse=False)
    return {
        "dense": dense[0],
        "channels last": make_trial(training.model_copy(update={"channels_last": True}), 0, "data"),
        "spawned": spawned,
        "imported": imported,
        "chain": chain,
        "spawned chain": make_chain(spawned, prune, 4),
        "random": make_branch(chain, "random", chain),
        "transport": make_branch(chain, "transport", other, "none", align),
        "permuted": make_branch(chain, "transport", other, "rewind", align),
        "alignment": make_alignment("weight_matching", "group", *pair, align),
        "stacked": make_stacked("weight_matching", "group", pair, networks[2:], align),
        "embedding": make_embedding("weight_matching", "group", *pair, align),
        "joint": make_joint("activation_matching", "group", joint, align),
        "agreement": make_agreement("path", "weight_matching", "group", pair, move, None),
    }


def test_golden_ids_of_every_kind():
    """Where one changes, stored work is lost, unless the version of its kind has changed on purpose."""
    ids = ("trial_id", "alignment_id", "agreement_id")
    found = {
        kind: next(getattr(job, name) for name in ids if hasattr(job, name))
        for kind, job in jobs_of_every_kind().items()
    }
    assert found == GOLDEN
    assert len(set(found.values())) == len(found)


def test_jobs_say_what_they_are_made_of():
    jobs = jobs_of_every_kind()
    assert [jobs[kind].branch for kind in ("dense", "spawned", "imported", "chain", "permuted")] == [
        "main",
        "spawned",
        "imported",
        "main",
        "transport",
    ]
    assert (jobs["spawned"].init_seed, jobs["spawned"].data_seed) == (1, 5)
    assert jobs["spawned"].spawned
    assert jobs["spawned"].parent == make_trial(jobs["dense"].training, 1, "data").trial_id
    assert not jobs["dense"].spawned
    assert jobs["chain"].parent == jobs["dense"].trial_id
    assert jobs["permuted"].mask_permutation == "rewind"
    a0, a1, b, c = Network("a", 0, 3), Network("a", 1, 3), Network("b", 0, 3), Network("c", 0, 3)
    assert jobs["alignment"].networks == (a1, b)
    assert (jobs["alignment"].joint, jobs["alignment"].stack, jobs["alignment"].embeds) == (False, 1, False)
    assert jobs["alignment"].toward(a1) == FoundPermutation(jobs["alignment"].alignment_id, inverse=False)
    assert jobs["alignment"].toward(b).inverse
    assert (jobs["stacked"].networks, jobs["stacked"].stack) == ((b, a1, c, a0), 2)
    assert (jobs["embedding"].networks, jobs["embedding"].embeds) == ((b, a1), True)
    assert (jobs["joint"].networks, jobs["joint"].joint) == ((a1, b, c), True)
    assert jobs["joint"].of(c) == FoundPermutation(jobs["joint"].alignment_id, inverse=False, member=2)


def test_replicates_alternate_between_halves_where_asked():
    training = plan(half="replicate").sweep.trainings[0]
    assert [data_config(training, replicate).half for replicate in range(4)] == [0, 1, 0, 1]
    fixed = training.model_copy(update={"half": 1})
    assert [data_config(fixed, replicate).half for replicate in range(2)] == [1, 1]


def test_of_an_import_only_what_its_file_tells_is_known():
    settings = jobs_of_every_kind()["imported"].settings()
    known = {key for key, value in settings.items() if value is not None}
    assert known <= KNOWN_OF_IMPORTS
    assert {"dataset", "model", "width", "half"} <= known
    assert jobs_of_every_kind()["dense"].settings()["epochs"] is not None
