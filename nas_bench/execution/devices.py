"""On which device the trials of each task train: decided once for a sweep, and said."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nas_bench import plugins
from nas_bench.execution.broken_gpus import Broken
from nas_bench.execution.job import ExecutionError, Settings
from nas_bench.execution.resume import Rerun
from nas_bench.results.environment import device_class
from nas_bench.results.reading import Run
from nas_bench.specs import InputError, short_names
from nas_bench.trials.config import TrialConfig

WHOLE = 1.0
"""GPUs of a trial on a GPU whose task declares no share and whose user asks for none."""


@dataclass(frozen=True)
class Gpus:
    """The GPUs that an executor can give: how many, and what they are called.

    Attributes:
        broken: nodes that say they have GPUs, which their torch cannot use; no trial gets there
            as long as this lives.
    """

    count: float = 0.0
    name: str = ""
    broken: tuple[Broken, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where the trials of a task train.

    Attributes:
        device: as torch spells it.
        gpus: that each trial occupies under Ray, fractions allowed.
        why: in a few words.
    """

    device: str
    gpus: float
    why: str


def gpus_here() -> Gpus:
    """The GPUs that torch finds on this machine."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return Gpus(count, torch.cuda.get_device_name() if count else "")


def places(
    tasks: Iterable[str], settings: Settings, gpus: Gpus, earlier: Mapping[str, set[str]]
) -> dict[str, Place]:
    """Where the trials of each task train.

    Args:
        tasks: their specs.
        settings: what was asked for.
        gpus: that the executor can give.
        earlier: classes of the devices of results that stay beside the trials, by task.

    Raises:
        ExecutionError: if a device was asked for that is not there.
        InputError: if results of a GPU would get rows of a CPU beside them unasked.
    """
    asked = _asked(settings)
    if asked == "auto":
        return {task: _chosen(task, gpus, earlier.get(task, set())) for task in tasks}
    _refuse_missing(asked, gpus)
    if not asked.startswith("cuda"):
        return {task: Place(asked, 0.0, "as asked for") for task in tasks}
    return {task: Place(asked, _share(task, settings), "as asked for") for task in tasks}


def earlier(
    configs: Sequence[TrialConfig], runs: Iterable[Run], rerun: Rerun
) -> dict[str, set[str]]:
    """Classes of the devices of results beside which trials will stand, by task.

    Args:
        configs: of the trials that run.
        runs: that the ledger holds.
        rerun: with all, what was cut off begins anew.
    """
    again = {config.id for config in configs}
    rows = {(config.protocol, config.task) for config in configs}
    found: dict[str, set[str]] = {}
    for run in runs:
        goes_on = run.id in again and run.unfinished and rerun != "all"
        stays = goes_on or (run.status == "ok" and run.id not in again)
        if stays and (run.protocol, run.task) in rows and "device" in run.environment:
            found.setdefault(run.task, set()).add(device_class(run.environment["device"]))
    return found


def sentence(found: Mapping[str, Place], gpus: Gpus) -> str:
    """Where everything trains and why, in one line."""
    groups: dict[Place, list[str]] = {}
    names = short_names(found)
    for task, place in found.items():
        groups.setdefault(place, []).append(names[task])
    return "; ".join((*_clauses(groups, gpus), *_left_out(gpus)))


def _asked(settings: Settings) -> str:
    """The device, which GPUs for each trial name too."""
    if settings.device != "auto" or settings.gpus_per_trial is None:
        return settings.device
    return "cuda" if settings.gpus_per_trial else "cpu"


def _chosen(task: str, gpus: Gpus, earlier: set[str]) -> Place:
    share = plugins.task(task).gpu_share
    there = gpus.count >= (share or WHOLE)
    if earlier == {"cuda"} and not there:
        raise InputError(
            f"the results of {task} here are of a GPU, of which there is none for it now, and "
            "rows of different devices are not ranked together: run where there is a GPU, choose "
            "another folder with --results, or mix them with --device cpu"
        )
    if len(earlier) == 1 and earlier < {"cpu", "cuda"}:
        (device,) = earlier
        return Place(device, 0.0 if device == "cpu" else share or WHOLE, "as its results here")
    if not share:
        return Place("cpu", 0.0, "too small to gain from a GPU")
    if not there:
        return Place("cpu", 0.0, "too few GPUs" if gpus.count else "there is no GPU")
    return Place("cuda", share, "it gains from one")


def _share(task: str, settings: Settings) -> float:
    if settings.gpus_per_trial is not None:
        return settings.gpus_per_trial
    return plugins.task(task).gpu_share or WHOLE


def _refuse_missing(device: str, gpus: Gpus) -> None:
    import torch

    if device == "mps" and not torch.backends.mps.is_available():
        raise ExecutionError("torch finds no mps device here: use --device cpu or auto")
    number = int(device.partition(":")[2] or 0)
    if device.startswith("cuda") and gpus.count <= number:
        raise ExecutionError(
            f"{device} was asked for, but there are {gpus.count:g} GPUs: use --device cpu or auto"
            + "".join(f" ({clause})" for clause in _left_out(gpus))
        )


def _left_out(gpus: Gpus) -> Iterator[str]:
    """What is to be said of machines whose GPUs cannot be used."""
    for node in gpus.broken:
        yield (
            f"{node.host} says that it has {node.gpus:g} GPUs, but its torch finds none: its GPUs "
            "are left out"
        )


def _clauses(groups: Mapping[Place, Sequence[str]], gpus: Gpus) -> Iterator[str]:
    for number, (place, tasks) in enumerate(groups.items()):
        verb = "" if number else " trains" if len(tasks) == 1 else " train"
        named = f" ({gpus.name})" if place.device.startswith("cuda") and gpus.name else ""
        yield f"{', '.join(tasks)}{verb} on {place.device}{named}: {place.why}"
