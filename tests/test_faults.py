"""Processes that are killed at random moments of whole runs."""

import collections
import os
import random
import signal
import subprocess
import time

import pytest
import yaml

from tests.test_run import PROJECT, TINY, command, raysweep, same, tables

KILLS = {"training actor": 8, "align actor": 9, "driver": 3}
VICTIMS = {  # what their processes are called
    "training actor": "ray::ResourceTrainable",
    "align actor": "ray::TileWorker",
    "driver": "",
}


@pytest.fixture
def longer(tmp_path):
    """A sweep that is long enough to be disturbed, with a resume point at every look at the clock."""
    path = tmp_path / "tiny.yaml"
    train = {**TINY["train"], "width": [16, 24], "epochs": 80, "replicates": 4}
    resources, compare = {"resume_seconds": 0, "tile": 2}, {"alphas": 401, "subdivisions": 36}
    path.write_text(yaml.safe_dump({**TINY, "train": train, "resources": resources, "compare": compare}))
    return path


def below(pid):
    """The processes that a process has started, and theirs."""
    rows = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    children = collections.defaultdict(list)
    for row in rows.stdout.splitlines():
        child, parent, arguments = row.split(maxsplit=2)
        children[int(parent)].append((int(child), arguments))
    found, left = {}, [pid]
    while left:
        for child, arguments in children[left.pop()]:
            found[child] = arguments
            left.append(child)
    return found


def victims(driver, kind):
    if kind == "driver":
        return [driver.pid]
    return [pid for pid, arguments in below(driver.pid).items() if arguments.startswith(VICTIMS[kind])]


def disturbed(sweep, root, chance, left):
    """Run a sweep over and over, killing whom `left` still counts at random moments, until it ends well."""
    stamps, driver = {}, None
    while driver is None or driver.returncode != 0:
        driver = subprocess.Popen(
            command("run", sweep, "--root", root), cwd=PROJECT, stdout=subprocess.DEVNULL
        )
        while driver.poll() is None and left.total():
            time.sleep(chance.uniform(0.2, 1.5))
            (kind,) = chance.choices(list(left), list(left.values()))
            found = victims(driver, kind) if list(root.glob("trials/*")) else []
            if found and driver.poll() is None:
                os.kill(chance.choice(found), signal.SIGKILL)
                left[kind] -= 1
            stamps = {path: path.stat().st_mtime_ns for path in root.glob("trials/*/level_*/done")} | stamps
        assert driver.wait(300) in (0, 1, -signal.SIGKILL)
    raysweep("run", sweep, "--root", root)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items()), "a level trained again"
    assert not list(root.glob("tmp/*"))
    assert not [path for path in root.glob("trials/*/*") if path.name in ("resume", "starts")]


def test_twenty_kills_at_random_moments(longer, tmp_path):
    """The tables are those of an undisturbed run; no finished level is trained again; nothing is left."""
    chance, left, roots = random.Random(0), collections.Counter(KILLS), []
    while left.total():  # a fast machine may finish the sweep before: then once more, elsewhere
        roots.append(tmp_path / f"killed{len(roots)}")
        disturbed(longer, roots[-1], chance, left)
    raysweep("run", longer, "--root", tmp_path / "calm")
    expected = tables(tmp_path / "calm")
    assert all(same(tables(root), expected) for root in roots)
