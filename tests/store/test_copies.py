"""Copies of a folder of object storage; here its objects lie in a directory, as if that were a bucket."""

import tracemalloc

from raysweep.store.copies import as_directory
from raysweep.store.files import Files

SIZE, COUNT = 10**6, 12


class Bucket(Files):
    """Objects that commands cannot reach by a path."""

    def __init__(self, root):
        super().__init__(root)
        self.directory, self.written = None, []

    def put(self, name, content):
        self.written.append(name)
        super().put(name, content)


def test_a_copy_does_not_fill_the_memory_and_what_changes_is_uploaded(tmp_path):
    files = Bucket(str(tmp_path))
    for number in range(COUNT):
        files.put(f"sweeps/s/{number}", bytes([number]) * SIZE)
    files.written.clear()
    tracemalloc.start()
    try:
        with as_directory(files, "sweeps/s") as folder:
            held, _ = tracemalloc.get_traced_memory()
            assert [(folder / str(number)).read_bytes()[:1] for number in range(3)] == [b"\0", b"\1", b"\2"]
            (folder / "1").write_bytes(b"changed")
            (folder / "2").unlink()
            (folder / "figures").mkdir()
            (folder / "figures" / "new.png").write_bytes(b"drawn")
    finally:
        tracemalloc.stop()
    assert held < COUNT * SIZE / 4
    assert files.written == ["sweeps/s/1", "sweeps/s/figures/new.png"]
    assert files.get("sweeps/s/1") == b"changed"
    assert not files.exists("sweeps/s/2")
