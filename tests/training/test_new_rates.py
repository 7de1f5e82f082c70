"""Learning rates of new entries, against optimisers with a parameter of its own for each entry."""

import math

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW
from trials.test_trial import said, trial

from nas_bench.training.new_rates import NewRates
from nas_bench.trials.config import Budget, Schedule

OPTIMIZERS = {
    "sgd": lambda params, lr: SGD(params, lr, momentum=0.9),
    "adam": Adam,
    "adamw": lambda params, lr: AdamW(params, lr, weight_decay=0.1),
}


def grown_by_hand(old, rows, columns):
    """A linear layer with more rows and columns; the old ones are the leading block."""
    new = nn.Linear(old.in_features + columns, old.out_features + rows).double()
    with torch.no_grad():
        new.weight[: old.out_features, : old.in_features] = old.weight
        new.bias[: old.out_features] = old.bias
    return new


def entries(model, rates):
    """Every entry as a parameter of its own, and the share of the learning rate it gets."""
    values = {name: p.detach().flatten().tolist() for name, p in model.named_parameters()}
    return {
        (name, index): (nn.Parameter(torch.tensor(value).double()), rates[name].flatten()[index])
        for name, numbers in values.items()
        for index, value in enumerate(numbers)
    }


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rule", ["norm", "warmup"])
def test_each_entry_moves_as_by_an_optimiser_of_its_own(optimizer, rule):
    torch.manual_seed(0)
    seed = nn.Sequential(nn.Linear(3, 2).double())
    rates = NewRates(rule, 4, seed)
    model = nn.Sequential(grown_by_hand(seed[0], rows=2, columns=1))
    rates.grown(model, step=10)
    old = torch.zeros(4, 4, dtype=torch.bool)
    old[:2, :3] = True
    weight = model[0].weight.detach()
    norm = float(weight[~old].norm() / weight[old].norm())

    def shares(step):
        new = norm if rule == "norm" else min(1.0, (step - 9) / 4)
        bias = 1.0 if rule == "norm" else new
        return {
            "0.weight": torch.where(old, 1.0, torch.tensor(new, dtype=torch.float64)),
            "0.bias": torch.tensor([1.0, 1.0, bias, bias]).double(),
        }

    own = entries(model, shares(10))
    optimizers = {key: OPTIMIZERS[optimizer]([p], 0.1) for key, (p, _) in own.items()}
    whole = OPTIMIZERS[optimizer](model.parameters(), 0.1)
    for step in range(10, 17):
        gradients = {name: torch.randn_like(p) for name, p in model.named_parameters()}
        for name, parameter in model.named_parameters():
            parameter.grad = gradients[name]
        with rates.scaled(model, step):
            whole.step()
        for (name, index), (parameter, _) in own.items():
            parameter.grad = gradients[name].flatten()[index].clone()
            share = float(shares(step)[name].flatten()[index])
            optimizers[name, index].param_groups[0]["lr"] = 0.1 * share
            optimizers[name, index].step()
        for name, parameter in model.named_parameters():
            for index, value in enumerate(parameter.detach().flatten()):
                assert value == pytest.approx(own[name, index][0].item(), abs=1e-12)


def test_stages_have_rates_of_their_own_relative_to_the_seed():
    seed = nn.Sequential(nn.Linear(2, 2, bias=False).double())
    nn.init.constant_(seed[0].weight, 1.0)
    rates, model = NewRates("norm", 1, seed), seed
    for number, value in enumerate((3.0, 0.5, 0.0)):
        wider = nn.Sequential(nn.Linear(2, 3 + number, bias=False).double())
        with torch.no_grad():
            wider[0].weight[:-1] = model[0].weight
            wider[0].weight[-1] = value
        model = wider
        rates.grown(model, step=number)
    expected = [1, 1, 3 / math.sqrt(2), 0.5 / math.sqrt(2), 1]  # what is zero keeps its rate
    torch.testing.assert_close(rates.kept["0.weight"][:, 0], torch.tensor(expected).double())


def test_old_entries_keep_their_bits():
    torch.manual_seed(0)
    seed = nn.Sequential(nn.Linear(3, 2))
    rates = NewRates("warmup", 1000, seed)
    model = nn.Sequential(nn.Linear(3, 5))
    rates.grown(model, step=0)
    alone = nn.Sequential(nn.Linear(3, 5))
    alone.load_state_dict(model.state_dict())
    for net in (model, alone):
        for p in net.parameters():
            p.grad = torch.linspace(-1, 1, p.numel()).reshape(p.shape)
    with rates.scaled(model, 3):
        Adam(model.parameters(), 0.1).step()
    Adam(alone.parameters(), 0.1).step()
    assert torch.equal(model[0].weight[:2], alone[0].weight[:2])
    assert not torch.equal(model[0].weight[2:], alone[0].weight[2:])


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["norm", "warmup"])
def test_a_trial_trains_new_entries_at_these_rates(rule):
    """The curve parts from that of the same rate for all at the first growth, and not before."""
    schedule = {"growths": 2, "every": 20, "unit": "steps", "warmup_steps": 30}
    budget = {"budget": Budget(steps=80), "evaluations": 20}
    curves = [
        [(r.step, r.train_loss) for r in said(trial("random_growth", schedule=s, **budget))[0]]
        for s in (Schedule(**schedule), Schedule(**schedule, new_rate=rule))
    ]
    same = [a == b for a, b in zip(*curves, strict=True)]
    assert same == [step <= 20 for step, _ in curves[0]]


@pytest.mark.slow
def test_a_decay_that_restarts_goes_over_what_is_left():
    """Rates at each step: half cosines from 0 to 1, 0.2 to 1 and 0.4 to 1 of the budget."""
    recipe = {"optimizer": "sgd", "learning_rate": 1e-3, "decay": "cosine"}
    schedule = Schedule(growths=2, every=20, unit="steps", restart_decay=True)
    settings = {"schedule": schedule, "recipe": recipe, "budget": Budget(steps=100)}
    running = trial("random_growth", **settings)
    rates, step = [], running._step
    group = lambda: running.now.optimizer.param_groups[0]  # noqa: E731
    running._step = lambda *batch: (rates.append(group()["lr"]), step(*batch))[1]
    said(running)
    starts = [0] * 20 + [20] * 20 + [40] * 60
    shares = [(done - start) / (100 - start) for done, start in enumerate(starts)]
    expected = [1e-3 * (1 + math.cos(math.pi * share)) / 2 for share in shares]
    assert rates == pytest.approx(expected, abs=1e-12)
