"""The contract of tasks."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from nas_bench.contract.declarations import require_words
from nas_bench.contract.finding import Check, NotCheckedError, require, run_checks
from nas_bench.growth import find_sites
from nas_bench.training.data import Downloads
from nas_bench.training.soundness import check_network, check_widths, loaded
from nas_bench.training.streaming import Streamed
from nas_bench.training.task import DataMissingError, Samples, Split, Task

_SAMPLES = 32


@dataclass(frozen=True)
class _Subject:
    """A task and the folder where its data may be."""

    task: Task
    folder: Path

    @cached_property
    def data(self) -> tuple[Split, Split]:
        """Training and test samples, unless they would have to be downloaded."""
        return self.loaded()

    def loaded(self) -> tuple[Split, Split]:
        """The same, loaded anew."""
        if not is_present(self.task, self.folder):
            raise NotCheckedError(f"its data is not in {self.folder}")
        return loaded(self.task, self.folder)

    def network(self, widths: Sequence[int]) -> nn.Module:
        """The network that seed 0 gives, unless its size is that of data which is not there."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                return self.task.network(widths)
            except DataMissingError as error:
                raise NotCheckedError(str(error)) from error


def check_task(task: Task, data: Path) -> list[Check]:
    """What a task must do; nothing is downloaded."""
    return run_checks(_CHECKS, _Subject(task, data))


def is_present(task: Task, folder: Path) -> bool:
    """Whether the data can be loaded without a download."""
    return not isinstance(task, Downloads) or task.present(folder)


def _declares_itself(subject: _Subject) -> None:
    task = subject.task
    require_words(task)
    require(task.metric in ("accuracy", "loss"), "its metric is neither accuracy nor loss")
    share = task.gpu_share
    divides = 0 <= share <= 1 or share == int(share) > 0
    require(divides, f"its gpu_share {share} is neither a fraction nor a whole number of GPUs")


def _has_growing_widths(subject: _Subject) -> None:
    seed, target = subject.task.seed_widths, subject.task.target_widths
    fit = all(0 < start <= end for start, end in zip(seed, target, strict=True))
    require(fit, f"widths cannot grow from {seed} to {target}")


def _draws_networks_from_the_seed(subject: _Subject) -> None:
    widths = subject.task.seed_widths
    first, second = (subject.network(widths).state_dict() for _ in range(2))
    same = all(torch.equal(first[name], second[name]) for name in first)
    require(same, "the same seed gave other weights: draw from torch's global generator only")


def _loads_train_and_test(subject: _Subject) -> None:
    subject.data  # noqa: B018 (it is checked as it is loaded)


def _loads_the_same_again(subject: _Subject) -> None:
    pairs = zip(subject.data, subject.loaded(), strict=True)
    same = all(
        torch.equal(_held(a).inputs, _held(b).inputs) and torch.equal(a.targets, b.targets)
        for a, b in pairs
    )
    require(same, "loading twice gave other samples")


def _has_samples_that_can_be_read(subject: _Subject) -> None:
    for samples in subject.data:
        check = getattr(samples.dataset, "check", None) if isinstance(samples, Streamed) else None
        if check is not None:
            check()


def _held(samples: Split) -> Samples:
    """All samples, or a few of those that are streamed."""
    return samples.first(_SAMPLES) if isinstance(samples, Streamed) else samples


def _has_a_site_for_every_width(subject: _Subject) -> None:
    example = subject.data[0].first(2).inputs
    for widths in (subject.task.seed_widths, subject.task.target_widths):
        network = subject.network(widths)
        sites = [s for s in find_sites(network, example) if subject.task.grows(s.name)]
        found = [site.width(network) for site in sites]
        check_widths(found, widths)


def _has_a_mean_loss(subject: _Subject) -> None:
    outputs, targets = _outputs(subject)
    loss = subject.task.loss
    whole = loss(outputs, targets)
    require(whole.ndim == 0, f"its loss has shape {tuple(whole.shape)}, not one number")
    each = [loss(outputs[i : i + 1], targets[i : i + 1]) for i in range(len(outputs))]
    mean = torch.stack(each).mean()
    close = torch.isclose(whole, mean, rtol=1e-4, atol=1e-6)
    require(
        bool(close), f"its loss is {float(whole):.4g}, the mean over samples {float(mean):.4g}"
    )


def _has_classes_for_accuracy(subject: _Subject) -> None:
    if subject.task.metric == "accuracy":
        _outputs(subject)


def _outputs(subject: _Subject) -> tuple[Tensor, Tensor]:
    """Of a few samples, with their targets, of a network that fits all of them."""
    train, test = subject.data
    network = copy.deepcopy(subject.network(subject.task.seed_widths)).eval()
    check_network(subject.task, network, train, test=test)
    with torch.no_grad():
        few = train.first(_SAMPLES)
        return network(few.inputs), few.targets


_CHECKS = {
    "declares name, summary and metric": _declares_itself,
    "has target widths no smaller than its seed widths": _has_growing_widths,
    "draws networks from the seed alone": _draws_networks_from_the_seed,
    "loads training and test samples": _loads_train_and_test,
    "loads the same samples again": _loads_the_same_again,
    "has samples that can be read": _has_samples_that_can_be_read,
    "has a site for every width": _has_a_site_for_every_width,
    "has a loss that is the mean over samples": _has_a_mean_loss,
    "has classes if it measures accuracy": _has_classes_for_accuracy,
}
