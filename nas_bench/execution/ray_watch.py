"""Whether Ray is still there: where a part dies, drivers wait for ever or end in silence."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nas_bench.execution.job import ExecutionError
from nas_bench.streams import last_words

EVERY = 2.0
"""Seconds between looks."""
SILENCE = 15.0
"""Seconds without an answer until Ray counts as gone, and then for the main thread to see it;
after a minute Ray would end the process."""
_BROKEN = 4  # exit code of an error of this machine
_SIGNAL = signal.SIGUSR2
_GOES_ON = "trials keep what their checkpoints hold, and the same command goes on from there"


@contextmanager
def watched(address: str | None) -> Iterator["Watch"]:
    """Interrupt what waits inside for a Ray that has ended, once the watch has been started.

    Only the main thread can be interrupted; in others nothing is watched.

    Args:
        address: of the cluster that is joined, None for a Ray of this machine alone.

    Raises:
        ExecutionError: if Ray has ended.
    """
    watch = Watch(address)
    if threading.current_thread() is not threading.main_thread():
        watch.ended.set()
        yield watch
        return
    before = signal.signal(_SIGNAL, watch.hear)
    try:
        yield watch
    except (KeyboardInterrupt, Exception):
        if watch.gone:
            raise ExecutionError(f"{watch.gone}: {_GOES_ON}") from None
        raise
    finally:
        watch.ended.set()
        watch.left.set()
        if watch.is_alive():
            watch.join()
        signal.signal(_SIGNAL, before)


class Watch(threading.Thread):
    """Looks again and again, and sends the main thread a signal once Ray is gone.

    Attributes:
        gone: why Ray counts as gone, empty as long as it is there.
        ended: set before Ray is ended in order.
        left: set once nothing of ours waits for Ray any more.
    """

    def __init__(self, address: str | None) -> None:
        super().__init__(daemon=True)
        self.gone = ""
        self.ended, self.left = threading.Event(), threading.Event()
        self._address = address

    def hear(self, number: int, frame: Any) -> None:
        """Leave what the main thread waits for; anything but an interrupt Ray would replace."""
        raise KeyboardInterrupt

    def run(self) -> None:
        """See the base class."""
        look, answered = _Look(self._address), time.monotonic()
        while not self.ended.wait(EVERY):
            dead = look.found()
            if self.ended.is_set():
                return
            if dead is None:
                answered = time.monotonic()
            elif dead or time.monotonic() - answered > SILENCE:
                self.gone = dead or look.silence
                self._tell()
                return

    def _tell(self) -> None:
        """Interrupt the main thread; end the process if it never comes back from Ray."""
        signal.pthread_kill(threading.main_thread().ident or 0, _SIGNAL)
        if not self.left.wait(SILENCE):
            last_words(f"Error: {self.gone}: {_GOES_ON}")
            os._exit(_BROKEN)


class _Look:
    """What a driver can find out about its Ray.

    Attributes:
        silence: what it means when nothing answers.
    """

    def __init__(self, address: str | None) -> None:
        import ray

        self._remote = address is not None and address.startswith("ray://")
        if address is not None and self._remote:
            gcs = address.removeprefix("ray://")
        else:
            context = ray.get_runtime_context()
            gcs, self._node = context.gcs_address, context.get_node_id()
        host, _, port = gcs.rpartition(":")
        self._place = host.strip("[]"), int(port)
        where = "on this machine" if address is None else f"at {address}"
        self.silence = f"the head of the Ray {where} no longer answers (killed, or it hangs)"
        self._dead = (
            f"the raylet of the Ray {where} that this process uses has ended (killed, perhaps "
            "for want of memory)"
        )

    def found(self) -> str | None:
        """Why Ray is gone, empty if nothing answers, None if it is there."""
        try:
            socket.create_connection(self._place, timeout=EVERY).close()
        except OSError:
            return ""
        return None if self._remote else self._state()

    def _state(self) -> str | None:
        """The state of the node of this process; asked in a thread, which may hang."""
        alive: list[bool] = []
        asking = threading.Thread(target=self._ask, args=(alive,), daemon=True)
        asking.start()
        asking.join(SILENCE)
        if not alive:
            return ""
        return None if alive[0] else self._dead

    def _ask(self, alive: list[bool]) -> None:
        import ray

        try:
            nodes = ray.nodes()
        except Exception:  # whatever Ray makes of a GCS that does not answer
            return
        alive.append(any(node["NodeID"] == self._node and node["Alive"] for node in nodes))
