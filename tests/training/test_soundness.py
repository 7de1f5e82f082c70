"""What is refused before it is trained on: by `run`, by `plan` and by `check` alike."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from nas_bench import plugins
from nas_bench.contract import check_task
from nas_bench.discovery import Plugin
from nas_bench.execution.estimate import Estimator
from nas_bench.execution.job import Job, Settings
from nas_bench.execution.worker import messages
from nas_bench.training.soundness import check_last_batch, check_network, loaded
from nas_bench.training.task import Recipe, Samples, Task, TaskError
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol


@dataclass(frozen=True)
class Sound(Task):
    """Classification of noise, of which something else may be made."""

    name: ClassVar[str] = "sound"
    summary: ClassVar[str] = "one line"
    recipe: ClassVar[Recipe] = Recipe(batch_size=20)

    seed_widths: tuple[int, ...] = (2,)
    target_widths: tuple[int, ...] = (4,)

    def load(self, folder):
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(80, 5, generator=generator)
        targets = torch.arange(80) % 3
        return Samples(inputs[:60], targets[:60]), Samples(inputs[60:], targets[60:])

    def network(self, widths):
        return nn.Sequential(nn.Linear(5, widths[0]), nn.ReLU(), nn.Linear(widths[0], 3))

    @property
    def loss(self):
        return nn.CrossEntropyLoss()


def loading(change):
    """The task whose samples are what `change` makes of training and test samples."""

    @dataclass(frozen=True)
    class Changed(Sound):
        def load(self, folder):
            return change(*super().load(folder))

    return Changed()


def having(**values: Any):
    """The task with something else in place of its own."""
    return dataclass(frozen=True)(type("Changed", (Sound,), values))()


class Twofold(nn.Sequential):
    def forward(self, x):
        found = super().forward(x)
        return found, found


def of(samples, inputs=None, targets=None):
    return Samples(
        samples.inputs if inputs is None else inputs(samples.inputs),
        samples.targets if targets is None else targets(samples.targets),
    )


def both(**changes):
    return loading(lambda a, b: (of(a, **changes), of(b, **changes)))


SAMPLES = [
    (loading(lambda a, b: (of(a, targets=lambda t: t[:-9]), b)), "60 training inputs have 51"),
    (
        loading(lambda a, b: (of(a, inputs=lambda x: x[:-9]), b)),
        "51 training inputs have 60",
    ),
    (loading(lambda a, b: (a, of(b, targets=lambda t: t[:-9]))), "20 test inputs have 11 targets"),
    (loading(lambda a, b: (a, b.first(0))), "there are no test inputs"),
    (loading(lambda a, b: (a.first(0), b)), "there are no training inputs"),
    (both(inputs=lambda x: x.clone().requires_grad_()), "training inputs require gradients"),
    (both(inputs=lambda x: x / 0), "training inputs are not finite"),
    (both(inputs=lambda x: x.to(torch.uint8)), "training inputs are torch.uint8, expected floats"),
    (both(inputs=lambda x: x.numpy()), "training inputs are a ndarray, expected a tensor"),
    (
        loading(lambda a, b: (of(a, inputs=lambda x: x.double()), b)),
        "inputs differ: float64 of shape (n, 5) and float32 of shape (n, 5)",
    ),
    (loading(lambda a, b: (a, of(b, inputs=lambda x: x[:, :4]))), "(n, 5) and float32 of shape"),
    (
        loading(lambda a, b: ((a.inputs, a.targets), b)),
        "load returned a tuple, expected",
    ),
    (loading(lambda a, b: None), "load returned None"),
]
NETWORKS = [
    (both(targets=lambda t: t + 1), "training labels run from 1 to 3, but outputs have 3 columns"),
    (both(targets=lambda t: t - 1), "training labels run from -1 to 1"),
    (loading(lambda a, b: (a, of(b, targets=lambda t: t + 1))), "test labels run from 1 to 3"),
    (both(targets=lambda t: t.float()), "accuracy needs targets of integers"),
    (both(targets=lambda t: t[:, None]), "training targets are int64 of shape"),
    (both(targets=lambda t: t.to(torch.int8)), "cannot compare outputs, float32 of shape (2, 3)"),
    (both(inputs=lambda x: x[:, :4]), "its network cannot read float32 of shape (2, 4): Runtime"),
    (both(inputs=lambda x: x.double()), "its network cannot read float64 of shape (2, 5)"),
    (
        having(network=lambda self, widths: Twofold(*Sound.network(self, widths))),
        "its network returns a tuple",
    ),
    (
        having(network=lambda self, widths: Sound.network(self, widths).append(nn.Flatten(0))),
        "its network returns shape (6,)",
    ),
    (
        having(loss=property(lambda self: nn.CrossEntropyLoss(reduction="sum"))),
        "its loss grows with the number of samples",
    ),
    (
        having(loss=property(lambda self: nn.CrossEntropyLoss(reduction="none"))),
        "its loss is of shape (2,)",
    ),
]
WIDTHS = (
    having(network=lambda self, widths: Sound.network(self, [7])),
    "widths [2] became sites of widths [7]",
)


def ended(task, monkeypatch, folder):
    """How a trial of a task ends, what a plan says of its costs, and what `check` finds."""
    plugin = Plugin("sound", "task", type(task), "here")
    monkeypatch.setitem(plugins._loaded, Path("here"), [plugin])
    changes = {"tasks": ["sound"], "methods": ["fixed[size=seed]"], "seeds": "0", "start": "seed"}
    (config,) = plan(load_protocol("smoke", [changes]), baselines=False)
    *_, last = messages(Job(config), Settings(data=folder))
    (estimate,) = (Estimator([], folder).estimate(config),)
    found = [check.message for check in check_task(task, folder) if not check.ok]
    return last, estimate.basis, found


@pytest.mark.parametrize(("task", "sentence"), [*SAMPLES, *NETWORKS, WIDTHS])
def test_a_task_on_which_trials_would_mean_nothing_is_a_failed_row(
    task, sentence, monkeypatch, tmp_path
):
    last, basis, found = ended(task, monkeypatch, tmp_path)
    assert (last["type"], last["status"], last["error"]) == ("failure", "failed", "TaskError")
    assert sentence in last["message"]
    assert "\n" not in last["message"]
    assert any(sentence in message for message in found)
    assert task is WIDTHS[0] or sentence in basis


def test_what_is_sound_is_changed_by_no_look_at_it(tmp_path):
    task = having(
        network=lambda self, widths: nn.Sequential(
            nn.Linear(5, 2), nn.BatchNorm1d(2), nn.Dropout(), nn.Linear(2, 3)
        )
    )
    train, test = loaded(task, tmp_path)
    network = task.network((2,))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    generator = torch.get_rng_state()
    check_network(task, network, train, test=test)
    check_last_batch(network, train.first(42), 20)
    assert torch.equal(generator, torch.get_rng_state())
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("samples", "size", "refused"), [(41, 20, True), (40, 20, False), (5, 1, True)]
)
def test_a_last_batch_of_one_is_refused_where_batch_norm_sees_one_value(samples, size, refused):
    train = Samples(torch.randn(samples, 5), torch.zeros(samples))
    norm = nn.Sequential(nn.Linear(5, 2), nn.BatchNorm1d(2))
    if refused:
        with pytest.raises(TaskError, match=f"has 1 sample .{samples} in batches of {size}"):
            check_last_batch(norm, train, size)
    else:
        check_last_batch(norm, train, size)
    check_last_batch(nn.Linear(5, 2), train, size)
    images = Samples(torch.randn(samples, 1, 4, 4), torch.zeros(samples))
    check_last_batch(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), images, size)


def test_targets_that_torch_would_broadcast_are_refused():
    task = having(metric="loss", loss=property(lambda self: nn.MSELoss()))
    samples = Samples(torch.randn(9, 5), torch.randn(9))
    with pytest.raises(TaskError, match="its loss cannot compare outputs"):
        check_network(task, nn.Linear(5, 1), samples)
