"""Updates of the grown layer's existing rows, and neurons of which only some are copies."""

import copy
from dataclasses import dataclass, replace

import oracles
import pytest
import torch
from growth import field_problems, problems
from growth.growing import grown, mean_loss

from nas_bench.growth import GrowthMethod, Need, NewNeurons, grow
from nas_bench.growth import amplitude as engine
from nas_bench.growth.widen import new_channel_moments, widen
from nas_bench.methods.net2net import Net2Net

ROWS = {name: stage for name, stage in problems.ALL.items() if name != "awkward"}
STAGES = {**ROWS, **{f"field {name}": stage for name, stage in field_problems.ALL.items()}}
SMALL = 1e-6


@dataclass(frozen=True)
class Moves(GrowthMethod):
    """Random neurons, copies among them, and random updates of both layers."""

    name = "moves"
    summary = "moves what is there"

    size: float = 0.1
    searched: bool = False
    neurons: bool = True
    weights: bool = True
    copies: bool = True
    amplitude: str = "search"

    @property
    def searches_amplitude(self):
        return self.searched

    def needs(self, site):
        return Need.NOTHING

    def propose(self, statistics, k, generator):
        return moves(self, statistics.grown_weight, statistics.next_weight, statistics.taps, k)


def moves(method, rows, weights, taps, k=3):
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    (width, p), d = rows.shape, len(weights)
    copied = torch.tensor([-1, width - 1, 0, -1, 0])[:k] if method.copies else None
    new = NewNeurons(
        fan_in=0.5 * drawn(k, p), fan_out=drawn(k, taps, d) / taps, gains=torch.zeros(k),
        weight_update=method.size * drawn(*weights.shape) if method.weights else None,
        grown_update=method.size * drawn(width, p), copied=copied,
        update_amplitude=method.amplitude,
    )  # fmt: skip
    return new if method.neurons else new.update_alone()


def site_of(stage):
    return (field_problems if hasattr(stage, "layers") else problems).site_of(stage)


def search_of(stage):
    site = site_of(stage)
    return engine.Search.at(stage.model, [site], (stage.x, stage.y), stage.loss)[site.name]


def proposal(stage, method):
    site = site_of(stage)
    first, last = (stage.model.get_submodule(name) for name in stage.site)
    return moves(method, *map(engine.matrix, (first, last)), site.taps)


def after(stage, new):
    """The widened network, in eval mode."""
    model, site = copy.deepcopy(stage.model).eval(), site_of(stage)
    moments = new_channel_moments(model, site, new, stage.batches())
    widen(model, site, new, moments)
    return model


@pytest.mark.parametrize("name", STAGES)
def test_the_loss_of_a_step_is_that_of_the_widened_network(name):
    stage, found = STAGES[name], search_of(STAGES[name])
    new = proposal(stage, Moves())
    expected = oracles.loss_value(after(stage, new), stage.x, stage.y, stage.loss)
    assert found.loss_with(found.change(found.part(new))) == pytest.approx(expected, rel=1e-9)
    halved = engine.with_amplitude(new, 0.5)
    expected = oracles.loss_value(after(stage, halved), stage.x, stage.y, stage.loss)
    assert found.loss_with(found.change(found.part(new).scaled(0.5))) == pytest.approx(
        expected, rel=1e-9
    )


@pytest.mark.parametrize("name", STAGES)
def test_without_neurons_the_rows_are_moved_and_nothing_else(name):
    stage = STAGES[name]
    new = proposal(stage, Moves(neurons=False, weights=False))
    model, by_hand = after(stage, new), copy.deepcopy(stage.model).eval()
    layer = by_hand.get_submodule(stage.site[0])
    features = layer.weight[0].numel()
    with torch.no_grad():
        layer.weight += new.grown_update[:, :features].reshape(layer.weight.shape)
        if layer.bias is not None:
            layer.bias += new.grown_update[:, features]
    for now, then in zip(model.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(now, then)


@pytest.mark.parametrize("name", STAGES)
def test_the_predicted_drop_is_the_product_with_the_gradient(name):
    stage, found = STAGES[name], search_of(STAGES[name])
    new = proposal(stage, Moves(neurons=False, weights=False))
    model = copy.deepcopy(stage.model).eval()
    layer = model.get_submodule(stage.site[0])
    gradients = torch.autograd.grad(stage.loss(model(stage.x), stage.y), list(layer.parameters()))
    rows = torch.cat([g.flatten(1) if g.dim() > 1 else g[:, None] for g in gradients], 1)
    expected = -float((rows * new.grown_update).sum())
    assert found.predicted_drop(found.part(new)) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("mode", ["search", "one", "shared"])
@pytest.mark.parametrize("neurons", [True, False])
@pytest.mark.parametrize("name", ["tanh", "tokens", "cross-entropy, relu", "deep"])
def test_rows_are_scaled_as_the_weight_update_is_and_the_drop_is_what_happens(name, neurons, mode):
    stage = ROWS[name]
    method = Moves(searched=True, neurons=neurons, copies=False, amplitude=mode)
    given = proposal(stage, method)
    step = engine.line_search(search_of(stage), given)
    if step.neurons.updates:
        factor = step.update_amplitude * step.update_scale
        for key in ("weight_update", "grown_update"):
            torch.testing.assert_close(getattr(step.neurons, key), factor * getattr(given, key))
    assert (mode == "one") <= step.neurons.updates
    found, (event,) = grown(stage, method, neurons=3, sites=[site_of(stage)],
                            search_batch=(stage.x, stage.y))  # fmt: skip
    assert event.update_amplitude == step.update_amplitude
    assert event.measured == pytest.approx(
        mean_loss(stage) - mean_loss(found), rel=1e-7, abs=1e-12
    )


def test_a_search_of_rows_finds_the_way_down():
    """Minus the gradient as the update: some amplitude lowers the loss, and it is found."""
    stage = problems.problem(2)
    gradient = torch.autograd.grad(
        stage.loss(stage.model(stage.x), stage.y), stage.model[0].weight
    )
    update = torch.cat((-gradient[0], torch.zeros(4, 1)), 1)
    new = replace(proposal(stage, Moves(neurons=False)), weight_update=None, grown_update=update)
    step = engine.line_search(search_of(stage), new)
    assert step.update_amplitude > 0
    assert step.measured > 0
    assert engine.predicted_gain(search_of(stage), new) > 0


def test_state_of_moved_rows_stays():
    stage = problems.problem(1)
    model = copy.deepcopy(stage.model)
    optimizer = torch.optim.Adam(model.parameters())
    stage.loss(model(stage.x), stage.y).backward()
    optimizer.step()
    before = {n: optimizer.state[p]["exp_avg"].clone() for n, p in model.named_parameters()}
    grow(model, stage.batches(), stage.loss, Moves(), neurons=3, where="each", optimizer=optimizer)
    for name, parameter in model.named_parameters():
        state, old = optimizer.state[parameter]["exp_avg"], before[name]
        assert torch.equal(state[tuple(slice(size) for size in old.shape)], old)
        assert float(state.abs().sum()) == pytest.approx(float(old.abs().sum()))


@pytest.mark.parametrize("policy", ["transplant", "copied"])
def test_only_copies_have_the_path_and_state_of_their_originals(policy):
    stage = problems.ALL["batch norm, tanh"]
    model = copy.deepcopy(stage.model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    stage.loss(model(stage.x), stage.y).backward()
    optimizer.step()
    model.eval()
    moments = optimizer.state[model[0].weight]["momentum_buffer"].clone()
    means = model[1].running_mean.clone()
    grow(model, stage.batches(), stage.loss, Moves(), neurons=3, where="each",
         optimizer=optimizer, policy=policy)  # fmt: skip
    new = optimizer.state[model[0].weight]["momentum_buffer"][4:]
    assert torch.equal(model[1].running_mean[4:6], means[torch.tensor([3, 0])])
    expected = moments[torch.tensor([3, 0])] if policy == "copied" else torch.zeros(2, 5)
    torch.testing.assert_close(new[:2], expected.double())
    assert not new[2].any()
    assert float(model[1].running_mean[6]) not in means.tolist()


@pytest.mark.parametrize("name", ["tanh", "batch norm"])
def test_copies_that_are_too_few_are_filled_up_with_silent_neurons(name):
    class Two(Net2Net):
        def propose(self, statistics, k, generator):
            return super().propose(statistics, min(k, 2), generator)

    stage = problems.ALL[name]
    found, (event,) = grown(stage, Two(), neurons=5, fill=True)
    assert (event.added, event.filled) == (2, 3)
    assert mean_loss(found) == pytest.approx(mean_loss(stage), rel=1e-9)
    assert len(found.model[0].weight) == 9


def test_rows_measured_before_the_layer_gained_inputs_are_moved_in_those_they_had():
    stage = problems.deep()
    found, events = grown(stage, Moves(copies=False), neurons=3, where="all")
    assert [event.added for event in events] == [3, 3]
    assert found.model[2].weight.shape == (9, 7)
    before, now = stage.model[2].weight.detach(), found.model[2].weight.detach()
    assert float((now[:6, :4] - before).norm()) > SMALL


@pytest.mark.parametrize(
    ("change", "message"),
    [(lambda rows: rows[:, :-1], r"moves proposed a grown_update of shape \(4, 5\).*\(4, 6\)"),
     (lambda rows: rows / 0, "moves proposed nan or inf"),
     (lambda rows: rows * 1j, "moves proposed complex numbers at site.*expected real ones")],
)  # fmt: skip
def test_what_cannot_be_added_to_the_rows_is_refused(change, message):
    class Wrong(Moves):
        def propose(self, statistics, k, generator):
            new = super().propose(statistics, k, generator)
            return replace(new, grown_update=change(new.grown_update))

    with pytest.raises(ValueError, match=message):
        grown(problems.problem(), Wrong())


@pytest.mark.parametrize("weights", [True, False])
def test_events_say_how_large_the_updates_were(weights):
    stage, method = problems.problem(), Moves(weights=weights)
    new = proposal(stage, method)
    _, (event,) = grown(stage, method, neurons=3)
    assert event.grown_update_norm == pytest.approx(float(new.grown_update.norm()))
    assert event.update_norm == (
        pytest.approx(float(new.weight_update.norm())) if weights else None
    )
