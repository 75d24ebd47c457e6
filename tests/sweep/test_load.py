import re

import pytest
import yaml

from raysweep.errors import UserError
from raysweep.sweep.load import check, load_sweep
from raysweep.sweep.reference import keys

BASE = "name: s\ntrain: {dataset: digits, width: [8, 16], epochs: 2}\n"


def load(tmp_path, text, *overrides):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return load_sweep(str(path), list(overrides))


def test_lists_are_swept_and_overridden(tmp_path):
    sweep = load(tmp_path, BASE, "train.learning_rate=[1e-1, 1e-2]", "train.replicates=3")
    assert [(t.width, t.learning_rate) for t in sweep.trainings] == [
        (8, 0.1),
        (8, 0.01),
        (16, 0.1),
        (16, 0.01),
    ]
    assert sweep.sections.train.replicate_numbers() == [0, 1, 2]
    assert sweep.resolved["train"]["width"] == [8, 16]


def test_the_fingerprint_is_of_what_is_asked_for_and_not_of_where_it_runs(tmp_path):
    """So that a plan on a laptop can be compared with a run on a cluster."""
    plain = load(tmp_path, BASE).fingerprint
    elsewhere = ["resources.workers=8", "train.data_root=/tmp/data", "train.download=true"]
    assert load(tmp_path, f"# a comment\n{BASE}", *elsewhere, "tracking.enabled=false").fingerprint == plain
    assert load(tmp_path, BASE, "train.width=[8, 16]").fingerprint == plain
    for override in ("train.epochs=3", "train.width=[16, 8]", "train.replicates=3", "compare.alphas=5"):
        assert load(tmp_path, BASE, override).fingerprint != plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BASE.replace("width", "widht"), r"unknown key train.widht: did you mean 'width'\?"),
        (BASE + "align: {methods: [magic]}", "align.methods.0 = 'magic'"),
        (BASE.replace("[8, 16]", "[8, 0]"), "train.width = 0: expected an integer above 0"),
        (BASE.replace("digits", "digit"), "train.dataset = 'digit': did you mean 'digits'"),
        (
            BASE.replace("epochs: 2", "epochs: 2, preset: paper_vgg"),
            "train.preset = 'paper_vgg': did you mean",
        ),
        (
            BASE.replace("epochs: 2", "epochs: 2, threads: 3"),
            "train.threads = 3: more than resources.trial.cpu",
        ),
        (
            BASE.replace("epochs: 2", "epochs: 2, milestones: [1]"),
            "train.milestones: the schedule milestones requires this key",
        ),
        (BASE.replace("epochs: 2", "epochs: 2, half: 0, fraction: 0.5"), "exclude one another"),
        (BASE.replace("epochs: 2", "epochs: 2, warmup: soon"), "train.warmup = 'soon': expected a number of"),
        (BASE.replace("epochs: 2", "epochs: 2, model: mpl"), "train.model = 'mpl': .*valid choices: .*mlp"),
        (
            BASE.replace("epochs: 2", "epochs: 2, model: vgg11, depth: 2"),
            "train.depth: vgg11 has no such setting",
        ),
        (
            BASE.replace("epochs: 2", "epochs: 2, model: gpt"),
            "train.model: gpt does not fit dataset digits; valid: mlp, lenet",
        ),
        (BASE.replace("digits", "text"), "train.model: mlp does not fit dataset text; valid: gpt"),
        (
            BASE.replace("digits", "text").replace("epochs: 2", "epochs: 2, model: gpt"),
            "train.scaling: dataset text consists of tokens in order; valid: none",
        ),
        (BASE + "prune: {levels: 2, level: 3}", "unknown key prune.level: did you mean 'levels'"),
        (BASE + "prune: {levels: 2, transport: {partner: all}}", "did you mean 'partners'"),
        (BASE + "compare: {alphas: 10}", "compare.alphas = 10: must be odd"),
        (
            BASE + "prune: {levels: 2, branches: [transport]}\nalign: {methods: [orthogonal_matching]}",
            "prune.branches = transport: .* orthogonal_matching rotates units; put another method first",
        ),
        (BASE + "align: {device: cuda}", "align.device = cuda: requires .* set resources.align.gpu"),
        (BASE + "compare: {device: cuda}", "compare.device = cuda: requires .* set resources.align.gpu"),
        ("a: [", "is not YAML"),
        ("just text", "a sweep file is a mapping"),
        (BASE + "name: again\n", "'name' appears twice"),
        (BASE.replace("name: s", "name: ../s"), "name = '../s'"),
        (BASE.replace("[8, 16]", "[8, 16, 8]"), "train.width = 8: is given 2 times; give each value once"),
        (BASE.replace("epochs: 2", "epochs: 2, warmup: [1, 1ep]"), "train.warmup = 1ep: is given 2 times"),
        (
            BASE.replace("epochs: 2", "epochs: 2, half: [null, 0, null]"),
            "train.half = null: is given 2 times",
        ),
        (
            BASE.replace("epochs: 2", "epochs: 2, replicates: [3, 3]"),
            "train.replicates = 3: is given 2 times",
        ),
        (BASE + "prune: {levels: 1, fraction: [0.2, 2e-1]}", "prune.fraction = 0.2: is given 2 times"),
        (BASE + "prune: {levels: 1, exclude: [output, output]}", "prune.exclude = output: is given 2 times"),
        (
            BASE + "align: {methods: [frank_wolfe, weight_matching, frank_wolfe]}",
            "align.methods = frank_wolfe: is given 2 times",
        ),
        (
            BASE + "compare: {trajectory: {points: [1, 1]}}",
            "compare.trajectory.points = 1ep: is given 2 times",
        ),
        (BASE + "resources: {align: {gpu: 1.5}}", "resources.align.gpu = 1.5: .*a whole number of GPUs"),
        (BASE + "compare: {measures: [ensemble, ensemble]}", "compare.measures = ensemble: is given 2 times"),
    ],
)
def test_bad_input_is_one_clear_message(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        load(tmp_path, text)
    assert "s.yaml" in str(caught.value)


OTHER = "name: s\ntrain: {dataset: digits, width: 8, epochs: 2, KEY}\n"


@pytest.mark.parametrize(
    ("written", "said"),
    [  # in YAML 1.1 these are numbers
        ("depth: true", "train.depth = true: expected an integer above 0"),
        ("depth: 010", "train.depth = '010': expected an integer .* without a leading 0"),
        ("depth: 0x10", "train.depth = '0x10': expected an integer"),
        ("depth: 1_0", "train.depth = '1_0': expected an integer"),
        ("depth: 1:30", "train.depth = '1:30': expected an integer"),
        ("depth: [1:30, 2:00]", "train.depth = '2:00': expected an integer"),
        ("depth: '8'", "train.depth = '8': expected an integer .* quotes"),
        ("depth: 2026-11-26", "train.depth = '2026-11-26': expected an integer"),
        ("learning_rate: yes", "train.learning_rate = 'yes': expected a number above 0"),
        ("learning_rate: .inf", "train.learning_rate = inf: expected a number above 0; it must be finite"),
        ("learning_rate: 1e400", "train.learning_rate = inf: .* finite"),
        ("momentum: .nan", "train.momentum = nan: .* finite"),
        ("replicates: true", "train.replicates = true: expected an integer above 0 .* or a list"),
        ("init_seed: true", "train.init_seed = true: expected an integer from 0 or replicate"),
        ("init_seed: 010", "train.init_seed = '010': expected an integer from 0 or replicate"),
        ("half: true", "train.half = true: expected an integer from 0 up to 1 or replicate"),
        ("warmup: 010", "train.warmup = '010': expected a number of epochs"),
        ("checkpoints: {factor: .inf}", "train.checkpoints.factor = inf: .* finite"),
        ("epochs: 0o10", "the key 'epochs' appears twice in the mapping of line 2"),
        (
            "checkpoints: 3",
            "train.checkpoints = 3: expected {every: moment} or {first: .*a moment is a number of",
        ),
        ("checkpoints: {every: 0}", "train.checkpoints.every = 0: expected more than 0; '1st' is every step"),
        ("checkpoints: {every: 0st}", "train.checkpoints.every = '0st': expected more than 0"),
        ("replicates: [1, a]", r"train.replicates = \[1, 'a'\]: expected an integer"),
        ("examples: 5", r"train.examples = 5: expected \[integer, integer\]"),
    ],
)
def test_only_plain_numbers_are_numbers(tmp_path, written, said):
    with pytest.raises(UserError, match=said):
        load(tmp_path, OTHER.replace("KEY", written))


def _numeric():
    """Every key that takes a number, but not one that lies in a list or in one of several forms."""
    for path, key in keys().items():
        if key.numeric and not key.below and "checkpoints" not in path:
            yield path


@pytest.mark.parametrize("path", list(_numeric()))
@pytest.mark.parametrize("value", [True, "010", "1:30", float("inf"), float("nan"), None, {}])
def test_every_numeric_key_refuses_what_is_no_number(path, value):
    *sections, name = path.split(".")
    raw = {"name": "s", "train": {"dataset": "digits", "width": 8, "epochs": 2}, "prune": {"levels": 1}}
    section = raw
    for each in sections:
        section = section.setdefault(each, {})
    section[name] = value
    if value is None and keys()[path].optional:
        check("file", raw)
        return
    with pytest.raises(UserError) as caught:
        check("file", raw)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"file: {path}")
    assert "expected" in line
    assert not re.search(r"constrained|function-|literal\[|Input|instance", line)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "name: s\ntrian: {dataset: digits, width: 8, epochs: 2}\n",
            "unknown key trian: did you mean 'train'",
        ),
        ("name: s\n", "the section train is missing; it is a mapping with"),
        ("name: s\ntrain: 3\n", "train = 3: expected a mapping with at least dataset, width and epochs"),
        ("name: s\ntrain:\n", "train = null: expected a mapping with"),
        (OTHER.replace("KEY", "lr: 0.1"), "unknown key train.lr: did you mean 'learning_rate'"),
        (OTHER.replace("KEY", "wd: 0.1"), "unknown key train.wd: did you mean 'weight_decay'"),
        (OTHER.replace("KEY", "bs: 10"), "unknown key train.bs: did you mean 'batch_size'"),
        (OTHER.replace("KEY", "batchsize: 10"), "did you mean 'batch_size'"),
        (OTHER.replace("KEY", "optimizer: sgd"), "did you mean 'optimiser'"),
        (OTHER.replace("KEY", "seeds: 4"), "did you mean 'replicates'"),
        (OTHER.replace("KEY", "optimiser: adams"), "did you mean 'adam'"),
        (OTHER.replace("KEY", "device: gpu"), "train.device = 'gpu': did you mean 'cuda'"),
        (OTHER.replace("KEY", "kinds: [via]"), "unknown key train.kinds: did you mean 'compare.kinds'"),
        (BASE + "lr: 0.1", "unknown key lr: did you mean 'train.learning_rate'"),
        (BASE + "align: {methods: [weightmatching]}", "did you mean 'weight_matching'"),
        (BASE + "5: 3", "unknown key 5: "),
        (BASE + "compare: 3", "compare = 3: expected a section with keys among across, alphas"),
        (BASE + "compare:\n", "compare = null: expected a section with keys among"),
    ],
)
def test_the_key_that_may_be_meant_is_named(tmp_path, text, said):
    with pytest.raises(UserError, match=said) as caught:
        load(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 1


def test_off_and_whole_numbers_with_an_exponent_are_what_they_look_like(tmp_path):
    sweep = load(tmp_path, OTHER.replace("KEY", "compile: off, nesterov: yes"), "compare.train_examples=1e3")
    assert (sweep.trainings[0].compile, sweep.trainings[0].nesterov) == ("off", True)
    assert sweep.sections.compare.train_examples == 1000


def test_presets_can_be_overridden(tmp_path):
    text = "name: s\ntrain: {preset: paper_vgg16_cifar10, epochs: 2, width: [8, 16]}\n"
    sweep = load(tmp_path, text)
    first = sweep.trainings[0]
    assert (first.model, first.norm, first.epochs, first.width) == ("vgg16", "layer", 2, 8)
    assert [str(moment) for moment in first.milestones] == ["80ep", "120ep"]
    assert first.augment == "flip_crop"
    assert len(sweep.trainings) == 2
    other = load(tmp_path, text, "train.schedule=one_cycle").trainings[0]
    assert other.schedule == "one_cycle"
    assert other.milestones == ()


def test_a_resolved_file_means_the_same(tmp_path):
    text = "name: s\ntrain: {preset: paper_mlp_mnist, width: [8, 16], checkpoints: {every: 2}}\n"
    text += "prune: {levels: 3, rewind: 5ep, branches: [transport]}\n"
    sweep = load(tmp_path, text)
    again = check("resolved", yaml.safe_load(yaml.safe_dump(sweep.resolved)))
    assert again.trainings == sweep.trainings
    assert again.sections == sweep.sections


@pytest.mark.parametrize("models", ["[mlp, lenet]", "[vit, mlp]"])
def test_a_resolved_file_of_several_models_leaves_each_its_own_depth(tmp_path, models):
    text = f"name: s\ntrain: {{dataset: digits, model: {models}, width: 8, epochs: 2}}\n"
    sweep = load(tmp_path, text)
    assert check("resolved", yaml.safe_load(yaml.safe_dump(sweep.resolved))).trainings == sweep.trainings


def test_keys_that_are_lists_are_swept_by_lists_of_lists(tmp_path):
    text = "name: s\ntrain: {dataset: digits, width: 8, epochs: 9, schedule: milestones, "
    text += "milestones: [[2], [4, 6]]}"
    assert [len(t.milestones) for t in load(tmp_path, text).trainings] == [1, 2]


def test_a_worker_with_a_gpu_aligns_as_many_pairs_at_a_time_as_it_has_cpus():
    def at_once(device, cpu):
        align = {"cpu": cpu, "gpu": 0.5}
        sections = {"name": "s", "train": {"dataset": "digits", "width": 8, "epochs": 2}}
        more = {"align": {"device": device}, "resources": {"align": align}}
        return check("test", sections | more).sections.alignments_at_once

    assert [at_once("cuda", cpu) for cpu in (0.5, 1, 4)] == [1, 1, 4]
    assert at_once("cpu", 4) == 1
