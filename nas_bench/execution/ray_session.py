"""A Ray session: started quietly on this machine, or joined by address."""

import logging
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_bench.execution.broken_gpus import broken_nodes
from nas_bench.execution.devices import Gpus, gpus_here
from nas_bench.execution.job import ExecutionError, Settings
from nas_bench.execution.ray_watch import watched
from nas_bench.specs import said

if TYPE_CHECKING:
    from ray.job_config import JobConfig

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is raised, not turned into a normal end
    "TUNE_STATE_REFRESH_PERIOD": "1e9",  # what it asks for then cannot be interrupted
}
_MODE, _TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
_FOLDER = "RAY_TMPDIR"
"""Variable of Ray that says where its files lie."""
_LONGEST = 36
"""Letters of a path in which Ray can have sockets, whose own paths have at most about 104."""
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Variable of Ray that, if 0, has every process of its listen to this machine alone."""
_PATIENCE = 5.0  # seconds until an address counts as dead
_GRACE = 12.0  # seconds for a cluster to say that it is one, imports included
_JOINING = 30.0  # seconds for the nodes of a cluster to join
_KIND = "accelerator_type:"
"""How resources begin that name the model of a GPU."""
_STATUS = "from ray.scripts.scripts import main; main()"
_ADDRESS = re.compile(r"auto|(?:ray://)?(?P<host>\[[^\]]+\]|[^:/\s]+):(?P<port>\d+)")
_CURES = {
    "CPU": "lower the protocol's threads",
    "GPU": "lower --gpus-per-trial, use --device cpu",
}
_OBJECT_STORE = 128 * 2**20  # bytes; only messages pass


@contextmanager
def session(settings: Settings) -> Iterator[None]:
    """Have Ray running inside; one that runs already is used as it is and left running.

    Raises:
        ExecutionError: if the address is dead, the resources can never be had, or Ray ends inside.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    _keep_out(settings.address)
    if settings.address:
        _probe(settings.address)
    import ray

    if ray.is_initialized():
        _check_resources(settings)
        yield
        return
    with watched(settings.address) as watch, ExitStack() as stack:
        folder = None if settings.address else stack.enter_context(_short_folder())
        _start(settings.address, folder)
        stack.callback(ray.shutdown)
        watch.start()
        stack.callback(watch.ended.set)
        _check_resources(settings)
        yield


def gpus(settings: Settings) -> Gpus:
    """See `Executor`; only what torch can use too, here and on every node."""
    import ray

    total = ray.cluster_resources()
    count = total.get("GPU", 0.0)
    if settings.address is None:
        here = gpus_here()
        return Gpus(min(count, here.count), here.name)
    kinds = (name.removeprefix(_KIND) for name in sorted(total) if name.startswith(_KIND))
    wanted = settings.device != "cpu" and settings.gpus_per_trial != 0
    broken = broken_nodes() if count and wanted else ()
    return Gpus(count - sum(node.gpus for node in broken), ", ".join(kinds), broken)


def is_address(text: str) -> bool:
    """Whether a text has the form of an address: auto, host:port or ray://host:port."""
    return _ADDRESS.fullmatch(text) is not None


def _keep_out(address: str | None) -> None:
    """Have a Ray of our own listen to this machine alone, and to who knows its token.

    That is read when Ray is imported, and too late after it. A token that a cluster asks for has
    to be given: Ray itself would put one into HOME.
    """
    if address is None:
        os.environ.setdefault(_LOOPBACK, "0")
    own = address is None and "ray" not in sys.modules
    if os.environ.setdefault(_MODE, "token" if own else "disabled") == "token" and own:
        os.environ.setdefault(_TOKEN, secrets.token_hex(32))


@contextmanager
def _short_folder() -> Iterator[str]:
    """A folder of one's own for Ray's files, where paths are short enough for its sockets.

    Raises:
        ExecutionError: if none can be made.
    """
    given = os.environ.get(_FOLDER, ""), tempfile.gettempdir()
    for parent in dict.fromkeys((*given, "/tmp", "/var/tmp", "/dev/shm")):
        folder = None
        with suppress(OSError):
            folder = parent and tempfile.mkdtemp(prefix="nb-ray-", dir=parent)
        if folder and len(folder) <= _LONGEST:
            break
        if folder:
            Path(folder).rmdir()
    else:
        raise ExecutionError(
            f"Ray needs a folder with a short path for its files, and none can be made in "
            f"{given[1]} or /tmp: set TMPDIR to such a folder, or use --executor inline"
        )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(address: str | None, folder: str | None) -> None:
    """Start or join Ray; SIGTERM and SIGHUP are for the driver alone.

    What is sent to a whole process group must not end Ray under trials that keep their state:
    the processes of Ray inherit that the signals are blocked. One that comes meanwhile waits.
    """
    handler = signal.getsignal(signal.SIGTERM)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
    try:
        _init(address, folder)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # ray.init puts its own there
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _init(address: str | None, folder: str | None) -> None:
    import ray

    values: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
    for name in ("ray.tune", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if address is None:
        own = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE}
        values |= {"address": "local", "_temp_dir": folder, **own}
        wrong = "Ray does not start on this machine"
    else:
        values["address"] = address
        wrong = f"no Ray cluster could be joined at {address}"
    if not (address or "").startswith("ray://"):
        values["job_config"] = _without_working_directory()
    try:
        ray.init(**values)
    except (Exception, SystemExit) as error:
        cure = "" if address else "; --executor inline needs none"
        raise ExecutionError(f"{wrong}: {said(error)}{cure}") from error


def _without_working_directory() -> "JobConfig":
    """Have workers import from where the driver's Python does, not from where a person stands.

    Ray leaves its own additions to their import path out where files travel with a job.
    """
    from ray.job_config import JobConfig

    class Settled(JobConfig):
        def _runtime_env_has_working_dir(self) -> bool:
            return True

    return Settled()


def _probe(address: str) -> None:
    """Ray itself would try a dead address for more than a minute."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ExecutionError(f"address {address!r} is not of the form host:port or auto")
    if address == "auto":
        if not _is_cluster(address):
            raise ExecutionError(
                "no Ray cluster runs here: start one with ray start --head or leave --address out"
            )
        return
    _connect(address, match["host"].strip("[]"), int(match["port"]))
    if not address.startswith("ray://") and not _is_cluster(address):
        raise ExecutionError(
            f"what answers at {address} is no Ray cluster that this Ray can join: give the "
            "address that ray start --head printed, or leave --address out to use this machine"
        )


def _connect(address: str, host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ExecutionError(
            f"nothing answers at {address} ({error}): start a cluster there with ray start "
            "--head, or leave --address out to use this machine"
        ) from error


def _is_cluster(address: str) -> bool:
    """Asked in a process of its own, since nothing else ends Ray's attempts in time."""
    command = (sys.executable, "-c", _STATUS, "status", "--address", address)
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GRACE, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _check_resources(settings: Settings) -> None:
    """Tune would wait for ever for what is not there.

    The nodes of a cluster that has just been started have a moment to join.
    """
    import ray

    whole = float(settings.device == "cuda")
    share = whole if settings.gpus_per_trial is None else settings.gpus_per_trial
    wanted = {"CPU": settings.cpus_per_trial, "GPU": share}
    patience = time.monotonic() + (_JOINING if settings.address else 0.0)
    total = ray.cluster_resources()
    while any(total.get(kind, 0.0) < amount for kind, amount in wanted.items()):
        if time.monotonic() > patience:
            break
        time.sleep(1.0)
        total = ray.cluster_resources()
    for kind, amount in wanted.items():
        present = total.get(kind, 0.0)
        if amount > present:
            raise ExecutionError(
                f"each trial asks for {amount:g} {kind}s, but Ray has {present:g}: "
                f"{_CURES[kind]} or join a larger cluster with --address"
            )
