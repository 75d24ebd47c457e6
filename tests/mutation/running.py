"""Runs tests on a copy of the repository, in forks of a process that has imported the libraries once."""

import importlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import hypothesis
import pytest

SLOW = 2.0  # seconds of CPU time; a test that takes longer without a mutant is left out
PATIENCE = 5  # times as long as without a mutant, and `GRACE` seconds more, may the tests take on a mutant
GRACE = 20.0
OURS = ("raysweep", "analysis", "tests")  # packages that each fork imports anew, from the copy


class _Watch:
    """A plugin of pytest: runs the `chosen` tests alone, the quickest first, or measures all of them.

    `calls` holds, by test, where the functions of `file` begin that it calls; those that are called outside
    of tests (by an import or a fixture) are in `always`. `seconds` are of CPU time.
    """

    def __init__(self, file: str, chosen: Sequence[str] | None) -> None:
        self._file, self._chosen = file, chosen
        self.seconds, self.calls, self.always = dict[str, float](), dict[str, set[int]](), set[int]()
        self._called = self.always

    @property
    def measures(self) -> bool:
        return self._chosen is None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._chosen is not None:
            by_name = {item.nodeid: item for item in items}
            items[:] = [by_name[name] for name in self._chosen if name in by_name]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        start, self._called = time.process_time(), self.calls.setdefault(item.nodeid, set())
        try:
            return (yield)
        finally:
            self._called = self.always
            self.seconds[item.nodeid] = time.process_time() - start

    def trace(self, frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code.co_filename == self._file:
            self._called.add(frame.f_code.co_firstlineno)


@dataclass(frozen=True)
class Measured:
    """The functions that the tests of a module call, and their time, without a mutant and without slow tests.

    `calls` and `always` are those of `_Watch`; the order of the tests in `calls` begins with the quickest.
    """

    calls: Mapping[str, frozenset[int]]
    always: frozenset[int]
    seconds: float  # of all of them, on the clock

    def reaching(self, function: int | None) -> list[str]:
        """Return the tests that call the function that begins at a line, or all (None: no function)."""
        everywhere = function is None or function in self.always
        return [name for name, called in self.calls.items() if everywhere or function in called]


class Copy:
    """A copy of a repository in `folder`, and the tests that run on one of its modules."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.root = folder / "repository"
        shutil.copytree(
            repository, self.root, ignore=shutil.ignore_patterns(".*", "__pycache__", "runs", "shared")
        )
        self._report = folder / "report.json"
        self._writes = 0

    def measure(self, module: str, tests: Sequence[str]) -> Measured:
        """Run the test files of a module as it is. Raises `SystemExit` where one fails.

        What the tests import is imported here too, for all later forks.
        """
        self._report.unlink(missing_ok=True)
        start = time.monotonic()
        if self._fork(module, tests, None, timeout=1200) != 0:
            raise SystemExit(f"the tests fail without a mutant: {' '.join(tests)}")
        found = json.loads(self._report.read_text())
        for name in found["modules"]:
            try:
                importlib.import_module(name)
            except Exception:  # a module that can only be imported by another one
                continue
        quick = sorted((seconds, name) for name, seconds in found["seconds"].items() if seconds <= SLOW)
        calls = {name: frozenset(found["calls"][name]) for _, name in quick}
        return Measured(calls, frozenset(found["always"]), time.monotonic() - start)

    def outcome(self, module: str, source: str, tests: Sequence[str], seconds: float) -> str:
        """Return `killed`, `timed out` or `survived` for a module with another source, by these tests."""
        path = self.root / module
        original = path.read_text()
        self._write(path, source)
        try:
            files = list(dict.fromkeys(name.split("::")[0] for name in tests))
            code = self._fork(module, files, tests, PATIENCE * seconds + GRACE) if tests else 0
        finally:
            self._write(path, original)
        return "timed out" if code is None else "killed" if code else "survived"

    def _write(self, path: Path, source: str) -> None:
        """Write a file with a time of its own, so that Python compiles it again."""
        path.write_text(source)
        self._writes += 1
        os.utime(path, (self._writes, self._writes))

    def _fork(
        self, module: str, files: Sequence[str], chosen: Sequence[str] | None, timeout: float
    ) -> int | None:
        """Return the exit code of pytest in a fork, or None where it ran past the timeout."""
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            code = 3
            try:
                code = self._run(_Watch(str(self.root / module), chosen), files)
            finally:
                os._exit(code)
        deadline = time.monotonic() + timeout
        try:
            while time.monotonic() < deadline:
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    return os.waitstatus_to_exitcode(status)
                time.sleep(0.02)
        finally:
            with suppress(ProcessLookupError):  # also what the tests have started and left behind
                os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None

    def _run(self, watch: _Watch, files: Sequence[str]) -> int:
        os.chdir(self.root)
        sys.dont_write_bytecode = False  # the next fork reads what this one has compiled
        sys.path.insert(0, str(self.root))
        os.environ["PYTHONPATH"] = str(self.root)  # of processes that tests start
        silent = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
        sys.stdout = sys.stderr = silent
        for stream in (1, 2):
            os.dup2(silent.fileno(), stream)
        for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
            del sys.modules[name]
        hypothesis.settings.register_profile(
            "mutants",
            derandomize=True,
            database=None,
            deadline=None,  # a busy machine is no failure
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],  # no search for a smaller failure
        )
        hypothesis.settings.load_profile("mutants")
        if watch.measures:
            sys.settrace(watch.trace)
        code = pytest.main(["-x", "-q", "-o", "addopts=", "-p", "no:cacheprovider", *files], plugins=[watch])
        if watch.measures:
            sys.settrace(None)
            theirs = [
                name for name in sys.modules if name.split(".")[0] not in (*OURS, "__main__", "conftest")
            ]
            found = {
                "seconds": watch.seconds,
                "calls": watch.calls,
                "always": watch.always,
                "modules": theirs,
            }
            self._report.write_text(json.dumps(found, default=sorted))
        return int(code)
