"""A session of Ray, joined or started."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import ray

from raysweep.cluster.tokens import TOKENS
from raysweep.errors import UserError
from raysweep.interruption import holding

PATIENCE = 10  # seconds within which the address of a cluster must answer
ELSEWHERE = (
    "a run works on one of the cluster's nodes and is given its address there, such as auto or head:6379; "
    "from elsewhere use raysweep submit with the address of the dashboard, http://head:8265"
)


@contextlib.contextmanager
def ray_session(address: str | None, say: Callable[[str], object] = lambda text: None) -> Iterator[None]:
    """Use an already initialised Ray, join the cluster at `address`, or start Ray on this machine.

    What takes seconds is announced by `say`. Raises `UserError` for an address that does not answer or that
    refuses the token, and where Ray cannot start.
    """
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "16")  # with 1, the default, actors are not reused
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ours = not ray.is_initialized()
    if ours:
        say(f"joining the Ray cluster at {address}" if address else "starting Ray on this machine")
    try:
        _check_address(address or "")
        if ours:
            with holding(), _out_of_reach():
                _start(address)
    except Exception as error:  # Ray raises plain ones, for example when its processes take too long to start
        raise UserError(reason(address, error)) from error
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def _start(address: str | None) -> None:
    ray.init(
        address=address or "local",  # otherwise Ray joins the cluster last started here
        include_dashboard=False if address is None else None,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )


@contextlib.contextmanager
def _out_of_reach() -> Iterator[None]:
    """Have Ray's processes survive signals that are meant for the driver, which ends them itself.

    `timeout` signals the whole process group, so that each of them gets a group of its own; Slurm sends
    SIGUSR1 to every process of a step, so that they inherit a mask that blocks it.
    """
    defaults = subprocess.Popen.__init__.__kwdefaults__
    assert defaults
    before = defaults["process_group"]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    defaults["process_group"] = 0
    try:
        yield
    finally:
        defaults["process_group"] = before
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


def _check_address(address: str) -> None:
    """Raise `OSError` when nothing listens at the address, to which Ray would try to connect for minutes.

    Raises `ValueError` for the addresses of a cluster that a driver elsewhere is given.
    """
    if address == "auto":  # then Ray asks the environment first
        address = os.environ.get("RAY_ADDRESS", "")
    if "://" in address:
        raise ValueError(ELSEWHERE)
    host, _, port = address.rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()


def spare_tune_mlflow() -> None:
    """Have Tune do without MLflow, which it would import to count callbacks: that takes two seconds.

    Without effect where MLflow is imported already.
    """
    if "mlflow" in sys.modules:
        return
    sys.modules["mlflow"] = None  # type: ignore[assignment]  # so that importing it fails, which Tune expects
    try:
        import ray.air.integrations.mlflow  # noqa: F401
    finally:
        del sys.modules["mlflow"]


def reason(address: str | None, error: Exception) -> str:
    """Return what is to be changed so that Ray starts or is joined."""
    text = " ".join(str(error).strip().splitlines()[:1]) or type(error).__name__
    if isinstance(error, ray.exceptions.AuthenticationError):
        where = f"--address {address}: the cluster" if address else "Ray on this machine"
        return f"{where} refuses the token, or there is none ({TOKENS})"
    if "AF_UNIX" in str(error):
        folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
        return f"the temporary folder {folder} has too long a path for Ray's sockets; set RAY_TMPDIR=/tmp"
    if address:
        known = isinstance(error, ValueError) or getattr(error, "errno", None)  # else it may be the token
        hint = "" if known else f" (if it asks for a token: {TOKENS})"
        return f"--address {address}: {text}{hint}"
    path = getattr(error, "filename", None)
    if path and Path(path).is_relative_to(Path.home()):
        return (
            f"Ray cannot write to HOME = {Path.home()}, where it keeps its token; set HOME to another folder"
        )
    return f"Ray cannot start on this machine: {text}"
