"""`raysweep submit`: runs a sweep as a job on a cluster, with the code that is installed here."""

import asyncio
import json
import os
import shlex
import shutil
import sys
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
from raysweep.sweep.load import Sweep
from raysweep.version import CHECKOUTS, checkouts

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

FOLDER = "sweeps"  # the folder of the sweep file in the job's directory
SHIPPED = ("raysweep", "analysis")
PATIENCE = 60  # seconds within which a cluster must accept a job
STOPPING = 20  # seconds that a stopped job has to end; Ray would kill it after 3
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")
KEPT = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "MLFLOW_TRACKING_URI")


def submit(
    path: str, sweep: Sweep, root: str, overrides: list[str] | None, address: str, show: Callable[[str], None]
) -> int:
    """Send the project and the sweep file to a cluster, follow the job's log, and return its exit code.

    The job runs `raysweep run`. SIGTERM and SIGUSR1 end the job, as they end a run; Ctrl-C leaves it running.
    Credentials are never sent: those for storage and tracking, and the
    cluster's token, must be present on the cluster. Raises `UserError` for a root that the job could not
    find, and for an address that does not answer or that refuses the token.
    """
    if "://" not in root and not Path(root).is_absolute():
        raise UserError(
            f"--root {root}: the job runs on another machine; give s3://, gs:// or the absolute path of a "
            "directory that all nodes share"
        )
    with tempfile.TemporaryDirectory(prefix="raysweep-submit-") as staged:
        _stage(Path(staged), path, sweep)
        client = _connect(address)
        job = _send(
            client,
            entrypoint=_entrypoint(path, root, overrides),
            runtime_env={"working_dir": staged, "env_vars": _environment()},
            metadata={"sweep": sweep.name},
        )
    show(f"job {job} on {address}\n")
    try:
        return follow(client, job, show)
    except KeyboardInterrupt:
        if stops():
            client.stop_job(job)
            show(f"job {job} is told to stop\n")
        raise


def follow(client: "JobSubmissionClient", job: str, show: Callable[[str], None]) -> int:
    """Show a job's log until the job ends, and return its exit code, or 1 when it was stopped."""
    try:
        asyncio.run(_show_log(client, job, show))
    except (RuntimeError, OSError):
        show(f"the connection to the log of {job} is lost; waiting for the job's end\n")
    while not client.get_job_status(job).is_terminal():
        time.sleep(1)
    code = client.get_job_info(job).driver_exit_code
    return 1 if code is None else int(code)


def _stage(folder: Path, path: str, sweep: Sweep) -> None:
    """Copy only the packages, the sweep file, and the files and modules that the sweep file names."""
    project = Path(__file__).parent.parent.parent
    for package in SHIPPED:
        shutil.copytree(project / package, folder / package, ignore=IGNORED)
    (folder / FOLDER).mkdir()
    shutil.copy(path, folder / FOLDER / Path(path).name)
    for name in sweep.sections.train.imports:
        _stage_import(folder, Path(name))
    sys.path.insert(0, os.getcwd())
    for module in {training.model.split(":")[0].split(".")[0] for training in sweep.trainings}:
        found = find_spec(module) if module not in SHIPPED else None
        if found and found.origin:
            origin = Path(found.origin)
            if found.submodule_search_locations:
                shutil.copytree(origin.parent, folder / module, ignore=IGNORED)
            else:
                shutil.copy(origin, folder / origin.name)


def _stage_import(folder: Path, path: Path) -> None:
    """Copy a file of a relative path; all nodes must share the files of absolute paths.

    Raises `UserError` for a file that does not exist or that lies outside the current directory.
    """
    if path.is_absolute():
        return
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


def _environment() -> dict[str, str]:
    """Return the variables that locate storage and tracking, without credentials; and the commits sent."""
    given = {key: os.environ[key] for key in KEPT if key in os.environ}
    plain = {key: value for key, value in given.items() if urlparse(value).username is None}
    return plain | {"RAY_JOB_STOP_WAIT_TIME_S": str(STOPPING), CHECKOUTS: json.dumps(checkouts())}


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


async def _show_log(client: "JobSubmissionClient", job: str, show: Callable[[str], None]) -> None:
    async for text in client.tail_job_logs(job):
        show(text)
