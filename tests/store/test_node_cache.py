"""A node's cache gives back what was put, and never more bytes than it may."""

import hashlib
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from raysweep.store.files import Files
from raysweep.store.node_cache import NodeCache
from raysweep.store.records import LevelRecord
from raysweep.store.trials import TrialStore


def name(content):
    return hashlib.sha256(content).hexdigest()


def bytes_in(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def test_keeps_what_was_used_last_within_its_bytes(tmp_path):
    cache = NodeCache(tmp_path / "cache", 250)
    contents = [bytes([index]) * 100 for index in range(3)]
    for age, content in enumerate(contents[:2]):
        cache.put(name(content), content)
        os.utime(tmp_path / "cache" / name(content), (age, age))
    assert cache.get(name(contents[0])) == contents[0]  # the older one is used again
    cache.put(name(contents[2]), contents[2])
    assert cache.get(name(contents[1])) is None
    assert [cache.get(name(contents[index])) for index in (0, 2)] == [contents[0], contents[2]]
    cache.put(name(b"x" * 251), b"x" * 251)
    assert bytes_in(tmp_path / "cache") == 200


def test_the_folder_is_not_listed_at_every_put(tmp_path, monkeypatch):
    listed, iterdir = [], Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: listed.append(path) or iterdir(path))
    cache = NodeCache(tmp_path, 100_000)
    for index in range(1000):
        content = index.to_bytes(2, "big") * 100
        cache.put(name(content), content)
    monkeypatch.undo()
    assert len(listed) <= 1000 * 200 / 100_000 * 128 + 1
    assert 80_000 < bytes_in(tmp_path) <= 100_000


def test_a_flipped_bit_is_not_given_back(tmp_path):
    cache = NodeCache(tmp_path, 1000)
    cache.put(name(b"content"), b"content")
    (tmp_path / name(b"content")).write_bytes(b"contemt")
    assert cache.get(name(b"content")) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    cache = NodeCache(tmp_path / "file" / "cache", 1000)
    cache.put(name(b"content"), b"content")
    assert cache.get(name(b"content")) is None


def _fill(folder, first):
    cache = NodeCache(folder, 2000)
    for index in range(first, first + 40):
        content = index.to_bytes(2, "big") * 50
        cache.put(name(content), content)
        assert cache.get(name(content)) in (content, None)


def test_processes_share_a_folder(tmp_path):
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_fill, [tmp_path / "cache"] * 2, [0, 20]))
    assert bytes_in(tmp_path / "cache") <= 2000
    assert not list((tmp_path / "cache").glob("*.tmp"))


def test_a_checkpoint_is_read_from_the_root_once_a_node(tmp_path):
    root, folder = tmp_path / "root", tmp_path / "cache"
    writer, state = TrialStore(Files(str(root))), {"weight": torch.arange(6.0)}
    record = LevelRecord(3, checkpoints={3: writer.write_checkpoint("t", 0, 3, state)})
    writer.commit("t", 0, record)
    TrialStore(Files(str(root)), NodeCache(folder, 10_000)).read_checkpoint("t", 0, 3)
    (stored,) = root.rglob("step_*.safetensors")
    stored.unlink()
    again = TrialStore(Files(str(root)), NodeCache(folder, 10_000)).read_checkpoint("t", 0, 3)
    assert torch.equal(again["weight"], state["weight"])
