import _codecs
import os
import pickle

import numpy as np
import pytest

from raysweep.data.cifar_pickle import read_batch
from raysweep.errors import UserError
from tests.data.formats import cifar_batch, python2_pickle, python3_pickle


@pytest.mark.parametrize("write", [python2_pickle, python3_pickle])
@pytest.mark.parametrize("order", ["C", "F"])
def test_reads_what_numpy_wrote(write, order, tmp_path):
    batch, images, labels = cifar_batch(seed=1)
    batch[b"data"] = np.asarray(batch[b"data"], order=order)
    write(tmp_path / "batch", batch)
    found_images, found_labels = read_batch(tmp_path / "batch", b"labels")
    assert np.array_equal(found_images, images.reshape(-1, 3072))
    assert np.array_equal(found_labels, labels)


def test_the_python_2_writer_matches_the_official_files(tmp_path):
    python2_pickle(tmp_path / "batch", cifar_batch(seed=1)[0])
    content = (tmp_path / "batch").read_bytes()
    assert b"cnumpy.core.multiarray\n_reconstruct\n" in content
    assert b"_codecs" not in content
    official = pickle.loads(content, encoding="bytes")  # the call on the web page of the dataset
    assert official[b"data"].shape == (4, 3072)


def refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_batch(path, b"labels")
    assert str(path) in str(error.value)


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(("function", "code"), [(os.system, "touch {}"), (eval, "open({!r}, 'w').close()")])
def test_a_pickle_that_runs_code_is_refused(function, code, tmp_path):
    trace = tmp_path / "trace"
    batch = cifar_batch(seed=1)[0] | {b"extra": Call(function, code.format(str(trace)))}
    content = pickle.dumps(batch, protocol=2)
    refused(tmp_path / "batch", content, r"\.(system|eval) is not allowed here")
    assert not trace.exists()
    pickle.loads(content)
    assert trace.exists()  # so it was a real attack


@pytest.mark.parametrize("dtype", [object, np.float32, np.int64])
def test_arrays_of_other_types_are_refused(dtype, tmp_path):
    batch = cifar_batch(seed=1)[0]
    batch[b"data"] = batch[b"data"].astype(dtype)
    refused(tmp_path / "batch", pickle.dumps(batch, protocol=2), "are not images")


def test_other_encodings_are_refused(tmp_path):
    batch = {b"data": Call(_codecs.encode, "a", "rot13")}
    refused(tmp_path / "batch", pickle.dumps(batch, protocol=2), "bytes encoded as b?'rot13'")


@pytest.mark.parametrize("length", [0, 1, 20, 100, 5000, -1])
def test_truncated_pickles_are_named(length, tmp_path):
    content = pickle.dumps(cifar_batch(seed=1)[0], protocol=2)
    refused(tmp_path / "batch", content[:length], "is not a batch of CIFAR")


def test_an_array_shorter_than_its_shape_is_named(tmp_path):
    content = pickle.dumps(cifar_batch(seed=1)[0], protocol=2)
    shape = b"M\x00\x0c"  # 3072, as two bytes
    assert content.count(shape) == 1
    refused(tmp_path / "batch", content.replace(shape, b"M\x01\x0c"), "cannot reshape")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {b"data": np.zeros((4, 3071), np.uint8)},
            r"expected data of shape \(examples, 3072\), found \(4, 3071",
        ),
        ({b"data": [1, 2]}, "expected data of shape .* found list"),
        ({b"labels": [0, 1, 2, "3"]}, "expected a list of integers as labels"),
        ({b"labels": 3}, "expected a list of integers as labels"),
        ({b"labels": [0, 1, 2, 2**70]}, "a label is too large"),
    ],
)
def test_wrong_entries_are_named(entries, message, tmp_path):
    batch = cifar_batch(seed=1)[0] | entries
    refused(tmp_path / "batch", pickle.dumps(batch, protocol=2), message)


@pytest.mark.parametrize("value", [[1, 2], {b"data": 1}, {"labels": [1]}])
def test_something_else_than_a_batch_is_named(value, tmp_path):
    refused(
        tmp_path / "batch",
        pickle.dumps(value, protocol=2),
        "expected a dictionary with b'data' and b'labels'",
    )


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_batch(tmp_path, b"labels")
