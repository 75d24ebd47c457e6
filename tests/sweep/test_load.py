import pytest

from raysweep.errors import UserError
from raysweep.sweep.load import load_sweep

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
        (BASE.replace("digits", "digit"), "train.dataset = 'digit': valid choices: digits, fashion_mnist"),
        (BASE + "compare: {alphas: 10}", "compare.alphas = 10: must be odd"),
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
