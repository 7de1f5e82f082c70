"""A Ray session: started quietly on this machine, or joined by address."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from nas_bench.execution.job import ExecutionError, Settings

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_AUTH_MODE": "disabled",  # token authentication writes into HOME
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is raised, not turned into a normal end
}
_PATIENCE = 5.0  # seconds until an address counts as dead
_OBJECT_STORE = 128 * 2**20  # bytes; only messages pass


@contextmanager
def session(settings: Settings) -> Iterator[None]:
    """Have Ray running inside; one that runs already is used as it is and left running.

    Raises:
        ExecutionError: if the address is dead or the resources can never be had.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if settings.address:
        _probe(settings.address)
    import ray

    if ray.is_initialized():
        _check_resources(settings)
        yield
        return
    _start(settings.address)
    try:
        _check_resources(settings)
        yield
    finally:
        ray.shutdown()


def _start(address: str | None) -> None:
    import ray

    quiet = {"log_to_driver": False, "logging_level": logging.WARNING}
    for name in ("ray.tune", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if address is None:
        ray.init(
            address="local", include_dashboard=False, object_store_memory=_OBJECT_STORE, **quiet
        )
        return
    try:
        ray.init(address=address, **quiet)
    except (Exception, SystemExit) as error:
        raise ExecutionError(f"no Ray cluster could be joined at {address}: {error}") from error


def _probe(address: str) -> None:
    """Ray itself would try a dead address for more than a minute."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ExecutionError(f"address {address!r} is not of the form host:port or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ExecutionError(
            f"nothing answers at {address} ({error}): start a cluster there with ray start "
            "--head, or leave --address out to use this machine"
        ) from error


def _check_resources(settings: Settings) -> None:
    """Tune would wait for ever for what is not there."""
    import ray

    total = ray.cluster_resources()
    for kind, wanted in (("CPU", settings.cpus_per_trial), ("GPU", settings.gpus_per_trial)):
        present = total.get(kind, 0.0)
        if wanted > present:
            raise ExecutionError(
                f"each trial asks for {wanted:g} {kind}s, but Ray has {present:g}: "
                f"lower --{kind.lower()}s-per-trial or join a larger cluster with --address"
            )
