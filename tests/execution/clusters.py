"""A Ray cluster of several nodes on this machine, behind a token."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

RAY = (sys.executable, "-m", "ray.scripts.scripts")


class Cluster:
    """Nodes that are processes; the head runs no trials."""

    def __init__(self, folder: str, variables: Mapping[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.address = f"127.0.0.1:{server.getsockname()[1]}"
        self.environment = os.environ | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
            **variables,
        }
        self.nodes: list[subprocess.Popen[bytes]] = []
        port = self.address.partition(":")[2]
        self._start("--head", f"--port={port}", "--include-dashboard=false", "--num-cpus=0",
                    f"--temp-dir={folder}")  # fmt: skip
        self._wait_for_head()

    def add(self, gpus: int = 0) -> subprocess.Popen[bytes]:
        """One more node, with one processor, that says it has so many GPUs."""
        return self._start(f"--address={self.address}", "--num-cpus=1", gpus=gpus)

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """End a node at once with everything that runs on it."""
        import ray  # noqa: F401  (finds psutil)
        from psutil import NoSuchProcess, Process

        try:
            processes = [Process(node.pid), *Process(node.pid).children(recursive=True)]
        except NoSuchProcess:
            return
        for process in processes:
            try:
                process.kill()
            except NoSuchProcess:
                continue
        node.wait()

    def _start(self, *options: str, gpus: int = 0) -> subprocess.Popen[bytes]:
        command = (*RAY, "start", *options, "--block", "--disable-usage-stats",
                   f"--num-gpus={gpus}", f"--object-store-memory={80 * 2**20}")  # fmt: skip
        nothing = subprocess.DEVNULL
        node = subprocess.Popen(command, stdout=nothing, stderr=nothing, env=self.environment)
        self.nodes.append(node)
        return node

    def _wait_for_head(self) -> None:
        host, _, port = self.address.partition(":")
        for _ in range(120):
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return
            except OSError:
                time.sleep(0.5)
        raise RuntimeError("the head of the cluster did not start")


@contextmanager
def cluster(folder: str, variables: Mapping[str, str] = MappingProxyType({})) -> Iterator[Cluster]:
    """A head; nodes are added inside, and everything is killed at the end.

    Args:
        folder: of Ray's own files; sockets lie in it, so its path must be short.
        variables: added to the environment of all nodes.
    """
    started = Cluster(folder, variables)
    try:
        yield started
    finally:
        for node in reversed(started.nodes):
            started.kill(node)
