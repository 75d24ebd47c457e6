"""Small datasets in the formats of the official files, with known contents."""

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
from scipy.io import savemat


def examples(count, classes, shape, seed=0):
    """Random images (count, *shape) as bytes, and labels 0, 1, 2, ... as bytes."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
    return images, (np.arange(count) % classes).astype(np.uint8)


def write_idx(path: Path, array):
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(folder: Path, suffix=".gz", counts=(20, 5)):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (stem, count) in enumerate(zip(("train", "t10k"), counts, strict=True)):
        images, labels = examples(count, 10, (28, 28), seed)
        write_idx(folder / f"{stem}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{stem}-labels-idx1-ubyte{suffix}", labels)


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its strings, as in the official files of CIFAR."""

    def save_string(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | {bytes: save_string}


def python2_pickle(path: Path, value):
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(value)
    content = path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    path.write_bytes(content)


def python3_pickle(path: Path, value):
    path.write_bytes(pickle.dumps(value, protocol=2))


def cifar_batch(seed, dataset="cifar10", count=4):
    """A batch with the entries of the official ones, and the images and labels in it."""
    classes = 10 if dataset == "cifar10" else 100
    images, _ = examples(count, classes, (3, 32, 32), seed)
    labels = [(37 * seed + 11 * number) % classes for number in range(count)]
    names = [b"image_%d.png" % number for number in range(count)]
    batch = {b"data": images.reshape(count, 3072), b"batch_label": b"batch", b"filenames": names}
    if dataset == "cifar10":
        batch[b"labels"] = labels
    else:
        batch |= {b"fine_labels": labels, b"coarse_labels": [label // 5 for label in labels]}
    return batch, images, np.array(labels)


CIFAR_FILES = {
    "cifar10": (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"),
    "cifar100": ("train", "test"),
}


def write_cifar_python(folder: Path, dataset, write=python2_pickle):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(CIFAR_FILES[dataset]):
        write(folder / name, cifar_batch(seed, dataset)[0])


def write_cifar_binary(folder: Path, dataset):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(CIFAR_FILES[dataset]):
        batch, images, labels = cifar_batch(seed, dataset)
        columns = [batch[b"coarse_labels"]] if dataset == "cifar100" else []
        records = np.column_stack([*columns, labels, images.reshape(len(labels), -1)]).astype(np.uint8)
        (folder / f"{name}.bin").write_bytes(records.tobytes())


def write_svhn(folder: Path, counts=(20, 5)):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate(zip(("train", "test"), counts, strict=True)):
        images, labels = examples(count, 10, (32, 32, 3), seed)
        y = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        savemat(folder / f"{split}_32x32.mat", {"X": images.transpose(1, 2, 3, 0), "y": y})


def write_pictures(folder: Path, sizes=((8, 6),), classes=10, counts=(2, 1), test="test"):
    """PNG files in folders by class; image n of a class has the n-th of these sizes (height, width)."""
    from PIL import Image

    for split, count in zip(("train", test), counts, strict=True):
        for label in range(classes):
            below = folder / split / f"class{label}"
            below.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels, _ = examples(1, classes, (*sizes[number % len(sizes)], 3), 10 * label + number)
                Image.fromarray(pixels[0]).save(below / f"{number}.png")
