"""The ids of barriers are made from prepared texts; they are the plain digests all the same."""

import pytest

from raysweep.digest import digest
from raysweep.errors import UserError
from raysweep.plan.desired import desired
from raysweep.sweep.load import check

TRAIN = {"dataset": "digits", "width": 8, "epochs": 2, "replicates": 4}
KINDS = ["unaligned", "direct", "via", "joint", "composed"]
SWEEPS = {
    "all kinds": ({}, {"kinds": KINDS, "mean_networks": [3], "path_networks": [3, 4]}),
    "batch norm": ({"norm": "batch"}, {"kinds": KINDS}),
    "along training": ({}, {"trajectory": {"hybrids": ["bottom_up", "one_out"], "stacks": [2]}}),
    "across": ({"width": [8, 9]}, {"across": ["widths"], "alphas": 5, "train_examples": 7}),
}


def plain(comparison, compare, threads):
    """The id as the digest of everything that the numbers of a barrier depend on."""
    how = {
        "interpolation": comparison.interpolation,
        "kind": comparison.kind,
        "statistics": comparison.statistics,
        "hybrid": comparison.hybrid,
        "grid": {"pair": compare.alphas, "simplex": compare.subdivisions}.get(comparison.interpolation),
        "examples": compare.train_examples,
        "threads": threads,
        "device": compare.device,
    }
    names = [
        [str(network) for network in comparison.networks],
        [str(each) for each in (comparison.reference, *comparison.path)],
    ]
    return digest(
        ["barrier", 8, how, *names, [each.identity() if each else None for each in comparison.permutations]]
    )


@pytest.mark.parametrize("name", SWEEPS)
def test_an_id_is_the_plain_digest(name):
    train, compare = SWEEPS[name]
    wanted = desired(check("test", {"name": "s", "train": {**TRAIN, **train}, "compare": compare}))
    sections = wanted.sweep.sections
    assert wanted.barriers
    for key, job in wanted.barriers.items():
        assert key == job.barrier_id == plain(job.comparison, sections.compare, sections.align.threads)


CUDA = {"device": "cuda"}


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({"precision": "float32"}, {}),
        ({**CUDA, "precision": "float32"}, CUDA),
        ({**CUDA, "compile": "auto"}, CUDA),
    ],
)
def test_the_defaults_of_how_networks_are_evaluated_leave_ids_alone(change, other):
    assert ids(**change) == ids(**other)


def test_the_precision_and_on_a_gpu_compilation_belong_to_ids():
    ways = [{}, {"precision": "bfloat16"}, CUDA, {**CUDA, "compile": "off"}]
    ways += [{**CUDA, "precision": precision} for precision in ("tf32", "bfloat16")]
    found = [ids(**way) for way in ways]
    assert len(set().union(*found)) == sum(map(len, found))


def ids(**compare):
    sections = {"name": "s", "train": TRAIN, "compare": compare, "resources": {"align": {"gpu": 1}}}
    return set(desired(check("test", sections)).barriers)


def test_what_only_a_gpu_does_is_refused_on_a_processor():
    with pytest.raises(
        UserError, match=r"compare\.compile = off: has no effect, because only a GPU reads it"
    ):
        ids(compile="off")
    with pytest.raises(UserError, match=r"compare\.precision = tf32: requires compare\.device = cuda"):
        ids(precision="tf32")


def test_golden_barriers():
    """Changes when an id of a barrier changes: then `BARRIER_VERSION` must change, or stored work is lost."""
    train, compare = SWEEPS["all kinds"]
    wanted = desired(check("test", {"name": "s", "train": {**TRAIN, **train}, "compare": compare}))
    assert digest(sorted(wanted.barriers)) == "f89ab936ff997b2b1eae"
    assert digest(sorted(wanted.alignments)) == "fe24fc1709e24b88f3c6"
