"""Variance Transfer's pairs against their definition."""

import pytest
import torch
from growth import problems
from growth.growing import grown, outputs, proposal, rows_of, widened
from torch import nn

from nas_bench.methods.variance_transfer import VarianceTransfer


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", problems.ALL)
def test_pairs_keep_the_function(name, training, k):
    stage = problems.ALL[name]
    model = widened(stage, proposal(stage, VarianceTransfer(), k=k))
    torch.testing.assert_close(
        outputs(model, stage.x, training), outputs(stage.model, stage.x, training)
    )


def test_pairs_are_kaiming_normal_and_the_odd_one_is_silent():
    new = proposal(problems.problem(0, sizes=(40, 30, 20)), VarianceTransfer(), k=201)
    first, second = slice(0, 200, 2), slice(1, 200, 2)
    assert torch.equal(new.fan_in[first], new.fan_in[second])
    assert torch.equal(new.fan_out[first], -new.fan_out[second])
    assert float(new.fan_in[first, :-1].var()) == pytest.approx(2 / 40, rel=0.1)
    assert float(new.fan_out[first].var()) == pytest.approx(2 / 231, rel=0.1)
    assert not new.fan_in[:, -1].any()
    assert new.fan_in[-1].any()
    assert not new.fan_out[-1].any()


@pytest.mark.parametrize("rescaling", ["linear", "root"])
@pytest.mark.parametrize("name", ["tanh", "no bias", "flatten"])
def test_rescaling_shrinks_what_is_there_but_no_bias(name, rescaling):
    stage = problems.ALL[name]
    width = len(rows_of(stage)[0])
    share = (width / (width + 3)) ** (1.0 if rescaling == "linear" else 0.5)
    model = widened(stage, proposal(stage, VarianceTransfer(rescaling=rescaling), k=3))
    before = stage.model.get_submodule(stage.site[1])
    after = model.get_submodule(stage.site[1])
    old = before.weight.shape[1]
    torch.testing.assert_close(after.weight[:, :old], share * before.weight)
    if before.bias is not None:
        assert torch.equal(after.bias, before.bias)


def test_trained_pairs_come_apart():
    """Their gradients differ in sign on one side, so no training keeps them equal."""
    stage = problems.problem(0, activation=nn.ReLU())
    model = widened(stage, proposal(stage, VarianceTransfer(), k=2)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(20):
        optimizer.zero_grad()
        stage.loss(model(stage.x), stage.y).backward()
        optimizer.step()
    old = len(rows_of(stage)[0])
    assert float((model[0].weight[old] - model[0].weight[old + 1]).detach().norm()) > 0.1


def test_a_dead_layer_gets_neurons_that_are_not_and_pairs_cost_nothing():
    stage = problems.problem(3, activation=nn.ReLU())
    with torch.no_grad():
        stage.model[0].bias.fill_(-100.0)
    found, (event,) = grown(stage, VarianceTransfer(rescaling="root"), neurons=3)
    active = (found.model[:2](stage.x)[:, 4:] > 0).double().mean(0)
    assert float(active.min()) > 0.1
    assert sum(event.flops.values()) == 0


def test_an_unknown_rescaling_is_refused():
    with pytest.raises(ValueError, match="rescaling is 'half', expected none, linear, root"):
        VarianceTransfer(rescaling="half")
