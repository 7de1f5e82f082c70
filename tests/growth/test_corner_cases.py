"""What ordinary models do that the stages do not: shared activations, aliases, empty proposals."""

import pytest
import torch
from growth import field_problems as problems
from growth.field_problems import statistics
from torch import nn
from torch.nn import functional

from nas_bench import plugins
from nas_bench.growth import grow
from nas_bench.growth.calibrate import calibrate, uncalibrated
from nas_bench.growth.method import Need
from nas_bench.growth.paths import UnitSlopeReLU
from nas_bench.growth.rerun import Rerun
from nas_bench.growth.sites import set_unit_slopes, unit_slopes

GRADMAX = plugins.method("gradmax")


def rows(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def shared():
    torch.manual_seed(0)
    activation = nn.ReLU()
    return nn.Sequential(nn.Linear(5, 4), activation, nn.Linear(4, 4), activation, nn.Linear(4, 3))


def test_an_activation_that_is_used_twice_gets_its_slope_everywhere():
    model, x, y = shared(), rows(60, 5), torch.arange(60) % 3
    grow(model, [(x, y)], nn.CrossEntropyLoss(), GRADMAX, neurons=2, where="each")
    assert isinstance(model[1], UnitSlopeReLU)
    assert model[3] is model[1]
    functional.cross_entropy(model(x), y).backward()
    assert all(model[i].weight.grad[4:].norm() > 0 for i in (0, 2))
    again = shared()
    set_unit_slopes(again, unit_slopes(model))
    assert again[3] is again[1]
    assert isinstance(again[3], UnitSlopeReLU)


@pytest.mark.parametrize("where", ["all", "best", "each"])
def test_sites_with_nothing_to_propose_do_not_stop_the_others(where):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 4),
        nn.ReLU(), nn.Linear(4, 3),
    )  # fmt: skip
    x, y = rows(60, 2, 6, 6), torch.arange(60) % 3
    method = plugins.method("tiny[projection=false]")
    events = grow(model, [(x, y)], nn.CrossEntropyLoss(), method, neurons=2, where=where)
    assert len(events) == 3
    assert any(event.proposed == 0 for event in events)


def test_gradients_behind_a_flattened_batch_norm_are_those_of_training_mode():
    """Law 10: batch norm behind a flatten removes the mean of every position by itself."""
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(2 * 9, dtype=torch.float64)
    layers = [nn.Conv2d(2, 2, 2), nn.Flatten(), norm, nn.Tanh(), nn.Linear(18, 3)]
    model = nn.Sequential(*layers).double()
    x = rows(40, 2, 4, 4).double() + rows(1, 2, 4, 4).double()
    y = rows(40, 3).double()
    loss = nn.MSELoss()
    calibrate(model, uncalibrated(model), [(x, y)])
    norm.num_batches_tracked.fill_(1000)
    before = len(model[0].weight)
    (event,) = grow(model, [(x, y)], loss, GRADMAX, neurons=3)
    assert event.added == 3
    model.train()
    (40 * loss(model(x), y)).backward()
    measured = model[0].weight.grad[before:].flatten(1).norm(dim=1)
    c = model[4].weight[:, 9 * before :].detach().reshape(3, 3, 9).norm(dim=(0, 2))
    torch.testing.assert_close(measured, c * torch.tensor(event.gains) * 40, rtol=1e-2, atol=0)


class Aliasing(nn.Module):
    """Hands its input through a module and changes it in place afterwards."""

    def __init__(self):
        super().__init__()
        self.same, self.activation = nn.Identity(), nn.ReLU(inplace=True)
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        x = x + 0.0
        h = self.activation(self.same(x))
        return x + self.layer(h)


def test_a_module_that_returns_its_input_is_run_again():
    torch.manual_seed(0)
    model, x = Aliasing().eval(), rows(8, 4)
    rerun = Rerun(model, "layer")
    with torch.no_grad():
        for _ in range(2):
            with rerun:
                assert torch.equal(model(x), rerun_free(model, x))


def rerun_free(model, x):
    h = torch.relu(x)
    return h + functional.linear(h, model.layer.weight, model.layer.bias)


def test_batch_norms_are_not_calibrated_on_single_samples():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    model[1].running_mean.fill_(7.0)
    single = [(rows(1, 3), rows(1, 1))] * 4
    with pytest.raises(ValueError, match="larger batches"):
        calibrate(model, uncalibrated(model, young=True), single)
    assert model[1].running_mean.tolist() == [7.0, 7.0]


def test_a_batch_norm_without_momentum_is_calibrated_too():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, momentum=None))
    assert uncalibrated(model) == [model[1]]


def test_samples_are_bounded_by_the_rows_that_are_kept():
    layers = [nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    stage = problems.built(0, (2, 40, 40), [*layers, nn.Flatten(), nn.Linear(3, 2)], samples=30)
    samples = statistics(stage, 10, Need.PATCHES | Need.SAMPLES).samples
    assert samples.inputs.shape[:2] == (20_000 // 1600, 1600)


def test_dropout_that_stays_on_is_refused_however_it_is_spelled():
    from nas_bench.growth import survey

    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 2), nn.Linear(2, 1)

        def forward(self, x):
            return self.second(torch.dropout(torch.relu(self.first(x)), 0.5, True))

    (refusal, *_) = survey(Dropping(), rows(2, 3)).refusals
    assert "stays random in eval mode" in refusal.reason
