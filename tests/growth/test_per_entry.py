"""Policies for new entries against plain optimisers of a network grown by hand."""

import copy

import pytest
import torch
from growth import problems
from growth.test_optimizer import grown, step
from torch import nn

from nas_bench.growth import PerEntryAdam
from nas_bench.growth.optimizer import transplant
from nas_bench.growth.widen import new_channel_moments, widen
from nas_bench.methods.net2net import Net2Net

KINDS = {
    "adam": (torch.optim.Adam, {"lr": 0.01}),
    "adam, decayed": (torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.1}),
    "adamw": (torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
    "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
}
EACH = pytest.mark.parametrize("kind", KINDS)


def per_entry(kind, parameters):
    plain, options = KINDS[kind]
    if plain is torch.optim.SGD:
        return plain(parameters, **options)
    return PerEntryAdam(parameters, decoupled=plain is torch.optim.AdamW, **options)


@EACH
def test_where_nothing_grows_it_is_torchs(kind):
    stage, models = problems.ALL["batch norm"], []
    plain, options = KINDS[kind]
    for build in (lambda p: plain(p, **options), lambda p: per_entry(kind, p)):
        model = copy.deepcopy(stage.model).eval()
        optimizer = build(model.parameters())
        for _ in range(7):
            step(stage, model, optimizer)
        models.append(model)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@EACH
@pytest.mark.parametrize("growths", [1, 2])
def test_every_block_trains_as_under_an_optimiser_of_its_own(kind, growths):
    """Old entries under the one they had, new ones under one that starts when they do."""
    stage = problems.problem(0, activation=nn.Tanh())
    plain, options = KINDS[kind]
    model = copy.deepcopy(stage.model)
    optimizer = per_entry(kind, model.parameters())
    blocks = [[p.detach().clone().requires_grad_() for p in model.parameters()]]
    own = [plain(blocks[0], **options)]

    def together():
        firsts, biases, seconds = ([block[i] for block in blocks] for i in (0, 1, 2))
        hidden = torch.tanh(stage.x @ torch.cat(firsts).T + torch.cat(biases))
        return hidden @ torch.cat(seconds, 1).T + blocks[0][3]

    def both():
        step(stage, model, optimizer)
        for each in own:
            each.zero_grad()
        stage.loss(together(), stage.y).backward()
        for each in own:
            each.step()

    for _ in range(growths):
        for _ in range(5):
            both()
        width = len(model[0].weight)
        grown(stage, model, optimizer, zero=None, policy="per_entry")
        new = [model[0].weight[width:], model[0].bias[width:], model[2].weight[:, width:]]
        blocks.append([w.detach().clone().requires_grad_() for w in new])
        own.append(plain(blocks[-1], **options))
    for _ in range(5):
        both()
    torch.testing.assert_close(model[0].weight, torch.cat([b[0] for b in blocks]))
    torch.testing.assert_close(model[0].bias, torch.cat([b[1] for b in blocks]))
    torch.testing.assert_close(model[2].weight, torch.cat([b[2] for b in blocks], 1))
    torch.testing.assert_close(model[2].bias, blocks[0][3])


@EACH
def test_copies_train_on_as_under_a_plain_optimiser_with_the_state_of_their_originals(kind):
    stage, method = problems.problem(0, activation=nn.Tanh()), Net2Net()
    plain, options = KINDS[kind]
    model = copy.deepcopy(stage.model)
    optimizer = plain(model.parameters(), **options)
    for _ in range(5):
        step(stage, model, optimizer)
    old = [p.detach().clone().requires_grad_() for p in model.parameters()]
    first = plain(old, **options)
    first.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    site = problems.site_of(problems.replace(stage, model=model))
    measured = problems.statistics(problems.replace(stage, model=model), needs=method.needs(site))
    new = method.propose(measured, 3, torch.Generator().manual_seed(0))
    width = len(model[0].weight)
    transplant(optimizer, widen(model, site, new, None), "copied")
    parts = [model[0].weight[width:], model[0].bias[width:], model[2].weight[:, width:]]
    added = [part.detach().clone().requires_grad_() for part in parts]
    with torch.no_grad():
        old[2].copy_(model[2].weight[:, :width])  # which has given its copies their shares
    second = plain(added, **options)
    for original, part, dim in zip(old, added, (0, 0, 1), strict=False):
        second.state[part] = {
            name: value.index_select(dim, new.copied) if value.dim() else value.clone()
            for name, value in first.state[original].items()
        }
    for _ in range(5):
        step(stage, model, optimizer)
        first.zero_grad()
        second.zero_grad()
        rows, biases = torch.cat([old[0], added[0]]), torch.cat([old[1], added[1]])
        hidden = torch.tanh(stage.x @ rows.T + biases)
        outputs = hidden @ torch.cat([old[2], added[2]], 1).T + old[3]
        stage.loss(outputs, stage.y).backward()
        first.step()
        second.step()
    torch.testing.assert_close(model[0].weight, torch.cat([old[0], added[0]]))
    torch.testing.assert_close(model[0].bias, torch.cat([old[1], added[1]]))
    torch.testing.assert_close(model[2].weight, torch.cat([old[2], added[2]], 1))
    torch.testing.assert_close(model[2].bias, old[3])


def test_state_goes_into_checkpoints_bit_for_bit():
    stage = problems.ALL["tanh"]
    model = copy.deepcopy(stage.model)
    optimizer = PerEntryAdam(model.parameters())
    step(stage, model, optimizer)
    grown(stage, model, optimizer, policy="per_entry")
    step(stage, model, optimizer)
    again = copy.deepcopy(model)
    loaded = PerEntryAdam(again.parameters())
    loaded.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step(stage, model, optimizer)
    step(stage, again, loaded)
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_adam_that_counts_steps_of_tensors_is_refused_with_the_cure():
    model = nn.Linear(2, 2)
    for kind, said in ((torch.optim.Adam, "parameters()"), (torch.optim.AdamW, "decoupled=True")):
        with pytest.raises(ValueError, match="PerEntryAdam") as raised:
            transplant(kind(model.parameters()), [], "per_entry")
        assert said in str(raised.value)


@EACH
@pytest.mark.parametrize("policy", ["copied", "transplant"])
@pytest.mark.parametrize("name", ["tanh", "batch norm", "flatten"])
def test_copies_start_with_the_state_of_their_originals(name, policy, kind):
    stage = problems.ALL[name]
    model = copy.deepcopy(stage.model).eval()
    optimizer = per_entry(kind, model.parameters())
    for _ in range(3):
        step(stage, model, optimizer)
    before = {n: optimizer.state[p] for n, p in model.named_parameters()}
    own = problems.replace(stage, model=model)
    site = problems.site_of(own)
    new = Net2Net().propose(
        problems.statistics(own, needs=Net2Net().needs(site)), 3, torch.Generator().manual_seed(0)
    )
    moments = new_channel_moments(model, site, new, own.batches())
    replaced = {id(r.new): r for r in widen(model, site, new, moments)}
    transplant(optimizer, list(replaced.values()), policy)
    met = 0
    for key, parameter in model.named_parameters():
        change = replaced.get(id(parameter))
        if change is None:
            continue
        for part, value in before[key].items():
            if not isinstance(value, torch.Tensor) or value.shape != change.old.shape:
                continue
            added = optimizer.state[parameter][part].narrow(
                change.dim, value.shape[change.dim], len(change.copied)
            )
            same = torch.equal(added, value.index_select(change.dim, change.copied))
            assert same == (policy == "copied"), (key, part)
            met += 1
    assert met >= 3


@pytest.mark.parametrize(
    "options", [{"lr": -1}, {"lr": float("nan")}, {"eps": -1}, {"weight_decay": -1}]
)
def test_numbers_with_which_nothing_trains_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .*, expected a finite number"):
        PerEntryAdam(nn.Linear(2, 2).parameters(), **options)
    with pytest.raises(ValueError, match="betas are"):
        PerEntryAdam(nn.Linear(2, 2).parameters(), betas=(0.9, 1.0))
