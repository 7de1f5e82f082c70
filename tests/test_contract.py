import pickle
import random
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nas_bench import plugins
from nas_bench.contract import check_method, check_plugin, check_task
from nas_bench.contract.settings import settings
from nas_bench.growth import GrowthMethod, Need, NewNeurons, SiteError
from nas_bench.training.cifar import CIFAR10, CIFAR100
from nas_bench.training.task import DataMissingError, Samples, Task
from nas_bench.training.torchvision_data import FILES
from nas_bench.trials.planning import CONTROLS

GLOBAL = "leaves statistics and everything global alone"
VARIANTS = ("fixed[size=seed]", *CONTROLS)
BRINGS_NOTHING = ("image_arrays", "image_folder", "table")
"""Tasks whose data is a person's own."""


def failed(checks):
    """Names of the checks that failed."""
    return {check.name for check in checks if not check.ok}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with small data sets in the places and forms of those that are downloaded."""
    folder = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(0)
    for cifar in (CIFAR10, CIFAR100):
        (folder / cifar.place).mkdir()
        for name in (*cifar.train, cifar.test):
            images = draw.integers(0, 256, (200, 3072), dtype=np.uint8)
            held = {b"data": images, cifar.labels: [i % cifar.classes for i in range(200)]}
            (folder / cifar.place / name).write_bytes(pickle.dumps(held, protocol=2))
    for name in ("MNIST", "FashionMNIST"):
        (folder / name / "raw").mkdir(parents=True)
        for file in FILES:
            shape = (60, 28, 28) if "images" in file else (60,)
            values = draw.integers(0, 256 if "images" in file else 10, shape, dtype=np.uint8)
            header = struct.pack(f">I{len(shape)}I", 0x800 + len(shape), *shape)
            (folder / name / "raw" / file).write_bytes(header + values.tobytes())
    return folder


@pytest.mark.parametrize("spec", [*plugins.triggers()])
def test_every_trigger_keeps_its_contract(spec, data):
    checks = check_plugin(spec, data)
    assert [check for check in checks if not check.ok] == []
    assert len(checks) == 4


@pytest.mark.slow
@pytest.mark.parametrize("spec", [*plugins.methods(), *VARIANTS, *plugins.tasks()])
def test_every_plugin_keeps_its_contract(spec, data):
    checks = check_plugin(spec, data)
    assert [check for check in checks if not check.ok] == []
    assert spec in BRINGS_NOTHING or not any(check.message for check in checks)
    assert len(checks) >= 8


@dataclass(frozen=True)
class Honest(GrowthMethod):
    """Small random neurons; a model of good behaviour."""

    name = "honest"
    summary = "one line"

    def needs(self, site):
        return Need.NOTHING

    def propose(self, statistics, k, generator):
        p, d = statistics.grown_weight.shape[1], statistics.outputs
        draw = torch.randn(k, p + statistics.taps * d, generator=generator, dtype=torch.float64)
        return NewNeurons(draw[:, :p], draw[:, p:].reshape(k, -1, d), draw.new_zeros(k))


class OneTap(Honest):
    """Fit for linear layers and 1 × 1 convolutions alone."""

    def propose(self, statistics, k, generator):
        neurons = super().propose(statistics, k, generator)
        return replace(neurons, fan_out=neurons.fan_out[:, :1])


class TooMany(Honest):
    def propose(self, statistics, k, generator):
        return super().propose(statistics, k + 1, generator)


class WithoutBias(Honest):
    def propose(self, statistics, k, generator):
        neurons = super().propose(statistics, k, generator)
        return replace(neurons, fan_in=neurons.fan_in[:, :-1])


class WorstFirst(Honest):
    def propose(self, statistics, k, generator):
        neurons = super().propose(statistics, k, generator)
        return replace(neurons, gains=torch.arange(len(neurons), dtype=torch.float64))


class TransposedUpdate(Honest):
    def propose(self, statistics, k, generator):
        update = torch.zeros_like(statistics.next_weight).T
        return replace(super().propose(statistics, k, generator), weight_update=update)


class NotFinite(Honest):
    def propose(self, statistics, k, generator):
        neurons = super().propose(statistics, k, generator)
        return replace(neurons, fan_out=neurons.fan_out / 0)


class Undeclared(Honest):
    def propose(self, statistics, k, generator):
        _ = statistics.cross_covariance
        return super().propose(statistics, k, generator)


class RankOnly(Honest):
    def propose(self, statistics, k, generator):
        if k > statistics.outputs:
            raise IndexError("index out of range")
        return super().propose(statistics, k, generator)


class Idle(Honest):
    def propose(self, statistics, k, generator):
        return super().propose(statistics, 0, generator)


class TorchGlobal(Honest):
    def propose(self, statistics, k, generator):
        seed = int(torch.randint(1000, ()))
        return super().propose(statistics, k, torch.Generator().manual_seed(seed))


class PythonGlobal(Honest):
    def propose(self, statistics, k, generator):
        random.random()
        return super().propose(statistics, k, generator)


class NumpyGlobal(Honest):
    def propose(self, statistics, k, generator):
        np.random.rand()
        return super().propose(statistics, k, generator)


class Silent(Honest):
    def propose(self, statistics, k, generator):
        super().propose(statistics, k, generator)


class Leaving(Honest):
    def propose(self, statistics, k, generator):
        raise SystemExit(3)


class Doubling(Honest):
    def propose(self, statistics, k, generator):
        torch.set_default_dtype(torch.float64)
        return super().propose(statistics, k, generator)


class Recording(Honest):
    def propose(self, statistics, k, generator):
        torch.set_grad_enabled(False)
        return super().propose(statistics, k, generator)


class Threading(Honest):
    def propose(self, statistics, k, generator):
        torch.set_num_threads(torch.get_num_threads() + 1)
        return super().propose(statistics, k, generator)


class InPlace(Honest):
    def propose(self, statistics, k, generator):
        statistics.sums.inputs.mul_(2)
        return super().propose(statistics, k, generator)


class NotPreserving(Honest):
    preserves_function = True


class OfNothing(Honest):
    def needs(self, site):
        raise SiteError("of nothing")


class NotSilent(Honest):
    zero_fan_in = True


class SecretlySilent(Honest):
    def propose(self, statistics, k, generator):
        neurons = super().propose(statistics, k, generator)
        return replace(neurons, fan_in=torch.zeros_like(neurons.fan_in))


class Talkative(Honest):
    summary = "two\nlines"


def test_a_method_that_behaves_passes():
    assert failed(check_method(Honest())) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (TooMany, {"proposes at most k neurons of the right shapes, best first"}),
        (
            WithoutBias,
            {"proposes at most k neurons of the right shapes, best first", "grows a network"},
        ),
        (WorstFirst, {"proposes at most k neurons of the right shapes, best first"}),
        (TransposedUpdate, {"proposes at most k neurons of the right shapes, best first"}),
        (RankOnly, {"proposes at most k neurons of the right shapes, best first"}),
        (NotFinite, {"proposes finite numbers"}),
        (Undeclared, {"needs only the statistics it declares"}),
        (Idle, {"proposes neurons or an update if it says that it grows"}),
        (TorchGlobal, {"proposes the same for the same generator", GLOBAL}),
        (PythonGlobal, {GLOBAL}),
        (NumpyGlobal, {GLOBAL}),
        (InPlace, {GLOBAL}),
        (NotPreserving, {"keeps the function if it says so"}),
        (NotSilent, {"says whether its fan-in is zero"}),
        (SecretlySilent, {"says whether its fan-in is zero"}),
        (Talkative, {"declares name, summary and options"}),
    ],
)
def test_a_method_that_misbehaves_is_caught(cls, names):
    assert names <= failed(check_method(cls()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "changed"),
    [(Doubling, "default dtype"), (Recording, "grad mode"), (Threading, "number of threads")],
)
def test_a_method_that_changes_torchs_settings_is_named_and_the_settings_kept(cls, changed):
    before = settings()
    messages = {check.name: check.message for check in check_method(cls()) if not check.ok}
    assert messages == {GLOBAL: f"it changed torch's {changed}: propose must be pure"}
    assert settings() == before


def test_a_method_for_one_tap_is_told_of_the_others():
    checks = {check.name: check for check in check_method(OneTap()) if not check.ok}
    assert checks.keys() == {
        "proposes at most k neurons of the right shapes, best first",
        "grows a network",
    }
    message = checks["proposes at most k neurons of the right shapes, best first"].message
    assert message == (
        "fan_out is (1, 1, 3), as if the next layer read each position once; it needs shape "
        "(k, statistics.taps, d), here (1, 9, 3) (k = 1, a 3 × 3 convolution as the next layer, "
        "9 taps)"
    )


def test_what_is_not_neurons_is_one_reason():
    messages = {check.message for check in check_method(Silent()) if not check.ok}
    assert messages == {"TypeError: propose returned None, expected NewNeurons"}


def test_a_method_that_leaves_the_program_is_a_finding():
    messages = {check.message for check in check_method(Leaving()) if not check.ok}
    assert messages == {"it called sys.exit(3)"}


def test_a_method_that_refuses_every_network_is_told_so():
    messages = {check.message for check in check_method(OfNothing()) if not check.ok}
    assert messages == {"it refuses to grow any of the networks"}


def test_a_missing_need_is_named():
    messages = [check.message for check in check_method(Undeclared()) if not check.ok]
    assert any("declare Need.GOAL" in message for message in messages)


@dataclass(frozen=True)
class Small(Task):
    """Classification of noise; a model of good behaviour."""

    name = "small"
    summary = "one line"
    seed_widths: tuple[int, ...] = (1,)
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


class Summed(Small):
    @property
    def loss(self):
        return nn.CrossEntropyLoss(reduction="sum")


class Wider(Small):
    def network(self, widths):
        return super().network([widths[0] + 1])


class Unseeded(Small):
    def network(self, widths):
        network = super().network(widths)
        nn.init.constant_(network[0].weight, np.random.default_rng().random())
        return network


class Restless(Small):
    def load(self, folder):
        train, test = super().load(folder)
        return Samples(train.inputs + torch.rand(()), train.targets), test


class Unequal(Small):
    def load(self, folder):
        train, test = super().load(folder)
        return Samples(train.inputs[:-1], train.targets), test


class Bytes(Small):
    def load(self, folder):
        train, test = super().load(folder)
        return Samples(train.inputs.to(torch.uint8), train.targets), test


class OneHot(Small):
    def load(self, folder):
        train, test = super().load(folder)
        targets = nn.functional.one_hot(train.targets, 3).float()
        return Samples(train.inputs, targets), test


class Remote(Small):
    def fetch(self, folder):
        raise AssertionError("the contract test downloads nothing")

    def present(self, folder):
        return False

    def load(self, folder):
        self.fetch(folder)
        return super().load(folder)


def test_a_task_that_behaves_passes(tmp_path):
    assert failed(check_task(Small(), tmp_path)) == set()


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (Small(seed_widths=(9,)), "has target widths no smaller than its seed widths"),
        (Summed(), "has a loss that is the mean over samples"),
        (Wider(), "has a site for every width"),
        (Unseeded(), "draws networks from the seed alone"),
        (Restless(), "loads the same samples again"),
        (Unequal(), "loads training and test samples"),
        (Bytes(), "loads training and test samples"),
        (OneHot(), "has classes if it measures accuracy"),
    ],
)
def test_a_task_that_misbehaves_is_caught(task, name, tmp_path):
    assert name in failed(check_task(task, tmp_path))


def test_data_that_would_have_to_be_downloaded_is_not_looked_at(tmp_path):
    checks = check_task(Remote(), tmp_path)
    assert failed(checks) == set()
    assert sum("not checked" in check.message for check in checks) == 6


class Unsized(Remote):
    def network(self, widths):
        raise DataMissingError("there is no file")


def test_a_network_with_the_size_of_data_that_is_not_there_is_not_looked_at(tmp_path):
    checks = {check.name: check for check in check_task(Unsized(), tmp_path)}
    drawn = checks["draws networks from the seed alone"]
    assert drawn.ok
    assert drawn.message == "not checked: there is no file"


class Keeping(Small):
    def network(self, widths):
        return nn.Sequential(super().network(widths), nn.ReLU(), nn.Linear(3, 3))

    def grows(self, layer):
        return layer == "0.0"


def test_a_layer_that_the_task_keeps_needs_no_width(tmp_path):
    assert failed(check_task(Keeping(), tmp_path)) == set()


def test_a_broken_plugin_fails_its_check(tmp_path, monkeypatch):
    metadata = tmp_path / "stranger-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[nas_bench.methods]\nbroken_one = not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert failed(check_plugin("broken_one", Path())) == {"can be imported"}
