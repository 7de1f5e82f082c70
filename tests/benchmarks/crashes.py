"""Kills sweeps with -9 again and again and compares what comes of them with one left alone.

    python tests/benchmarks/crashes.py --kills 20
    python tests/benchmarks/crashes.py --kills 8 --executor ray
    python tests/benchmarks/crashes.py --kills 8 --executor ray --target worker
    python tests/benchmarks/crashes.py --kills 8 --executor ray --target node

A measurement, not a test; `tests/execution/test_crashes.py` is its short form. The driver is
killed, alone or with its process group, at start-up, at random times, inside and shortly after
growths, while a checkpoint is written and when a trial ends, and the same command is given again.
A killed worker, or node of a cluster with all that runs on it, has to be replaced within the same
command. The exit code is 1 if a final weight, a record or a growth event differs from those of
the sweep that was left alone.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.slow_growth import DWELL, MARKS
from execution.clusters import Cluster, cluster

PLUGIN = Path(__file__).parent / "slow_growth.py"
PATIENCE = 600.0
"""Seconds until a sweep that neither ends nor does what is waited for counts as stuck."""


@dataclass
class Tally:
    """What has happened so far.

    Attributes:
        kills: by the moment that was chosen.
        commands: how often the command was given.
        attempts: of all trials, beyond their first.
        resumed: trials whose last attempt went on from a checkpoint.
        lost: rows that are not there; double: that are there again; other: that differ.
        survivors: seconds that processes of a killed driver lived on.
    """

    kills: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    attempts: int = 0
    resumed: int = 0
    lost: int = 0
    double: int = 0
    other: list[str] = field(default_factory=list)
    survivors: list[float] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing differs."""
        return not (self.lost or self.double or self.other)


@dataclass(frozen=True)
class Sweep:
    """One sweep, where it and its checkpoints lie, and the cluster that it joins."""

    folder: Path
    executor: str
    epochs: int
    seeds: str = "0-1"
    tasks: str = "digits,sine"
    retries: int = 1000
    nodes: Cluster | None = None
    storage: str | None = None
    methods: str = "slow_tiny,gradmax,random_growth"
    schedule: Mapping[str, Any] = field(
        default_factory=lambda: {"where": "each", "growths": 6, "every": 1, "unit": "epochs"}
    )
    settings: tuple[str, ...] = ()

    def start(self) -> "subprocess.Popen[str]":
        """Give the command, in a process group of its own."""
        command = [
            sys.executable, "-m", "nas_bench", "run", "--plugin", str(PLUGIN),
            "--methods", self.methods, "--tasks", self.tasks,
            "--seeds", self.seeds, "--no-baselines", "--quiet", "--json",
            "--budget", f"{self.epochs} epochs", "--set", f"schedule={json.dumps(self.schedule)}",
            *(part for setting in self.settings for part in ("--set", setting)),
            "--executor", self.executor, "--results", str(self.folder),
            "--storage", self.storage or str(self.folder / ".checkpoints"),
            "--checkpoint-every", "0.1",
            "--retries", str(self.retries), *self._address,
        ]  # fmt: skip
        marks(self.folder).mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True, env=self._environment,
        )  # fmt: skip

    @property
    def _address(self) -> tuple[str, ...]:
        return ("--address", self.nodes.address) if self.nodes else ()

    @property
    def _environment(self) -> dict[str, str]:
        given = self.nodes.environment if self.nodes else os.environ
        return {**given, "OMP_NUM_THREADS": "1", MARKS: str(marks(self.folder))}

    def finish(self, running: "subprocess.Popen[str] | None" = None) -> None:
        """Let it run to its end.

        Raises:
            RuntimeError: if a trial failed or the sweep could not run.
        """
        running = running or self.start()
        _, errors = running.communicate(timeout=PATIENCE)
        if running.returncode:
            said = "\n".join(_reasons(self.folder))
            raise RuntimeError(f"exit code {running.returncode}: {errors}\n{said}")


def main() -> None:
    """Print what was killed and what it cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--executor", choices=["inline", "ray"], default="inline")
    parser.add_argument("--target", choices=["driver", "worker", "node"], default="driver")
    parser.add_argument("--moment", choices=MOMENTS, help="at this moment alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=120)
    options = parser.parse_args()
    if options.target != "driver" and options.executor == "inline":
        parser.error("the inline executor has neither workers nor nodes: add --executor ray")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crashes-") as folder:
        tally = crashes(
            Path(folder), options.executor, options.target, options.kills, options.epochs,
            random.Random(options.seed), options.moment,
        )  # fmt: skip
    print(
        f"{options.executor}, {options.target}: {tally.kills.total()} kills "
        f"({', '.join(f'{count} {moment}' for moment, count in sorted(tally.kills.items()))}), "
        f"{tally.commands} commands, {tally.attempts} attempts beyond the first, "
        f"{tally.resumed} trials finished from a checkpoint, rows lost {tally.lost}, "
        f"double {tally.double}, other {len(tally.other)}, {time.monotonic() - start:.0f} s"
    )
    if tally.survivors:
        print(f"processes of killed drivers lived on for up to {max(tally.survivors):.1f} s")
    print("\n".join(tally.other[:10]))
    sys.exit(not tally.good)


def crashes(
    folder: Path, executor: str, target: str, kills: int, epochs: int, chance: random.Random,
    moment: str | None = None,
) -> Tally:  # fmt: skip
    """Kill sweeps until there were enough kills; each sweep ends and is compared.

    Args:
        folder: where all sweeps lie.
        executor: of the sweeps that are killed.
        target: driver, worker or node.
        kills: how many at least.
        epochs: budget of each trial.
        chance: chooses moments, delays and victims.
        moment: the only one at which to kill.
    """
    whole, tally, number = Sweep(folder / "whole", "inline", epochs), Tally(), 0
    whole.finish()
    kill, moments = KILLERS[target]
    moments = [moment] if moment else moments
    while tally.kills.total() < kills:
        sweep = Sweep(folder / f"killed-{number}", executor, epochs)
        count = min(10, kills - tally.kills.total())
        kill(sweep, [chance.choice(moments) for _ in range(count)], chance, tally)
        compare(whole.folder, sweep.folder, tally)
        shutil.rmtree(sweep.folder)
        number += 1
    return tally


def kill_drivers(
    sweep: Sweep, moments: Sequence[str], chance: random.Random, tally: Tally
) -> None:
    """Kill drivers of a sweep at these moments, then let it end."""
    watchers: list[threading.Thread] = []
    for moment in moments:
        running = sweep.start()
        tally.commands += 1
        if not _reached(running, MOMENTS[moment], sweep.folder, chance):
            running.communicate(timeout=PATIENCE)
            break
        family = list(descendants(running.pid))
        if chance.random() < 0.5:
            os.kill(running.pid, signal.SIGKILL)  # what it has started is left alone
        else:
            os.killpg(running.pid, signal.SIGKILL)
        tally.kills[moment] += 1
        watchers.append(threading.Thread(target=_watch, args=(family, tally)))
        watchers[-1].start()
        running.communicate(timeout=PATIENCE)
    tally.commands += 1
    sweep.finish()
    for watcher in watchers:
        watcher.join()


def kill_workers(
    sweep: Sweep, moments: Sequence[str], chance: random.Random, tally: Tally
) -> None:
    """Kill workers of a sweep at these moments; it goes on all the same."""

    def kill(running: "subprocess.Popen[str]") -> bool:
        workers = busy(running.pid)
        if workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
        return bool(workers)

    _kill_parts(sweep, moments, chance, tally, kill)


def kill_nodes(sweep: Sweep, moments: Sequence[str], chance: random.Random, tally: Tally) -> None:
    """Kill nodes of a cluster of two at these moments; another node joins each time."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nb-"))  # sockets: short
        nodes = stack.enter_context(cluster(folder, {MARKS: str(marks(sweep.folder))}))
        alive = [nodes.add(), nodes.add()]

        def kill(running: "subprocess.Popen[str]") -> bool:
            victims = [node for node in alive if busy(node.pid)]
            if victims:
                victim = chance.choice(victims)
                nodes.kill(victim)
                alive[alive.index(victim)] = nodes.add()
            return bool(victims)

        _kill_parts(replace(sweep, nodes=nodes), moments, chance, tally, kill)


def _kill_parts(
    sweep: Sweep,
    moments: Sequence[str],
    chance: random.Random,
    tally: Tally,
    kill: Callable[["subprocess.Popen[str]"], bool],
) -> None:
    """Kill what the driver uses; `kill` says whether there was anything."""
    running = sweep.start()
    tally.commands += 1
    for moment in moments:
        if not _reached(running, MOMENTS[moment], sweep.folder, chance):
            break
        while moment == "after a growth" and running.poll() is None and not _kept(sweep, running):
            time.sleep(0.001)  # another trial may just have begun: there is nothing to go on from
        tally.kills[moment] += kill(running)
    sweep.finish(running)


def compare(whole: Path, killed: Path, tally: Tally) -> None:
    """Add what differs between two results folders, clocks aside."""
    for path in sorted(whole.glob("*/*/*/*/*/run.json")):
        name = path.relative_to(whole)
        other = killed / name
        summary = json.loads(other.read_text()) if other.exists() else {}
        tally.attempts += summary.get("attempts", 1) - 1
        tally.resumed += summary.get("environment", {}).get("resumed_at_step", 0) > 0
        if summary.get("status") != "ok":
            tally.other.append(f"{name} is {summary.get('status')}")
        elif summary["result"]["weights"] != json.loads(path.read_text())["result"]["weights"]:
            tally.other.append(f"{name}: other weights")
        for file in ("curve.jsonl", "growth.jsonl"):
            expected, rows = (
                Counter(_rows(path.parent / file)),
                Counter(_rows(other.parent / file)),
            )
            tally.lost += (expected - rows).total()
            tally.double += sum(max(0, rows[row] - expected[row]) for row in expected & rows)
            tally.other += [f"{name}: {file}: {row}" for row in rows.keys() - expected.keys()]


def descendants(pid: int) -> Iterator[int]:
    """Children of a process, and theirs."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += parents.get(parent, [])
    yield from found[1:]


def busy(pid: int) -> list[int]:
    """Workers with a trial among the descendants of a process."""
    return [child for child in descendants(pid) if _title(child).startswith("ray::Impl")]


def _rows(path: Path) -> list[str]:
    """The lines of a file, clocks aside, as text."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    return [json.dumps({k: v for k, v in row.items() if k != "seconds"}) for row in rows]


def _reasons(folder: Path) -> Iterator[str]:
    """Why trials have no result."""
    for path in folder.glob("*/*/*/*/*/run.json"):
        summary = json.loads(path.read_text())
        if summary["status"] != "ok":
            yield f"{path.parent} is {summary['status']}: {summary['error']}"


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _watch(family: list[int], tally: Tally) -> None:
    """Tell how long processes live on."""
    start = time.monotonic()
    while any(_lives(pid) for pid in family) and time.monotonic() - start < PATIENCE:
        time.sleep(0.05)
    tally.survivors.append(time.monotonic() - start)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _sizes(folder: Path, name: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"*/*/*/*/*/{name}"))


def marks(folder: Path) -> Path:
    """Where growths of a sweep leave their marks."""
    return folder / ".growths"


def _begun(folder: Path) -> Any:
    return len(list(marks(folder).iterdir()))


def _growths(folder: Path) -> Any:
    return _sizes(folder, "growth.jsonl")


def _records(folder: Path) -> Any:
    return _sizes(folder, "curve.jsonl")


def _written(folder: Path) -> Any:
    return {str(path) for path in folder.glob(".checkpoints/*/.state.pt.*")}


def _checkpoints(folder: Path) -> Any:
    return {path.stat().st_mtime_ns for path in folder.glob(".checkpoints/*/state.pt")}


def _kept(sweep: Sweep, running: "subprocess.Popen[str]") -> bool:
    """Whether every trial whose worker has begun has grown, and has a checkpoint since."""
    trials = [path.parent for path in sweep.folder.glob("*/*/*/*/*/run.json")]
    younger = [_seen(_kept_after_growth, trial) for trial in trials]
    known = [answer for answer in younger if answer is not None]
    begun = len(known) if sweep.nodes else len(busy(running.pid))  # nodes have their workers
    return all(known) and len(known) >= begun


def _kept_after_growth(trial: Path) -> bool | None:
    """Whether the checkpoint of a trial that runs is younger than its growths; None of others."""
    summary = json.loads((trial / "run.json").read_text())
    if summary["status"] != "running":
        return None
    grown, kept = trial / "growth.jsonl", trial.parents[4] / ".checkpoints" / summary["id"]
    if not grown.exists() or not grown.stat().st_size or not (kept / "state.pt").exists():
        return False
    return (kept / "state.pt").stat().st_mtime > grown.stat().st_mtime


def _ended(folder: Path) -> Any:
    return len(list(folder.glob(".checkpoints/*")))


MOMENTS: dict[str, tuple[Callable[[Path], Any] | None, float]] = {
    "at start-up": (None, 8.0),
    "at random": (_records, 3.0),
    "inside a growth": (_begun, DWELL),
    "after a growth": (_growths, 0.05),
    "in writing": (_written, 0.0),
    "after a checkpoint": (_checkpoints, 0.0),
    "at an end": (_ended, 0.02),
}
"""What is watched for a change, and the longest random delay after it, in seconds."""
_RUNNING = [moment for moment in MOMENTS if moment != "at start-up"]
KILLERS = {
    "driver": (kill_drivers, list(MOMENTS)),
    "worker": (kill_workers, _RUNNING),
    "node": (kill_nodes, _RUNNING),
}
"""What kills each target, and at which moments."""


def _reached(
    running: "subprocess.Popen[str]",
    moment: tuple[Callable[[Path], Any] | None, float],
    folder: Path,
    chance: random.Random,
) -> bool:
    """Wait for a moment; whether it came before the sweep's end."""
    watch, delay = moment
    changes = chance.randint(1, 6) if watch else 0
    start, before = time.monotonic(), _seen(watch, folder)
    while changes:
        if running.poll() is not None or time.monotonic() - start > PATIENCE:
            return False
        now = _seen(watch, folder)
        changes, before = changes - (now != before), now
        time.sleep(0.001)
    time.sleep(chance.uniform(0, delay))
    return running.poll() is None


def _seen(watch: Callable[[Path], Any] | None, folder: Path) -> Any:
    try:
        return watch(folder) if watch else None
    except OSError:  # it was just replaced or removed
        return None


if __name__ == "__main__":
    main()
