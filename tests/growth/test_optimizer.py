"""What becomes of the optimiser: old entries go on as if nothing had happened."""

import copy
from dataclasses import replace

import pytest
import torch
from growth import problems
from growth.growing import random_neurons
from torch import nn

from nas_bench.growth.optimizer import transplant
from nas_bench.growth.widen import new_channel_moments, widen

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-2
    ),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "amsgrad": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "foreach": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
}
STAGES = ["tanh", "batch norm", "tokens", "no bias"]


def trained(stage, build, steps=3):
    """A copy of the network after some steps, with its optimiser."""
    model = copy.deepcopy(stage.model).eval()
    optimizer = build(model.parameters())
    for _ in range(steps):
        step(stage, model, optimizer)
    return model, optimizer


def step(stage, model, optimizer):
    optimizer.zero_grad()
    stage.loss(model(stage.x), stage.y).backward()
    optimizer.step()


def grown(stage, model, optimizer, zero="fan_in", policy="transplant"):
    """The site grown by silent neurons, the optimiser following."""
    current = replace(stage, model=model)
    site, new = problems.site_of(current), random_neurons(stage, updated=False)
    if zero:
        new = replace(new, **{zero: torch.zeros_like(getattr(new, zero))})
    moments = new_channel_moments(model, site, new, stage.batches())
    replacements = widen(model, site, new, moments)
    transplant(optimizer, replacements, policy)
    return replacements


def leading(tensor, shape):
    return tensor[tuple(slice(size) for size in shape)]


@pytest.mark.slow
@pytest.mark.parametrize("zero", ["fan_in", "fan_out"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("name", STAGES)
def test_the_next_step_of_old_entries_is_what_it_would_have_been(name, kind, zero):
    stage = problems.ALL[name]
    model, optimizer = trained(stage, OPTIMIZERS[kind])
    twin = copy.deepcopy(model)
    twin_optimizer = OPTIMIZERS[kind](twin.parameters())
    twin_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    grown(stage, model, optimizer, zero)
    step(stage, twin, twin_optimizer)
    step(stage, model, optimizer)
    for (key, old), new in zip(twin.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(leading(new, old.shape), old, msg=lambda m, k=key: f"{k}: {m}")


@pytest.mark.parametrize("policy", ["transplant", "zeros", "reset"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_policies_do_to_the_state_what_they_say(kind, policy):
    stage = problems.ALL["tanh"]
    model, optimizer = trained(stage, OPTIMIZERS[kind])
    before = {p: dict(optimizer.state.get(p, {})) for p in model.parameters()}
    replaced = grown(stage, model, optimizer, policy=policy)
    if policy == "reset":
        assert not any(optimizer.state.get(p) for p in model.parameters())
        return
    for change in replaced:
        assert change.old not in optimizer.state
        old, new = before[change.old], optimizer.state.get(change.new, {})
        assert set(old) == set(new)
        for name, value in old.items():
            if not isinstance(value, torch.Tensor) or value.shape != change.old.shape:
                assert new[name] == value
                continue
            assert new[name].shape == change.new.shape
            torch.testing.assert_close(leading(new[name], value.shape), value)
            second = policy == "transplant" and name in ("exp_avg_sq", "max_exp_avg_sq")
            expected = float(value.mean()) if second else 0.0
            added = torch.ones_like(new[name], dtype=torch.bool)
            leading(added, value.shape)[...] = False
            assert added.sum() > 0
            torch.testing.assert_close(
                new[name][added], torch.full_like(new[name][added], expected)
            )


@pytest.mark.parametrize("policy", ["transplant", "zeros", "reset"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_new_entries_are_trained_and_groups_keep_their_options(kind, policy):
    stage = problems.ALL["tanh"]

    def build(parameters):
        first, *rest = parameters
        optimizer = OPTIMIZERS[kind]([first])
        optimizer.add_param_group({"params": rest, "lr": 0.05})
        return optimizer

    model, optimizer = trained(stage, build)
    grown(stage, model, optimizer, zero=None, policy=policy)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 3]
    assert optimizer.param_groups[1]["lr"] == 0.05
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert all(a is b for a, b in zip(held, model.parameters(), strict=True))
    before = [p.detach().clone() for p in model.parameters()]
    step(stage, model, optimizer)
    for old, new in zip(before, model.parameters(), strict=True):
        assert bool((old != new).all())


@pytest.mark.parametrize("kind", ["adam", "adamw", "foreach"])
def test_first_adam_steps_of_new_entries_are_tame_with_the_mean(kind):
    stage = problems.ALL["tanh"]
    model, optimizer = trained(stage, OPTIMIZERS[kind], steps=50)
    grown(stage, model, optimizer)
    before = model[2].weight.detach().clone()
    step(stage, model, optimizer)
    rate = optimizer.param_groups[0]["lr"]
    decay = optimizer.param_groups[0].get("weight_decay", 0.0)
    moved = (model[2].weight.detach() - before * (1 - rate * decay)).abs().max()
    assert float(moved) < 2.3 * rate


def test_growing_before_the_first_step_needs_no_state():
    stage = problems.ALL["tanh"]
    model, optimizer = trained(stage, OPTIMIZERS["adam"], steps=0)
    grown(stage, model, optimizer)
    step(stage, model, optimizer)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert all(a is b for a, b in zip(held, model.parameters(), strict=True))


def test_growing_twice_and_checkpointing_work():
    stage = problems.ALL["tanh"]
    model, optimizer = trained(stage, OPTIMIZERS["adam"])
    grown(stage, model, optimizer)
    step(stage, model, optimizer)
    again = copy.deepcopy(model)
    loaded = OPTIMIZERS["adam"](again.parameters())
    loaded.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step(stage, model, optimizer)
    step(stage, again, loaded)
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("policy", ["transplant", "zeros"])
@pytest.mark.parametrize("kind", [torch.optim.RMSprop, torch.optim.NAdam, torch.optim.Adagrad])
def test_unknown_optimisers_are_refused_before_anything_changes(kind, policy):
    stage = problems.ALL["tanh"]
    model, optimizer = trained(stage, lambda p: kind(p, lr=0.01))
    with pytest.raises(ValueError, match=kind.__name__):
        grown(stage, model, optimizer, policy=policy)


def test_an_unknown_policy_is_refused():
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    with pytest.raises(ValueError, match="hope"):
        transplant(optimizer, [], "hope")


def test_state_of_an_unknown_kind_is_refused():
    """A subclass that keeps a matrix of its own would be cut to pieces silently."""

    class Odd(torch.optim.SGD):
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p]["preconditioner"] = torch.eye(len(p), dtype=p.dtype)
            return super().step(closure)

    stage = problems.ALL["tanh"]
    model, optimizer = trained(stage, lambda p: Odd(p, lr=0.1))
    with pytest.raises(ValueError, match=r"preconditioner|Odd"):
        grown(stage, model, optimizer)
