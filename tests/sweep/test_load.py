import pytest
import yaml

from raysweep.errors import UserError
from raysweep.sweep.load import check, load_sweep

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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BASE.replace("width", "widht"), r"unknown key train.widht: did you mean 'width'\?"),
        (BASE + "align: {methods: [magic]}", "align.methods.0 = 'magic'"),
        (BASE.replace("[8, 16]", "[8, 0]"), "train.width = 0: .*greater than 0"),
        (BASE.replace("digits", "digit"), "train.dataset = 'digit': valid choices: digits, mnist"),
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
        (BASE.replace("epochs: 2", "epochs: 2, model: mpl"), "train.model = 'mpl': valid choices: .*mlp"),
        (
            BASE.replace("epochs: 2", "epochs: 2, model: vgg11, depth: 2"),
            "train.depth: vgg11 has no such setting",
        ),
        (BASE + "prune: {levels: 2, level: 3}", "unknown key prune.level: did you mean 'levels'"),
        (BASE + "prune: {levels: 2, transport: {partner: all}}", "did you mean 'partners'"),
        (BASE + "compare: {alphas: 10}", "compare.alphas = 10: must be odd"),
        (BASE + "align: {device: cuda}", "align.device = cuda: requires .* set resources.align.gpu"),
        (BASE + "compare: {device: cuda}", "compare.device = cuda: requires .* set resources.align.gpu"),
        ("a: [", "is not YAML"),
        ("just text", "a sweep file is a mapping"),
        (BASE + "name: again\n", "'name' appears twice"),
        (BASE.replace("name: s", "name: ../s"), "name = '../s'"),
    ],
)
def test_bad_input_is_one_clear_message(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        load(tmp_path, text)
    assert "s.yaml" in str(caught.value)


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
