"""A root on a disk that fills up, or that can no longer be written: a small one, mounted for one process."""

import contextlib
import subprocess
import time
from pathlib import Path

import pytest

from tests.test_run import PROJECT, command, same, tables

pytestmark = pytest.mark.slow


class Disk:
    """A small file system at `mount` that only commands started by it see; `path` is it from outside."""

    def __init__(self, mount, megabytes):
        mount.mkdir()
        self.mount = mount
        script = f"mount -t tmpfs -o size={megabytes}m none {mount} && echo mounted && exec sleep 3600"
        self._holder = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout.readline() == "mounted\n"
        self.path = Path(f"/proc/{self._holder.pid}/root{mount}")

    def start(self, *words):
        inside = ["nsenter", f"--target={self._holder.pid}", "--user", "--mount", "--preserve-credentials"]
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen([*inside, *words], cwd=PROJECT, text=True, **pipe)

    def fill(self):
        words = ["dd", "if=/dev/zero", f"of={self.mount}/filler", "bs=4096"]
        assert "No space left" in self.start(*words).communicate()[0]

    def close(self):
        self._holder.kill()
        self._holder.wait()


def run(disk, sweep, code):
    process = disk.start(*command("run", sweep, "--root", disk.mount))
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    return output.splitlines()[-1]


def test_a_disk_that_is_too_small_fills_up_and_cannot_be_written(tiny, undisturbed, tmp_path):
    """One clear error each; when there is room the same command goes on, and nothing is trained twice."""
    with contextlib.closing(Disk(tmp_path / "disk", 64)) as disk:
        disk.fill()
        filler = disk.path / "filler"
        with filler.open("r+b") as file:
            file.truncate(file.seek(0, 2) - 65536)
        assert "are free" in run(disk, tiny, 2)
        assert not list(disk.path.glob("trials/*"))

        filler.unlink()
        driver = disk.start(*command("run", tiny, "--root", disk.mount))
        while not list(disk.path.glob("trials/*/level_000/done")):
            assert driver.poll() is None
            time.sleep(0.01)
        disk.fill()
        output, _ = driver.communicate(timeout=300)
        assert driver.returncode == 1, output
        last = output.splitlines()[-1]
        assert last.startswith("error: [Errno 28] No space left on device"), output
        assert "goes on" in last
        stamps = {path: path.stat().st_mtime_ns for path in disk.path.glob("trials/*/level_*/done")}
        assert stamps
        assert "cannot be written: No space left on device" in run(disk, tiny, 2)

        filler.unlink()
        assert not disk.start("mount", "-o", "remount,ro", str(disk.mount)).wait()
        assert "cannot be written: Read-only file system" in run(disk, tiny, 2)
        assert not disk.start("mount", "-o", "remount,rw", str(disk.mount)).wait()
        run(disk, tiny, 0)
        assert same(tables(disk.path), tables(undisturbed))
        assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
        assert not list(disk.path.glob("tmp/*"))
