import os
import threading

import numpy as np
import pytest
from PIL import Image

from raysweep.data import DataConfig, files, load_arrays
from raysweep.data.load import _load_whole, files_of
from raysweep.errors import MissingFiles, UserError
from tests.data.formats import write_pictures

TWO_SIZES = ((8, 6), (6, 8))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of the arrays that are kept; each load is like that of a new process."""
    monkeypatch.setattr(files, "DEFAULT_ROOT", tmp_path / "cache")
    yield tmp_path / "cache" / "folders"
    _load_whole.cache_clear()


def load(root, options="{}", **config):
    _load_whole.cache_clear()
    return load_arrays(DataConfig("folder:pictures", options=options, **config), str(root))


@pytest.mark.parametrize("test", ["test", "val"])
def test_images_are_read_by_class_and_name(tmp_path, test):
    write_pictures(tmp_path / "pictures", classes=3, test=test)
    arrays = load(tmp_path)
    assert arrays.train_labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert arrays.test_labels.tolist() == [0, 1, 2]
    with Image.open(tmp_path / "pictures" / "train" / "class1" / "1.png") as image:
        assert np.array_equal(arrays.train_images[3], np.asarray(image).transpose(2, 0, 1))
    assert len(files_of(DataConfig("folder:pictures"), str(tmp_path))) == 9


@pytest.mark.parametrize(
    ("options", "shape"), [('{"size":4}', (3, 4, 4)), ('{"channels":1,"size":[4,5]}', (1, 4, 5))]
)
def test_images_of_several_sizes_are_resized(tmp_path, options, shape):
    write_pictures(tmp_path / "pictures", TWO_SIZES)
    assert load(tmp_path, options).shape == shape


def test_arrays_are_kept_until_an_image_changes(tmp_path, cache):
    write_pictures(tmp_path / "pictures")
    first = load(tmp_path)
    (kept,) = cache.glob("*.npz")
    made = kept.stat().st_mtime_ns
    assert np.array_equal(load(tmp_path).train_images, first.train_images)
    assert kept.stat().st_mtime_ns == made
    picture = tmp_path / "pictures" / "train" / "class0" / "0.png"
    Image.new("RGB", (6, 8)).save(picture)
    os.utime(picture, ns=(1, 1))
    assert not load(tmp_path).train_images[0].any()
    assert len(list(cache.glob("*.npz"))) == 2


def test_a_damaged_array_is_made_again(tmp_path, cache):
    write_pictures(tmp_path / "pictures")
    first = load(tmp_path)
    (kept,) = cache.glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    assert np.array_equal(load(tmp_path).train_images, first.train_images)


def test_processes_that_begin_together_keep_one_array(tmp_path, cache):
    write_pictures(tmp_path / "pictures")
    threads = [threading.Thread(target=load, args=(tmp_path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.suffix for path in cache.iterdir() if path.name != ".download"] == [".npz"]


def spoilt(path):
    (path / "train" / "class0" / "0.png").write_bytes(b"none")


def deep(path):
    pixels = np.array([[0, 300], [40000, 65535]], np.uint16)
    Image.fromarray(pixels).save(path / "train" / "class0" / "0.png")


def more(path):
    (path / "test" / "unknown").mkdir()


def empty(path):
    (path / "train" / "zebra").mkdir()


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (
            lambda path: None,
            "{}",
            r"several shapes, such as \(3, 6, 8\) and \(3, 8, 6\); give train.dataset_options.size$",
        ),
        (lambda path: None, '{"size":0}', r"train.dataset_options.size = 0: .* takes a number of pixels"),
        (
            lambda path: None,
            '{"channels":2}',
            r"train.dataset_options.channels = 2: .* takes 1 \(grey\) or 3",
        ),
        (lambda path: None, '{"sizes":2}', "train.dataset_options.sizes: .* did you mean 'size'"),
        (spoilt, '{"size":4}', "0.png cannot be read as an image"),
        (deep, '{"size":4}', "0.png cannot be read as an image: it has more than eight bits a channel"),
        (more, '{"size":4}', "has the class 'unknown', which train lacks"),
        (empty, '{"size":4}', "train/zebra has no images"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, change, options, said):
    write_pictures(tmp_path / "pictures", TWO_SIZES)
    change(tmp_path / "pictures")
    with pytest.raises(UserError, match=said):
        load(tmp_path, options)


def test_grey_images_beside_coloured_ones_require_channels_alone(tmp_path):
    write_pictures(tmp_path / "pictures")
    with Image.open(tmp_path / "pictures" / "train" / "class0" / "0.png") as image:
        grey = image.convert("L")
    grey.save(tmp_path / "pictures" / "train" / "class0" / "0.png")
    with pytest.raises(UserError, match=r"\(1, .* and \(3, .*; give train.dataset_options.channels$"):
        load(tmp_path)
    assert load(tmp_path, '{"channels":3}').shape[0] == 3
    grey.resize((3, 3)).save(tmp_path / "pictures" / "train" / "class0" / "0.png")
    with pytest.raises(UserError, match=r"; give train.dataset_options.size and channels$"):
        load(tmp_path)


def test_hidden_folders_are_no_classes(tmp_path):
    write_pictures(tmp_path / "pictures", TWO_SIZES)
    expected = load(tmp_path, '{"size":4}')
    for split in ("train", "test"):
        (tmp_path / "pictures" / split / ".ipynb_checkpoints").mkdir()
    assert load(tmp_path, '{"size":4}').classes == expected.classes


def test_missing_folders_are_missing_files(tmp_path):
    with pytest.raises(MissingFiles, match=r"pictures has no folders train and test \(or val\)"):
        load(tmp_path)
