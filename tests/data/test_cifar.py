import numpy as np
import pytest

from raysweep.data import DataConfig, dataset_digest, load_arrays
from raysweep.data.cifar import VERSIONS
from raysweep.errors import UserError
from tests.data.formats import (
    CIFAR_FILES,
    cifar_batch,
    python2_pickle,
    python3_pickle,
    write_cifar_binary,
    write_cifar_python,
)

DATASETS = ("cifar10", "cifar100")
PYTHON = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
BINARY = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}


def load(dataset, folder):
    return load_arrays(DataConfig(dataset), str(folder))


def assert_holds_the_batches(arrays, dataset):
    batches = [cifar_batch(seed, dataset)[1:] for seed in range(len(CIFAR_FILES[dataset]))]
    assert np.array_equal(arrays.train_images, np.concatenate([images for images, _ in batches[:-1]]))
    assert np.array_equal(arrays.train_labels, np.concatenate([labels for _, labels in batches[:-1]]))
    assert np.array_equal(arrays.test_images, batches[-1][0])
    assert np.array_equal(arrays.test_labels, batches[-1][1])


@pytest.mark.parametrize("write", [python2_pickle, python3_pickle])
@pytest.mark.parametrize("dataset", DATASETS)
def test_reads_the_python_version(dataset, write, tmp_path):
    write_cifar_python(tmp_path / PYTHON[dataset], dataset, write)
    assert_holds_the_batches(load(dataset, tmp_path), dataset)
    assert_holds_the_batches(load(dataset, tmp_path / PYTHON[dataset]), dataset)


@pytest.mark.parametrize("dataset", DATASETS)
def test_reads_the_binary_version(dataset, tmp_path):
    write_cifar_binary(tmp_path / BINARY[dataset], dataset)
    assert_holds_the_batches(load(dataset, tmp_path), dataset)
    assert_holds_the_batches(load(dataset, tmp_path / BINARY[dataset]), dataset)


def test_both_versions_have_one_digest(tmp_path):
    write_cifar_python(tmp_path / "one", "cifar10")
    write_cifar_binary(tmp_path / "other", "cifar10")
    digests = {dataset_digest(load("cifar10", tmp_path / name)) for name in ("one", "other")}
    assert len(digests) == 1


@pytest.mark.parametrize(("dataset", "theirs"), [("cifar10", "CIFAR10"), ("cifar100", "CIFAR100")])
def test_folder_and_files_are_those_of_torchvision(dataset, theirs):
    from torchvision import datasets  # takes seconds, which other tests are spared

    theirs = getattr(datasets, theirs)
    layout = VERSIONS[dataset].python
    assert layout.folder == theirs.base_folder
    assert layout.files == tuple(name for name, _ in (*theirs.train_list, *theirs.test_list))


@pytest.mark.parametrize("dataset", DATASETS)
def test_missing_files_say_how_to_get_them(dataset, tmp_path):
    with pytest.raises(UserError, match=rf"{PYTHON[dataset]}, .*{BINARY[dataset]}.*train\.download=true"):
        load(dataset, tmp_path)


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_truncated_binary_file_is_named(dataset, tmp_path):
    write_cifar_binary(tmp_path, dataset)
    name = f"{CIFAR_FILES[dataset][0]}.bin"
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(UserError, match=rf"{name} is truncated: expected a multiple of 307[34] bytes"):
        load(dataset, tmp_path)


def test_an_empty_binary_file_is_named(tmp_path):
    write_cifar_binary(tmp_path, "cifar10")
    (tmp_path / "data_batch_3.bin").write_bytes(b"")
    with pytest.raises(UserError, match=r"data_batch_3\.bin: expected images of shape \(1 or more, 3"):
        load("cifar10", tmp_path)


def test_labels_out_of_range_are_named(tmp_path):
    write_cifar_binary(tmp_path, "cifar10")
    (tmp_path / "test_batch.bin").write_bytes(bytes([10]) + bytes(3072))
    with pytest.raises(UserError, match=r"test_batch\.bin: expected labels from 0 to 9, found 10 to 10"):
        load("cifar10", tmp_path)
