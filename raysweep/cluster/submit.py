"""`raysweep submit`: runs a sweep as a job on a cluster, with the code that is installed here."""

import asyncio
import json
import os
import shlex
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from raysweep.cluster.tokens import TOKENS
from raysweep.errors import UserError
from raysweep.interruption import stops
from raysweep.plan.import_files import files_of_name, with_shards
from raysweep.registry import OwnFunction
from raysweep.sweep.load import Sweep
from raysweep.version import CHECKOUTS, checkouts

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

FOLDER = "sweeps"  # the folder of the sweep file in the job's directory
SHIPPED = ("raysweep", "analysis")
FORGOTTEN = "Job {job} does not exist"  # what a head node says of a job that it does not know
AWAY = 600.0  # seconds without an answer after which a job is no longer followed
LONGEST_WAIT = 30.0  # seconds between two attempts to connect again
PATIENCE = 60  # seconds within which a cluster must accept a job
STOPPING = 20  # seconds that a stopped job has to end; Ray would kill it after 3
INSTALLED = {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")}
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")
KEPT = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "MLFLOW_TRACKING_URI")


def submit(
    path: str, sweep: Sweep, root: str, overrides: list[str] | None, address: str, show: Callable[[str], None]
) -> int:
    """Send the project and the sweep file to a cluster, follow the job's log, and return its exit code.

    The job runs `raysweep run`. SIGTERM and SIGUSR1 end the job, as they end a run; Ctrl-C and SIGHUP leave
    it running. Credentials are never sent: those for storage and tracking, and the cluster's token, must be
    present on the cluster. Raises `UserError` for a root that the job could not find, and for an address that
    does not answer or that refuses the token.
    """
    if "://" not in root and not Path(root).is_absolute():
        raise UserError(
            f"--root {root}: the job runs on another machine; give s3://, gs:// or the absolute path of a "
            "directory that all nodes share"
        )
    given = {key: os.environ[key] for key in KEPT if key in os.environ}
    for name in sorted(key for key, value in given.items() if urlparse(value).username is not None):
        show(f"{name} holds credentials and is not sent; the job uses that of the cluster, if it is set\n")
        del given[name]
    with tempfile.TemporaryDirectory(prefix="raysweep-submit-") as staged:
        _stage(Path(staged), path, sweep)
        client = _connect(address)
        job = _send(
            client,
            entrypoint=_entrypoint(path, root, overrides),
            runtime_env={"working_dir": staged, "env_vars": given | _settings()},
            metadata={"sweep": sweep.name},
        )
    show(f"job {job} on {address}\n")
    try:
        return follow(client, job, show, address)
    except KeyboardInterrupt:
        if stops():
            client.stop_job(job)
            show(f"job {job} is told to stop\n")
        raise


def follow(client: "JobSubmissionClient", job: str, show: Callable[[str], None], address: str) -> int:
    """Show a job's log until the job ends, and return its exit code, or 1 when it was stopped.

    A connection that is lost is made again, and the log goes on where it ended. Raises `UserError` when the
    cluster does not know the job, or has not answered for `AWAY` seconds: then with the command that follows
    the job later.
    """
    from aiohttp import ClientError  # which Ray's client requires, and raises

    log, waits, answered = _Log(show), 1.0, time.monotonic()
    away: Exception | None = None
    while True:
        lost = away
        try:
            if not away:  # else the head may be a new one, which would log the token beside an unknown job
                asyncio.run(log.follow(client, job))
        except (RuntimeError, OSError, ClientError) as error:
            lost = error
        try:
            if client.get_job_status(job).is_terminal():
                if lost:
                    log.show(client.get_job_logs(job))
                code = client.get_job_info(job).driver_exit_code
                return 1 if code is None else int(code)
            answered, away = time.monotonic(), None
        except (RuntimeError, OSError) as error:
            lost = away = error
            if FORGOTTEN.format(job=job) in str(error):
                raise UserError(
                    f"--address {address}: job {job} is not known there; if the head node was started again, "
                    "submit the sweep again, which goes on from what is stored"
                ) from error
            if time.monotonic() - answered > AWAY:
                raise UserError(
                    f"--address {address}: no longer answers ({error}); the job goes on, and this "
                    f"follows it: ray job logs --follow --address {address} {job}"
                ) from error
        if lost and waits == 1:
            show(f"the connection to the log of {job} is lost; trying again\n")
        waits = min(2 * waits, LONGEST_WAIT) if lost else 1.0
        time.sleep(waits)


class _Log:
    """Shows a log, which Ray sends from its beginning at every connection, once."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show, self._shown = show, 0

    async def follow(self, client: "JobSubmissionClient", job: str) -> None:
        """Show the log as it grows, until the job ends."""
        received = 0
        async for text in client.tail_job_logs(job):
            self.show(text, received)
            received += len(text)

    def show(self, text: str, position: int = 0) -> None:
        """Show what is new of a part of the log, which begins at a position."""
        if position + len(text) > self._shown:
            self._show(text[max(0, self._shown - position) :])
            self._shown = position + len(text)


def _stage(folder: Path, path: str, sweep: Sweep) -> None:
    """Copy only the packages, the sweep file, and the files and modules that the sweep file names."""
    project = Path(__file__).parent.parent.parent
    for package in SHIPPED:
        shutil.copytree(project / package, folder / package, ignore=IGNORED)
    (folder / FOLDER).mkdir()
    shutil.copy(path, folder / FOLDER / Path(path).name)
    for name in (name for imports in sweep.imports.values() for name in imports.names):
        if not Path(name).is_absolute():  # such files all nodes must share
            for file in with_shards(files_of_name(name)):
                _stage_import(folder, Path(file))
    sys.path.insert(0, os.getcwd())
    for own in sweep.own_functions():
        _stage_module(folder, own)


def _stage_module(folder: Path, own: OwnFunction) -> None:
    """Copy the module or the package of a user's function, unless it is installed, as torch is.

    Raises `UserError` for a namespace package.
    """
    module = own.split()[0].partition(".")[0]
    found = find_spec(module) if module not in SHIPPED else None
    if found is None:
        return
    if found.origin is None:
        raise UserError(f"{own}: the folder {module} has no __init__.py, so it cannot be sent; add one")
    origin = Path(found.origin)
    if any(origin.is_relative_to(path) for path in INSTALLED) or not origin.is_file():
        return
    if found.submodule_search_locations:
        shutil.copytree(origin.parent, folder / module, ignore=IGNORED, dirs_exist_ok=True)
    else:
        shutil.copy(origin, folder / origin.name)


def _stage_import(folder: Path, path: Path) -> None:
    """Copy a file of a relative path.

    Raises `UserError` for a file that does not exist or that lies outside the current directory.
    """
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()) or not path.is_file():
        raise UserError(
            f"train.imports: {path} cannot be sent; give files below the current directory, or absolute "
            "paths of files that all nodes share"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)


def _entrypoint(path: str, root: str, overrides: list[str] | None) -> str:
    sets = [word for override in overrides or [] for word in ("--set", override)]
    command = ["run", f"{FOLDER}/{Path(path).name}", "--root", root, "--address", "auto", *sets]
    return shlex.join(["python", "-m", "raysweep.cli", *command])


def _settings() -> dict[str, str]:
    """Return variables for Ray and for provenance: how long a job may take to stop, and the commits sent."""
    return {"RAY_JOB_STOP_WAIT_TIME_S": str(STOPPING), CHECKOUTS: json.dumps(checkouts())}


def _connect(address: str) -> "JobSubmissionClient":
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray reads this only when it is imported
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    try:
        return JobSubmissionClient(address)
    except (AuthenticationError, ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"--address {address}: {reason} ({TOKENS})") from error


def _send(client: "JobSubmissionClient", **job: Any) -> str:
    """Submit a job, and retry because a cluster that was just started accepts none for some seconds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return client.submit_job(**job)
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise UserError(f"the cluster does not accept the job: {error}") from error
            time.sleep(1)
