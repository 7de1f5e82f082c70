"""GradMax against its definition, and the slopes at 0 that it needs."""

import copy
from dataclasses import replace

import oracles
import pytest
import torch
from growth import problems
from growth.growing import (
    NORMED,
    PLAIN,
    features,
    grown,
    outputs,
    own,
    proposal,
    unchanged,
    widened,
    width,
)
from oracles import moment
from torch import nn
from torch.nn import functional

from nas_bench.growth import SiteError, grow
from nas_bench.methods.gradmax import GradMax


@pytest.mark.parametrize("name", PLAIN)
def test_gradmax_takes_the_leading_singular_vectors_of_the_cross_covariance(name):
    stage = problems.ALL[name]
    rows, new = stage.rows(), proposal(stage, GradMax())
    cross = moment(rows.inputs, rows.goal)[features(stage, rows)]
    values = torch.linalg.svdvals(cross)
    torch.testing.assert_close(new.gains, values[: len(new)], rtol=1e-7, atol=0)
    assert torch.equal(new.fan_in, torch.zeros_like(new.fan_in))
    following = stage.model.get_submodule(stage.site[1])
    c = 0.5 * following.weight.detach().norm(dim=0).mean()
    omega = new.fan_out[:, 0]
    torch.testing.assert_close(omega @ omega.T, c**2 * torch.eye(len(new), dtype=c.dtype))
    torch.testing.assert_close((cross @ omega.T).norm(dim=0), c * new.gains, rtol=1e-7, atol=0)


@pytest.mark.parametrize("name", [name for name in PLAIN if name in problems.SMOOTH])
def test_gradients_of_gradmax_are_the_predicted_ones_by_autograd(name):
    """‖∂Σℓ/∂α_k‖ = σ′(0) c s_k(Ñ) n on the widened network, and ω gets none (law 10)."""
    stage = problems.ALL[name]
    rows, new = stage.rows(), proposal(stage, GradMax())
    model = widened(stage, new).eval()
    loss = sum(stage.loss(model(stage.x[i : i + 1]), stage.y[i : i + 1]) for i in range(len(rows)))
    loss.backward()
    grown, following = (model.get_submodule(layer) for layer in stage.site)
    k = len(new)
    gradient = grown.weight.grad[-k:]
    c = new.fan_out[:, 0].norm(dim=1)
    expected = stage.slope * c * new.gains * len(rows)
    torch.testing.assert_close(gradient.norm(dim=1), expected, rtol=1e-6, atol=0)
    assert float(following.weight.grad[:, -k:].abs().max()) < 1e-12
    explicit = oracles.gradmax_gradients(
        stage.model, stage.site, stage.x, stage.y, stage.loss, new.fan_out[:, 0]
    )
    torch.testing.assert_close(
        gradient, stage.slope * explicit[:, features(stage, rows)], rtol=1e-6, atol=1e-10
    )


@pytest.mark.parametrize("name", PLAIN)
def test_no_orthonormal_fan_out_has_larger_gradients_than_gradmaxs(name):
    stage = problems.ALL[name]
    rows, new = stage.rows(), proposal(stage, GradMax(), k=2)
    cross = moment(rows.inputs, rows.goal)[features(stage, rows)]
    best = float((cross @ new.fan_out[:, 0].T).square().sum())
    c = float(new.fan_out[0].norm())
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        omega = torch.randn(cross.shape[1], len(new), generator=generator, dtype=torch.float64)
        other = c * torch.linalg.qr(omega).Q
        assert float((cross @ other).square().sum()) <= best * (1 + 1e-9)


@pytest.mark.parametrize("name", NORMED)
def test_gradmax_behind_batch_norm_centres_the_inputs(name):
    """Training mode removes means: Ñ of u − E u."""
    stage = problems.ALL[name]
    rows, new = stage.rows(), proposal(stage, GradMax())
    centred = oracles.centred(rows.inputs)[..., features(stage, rows)]
    values = torch.linalg.svdvals(moment(centred, rows.goal))
    torch.testing.assert_close(new.gains, values[: len(new)], rtol=1e-7, atol=0)


def test_gradients_behind_batch_norm_are_those_of_training_mode():
    """Direction and size of ∂Σℓ/∂α_k in training mode are c s_k n, up to the batch's moments."""
    stage = problems.problem(4, activation=nn.Identity(), head=problems.with_batch_norm)
    norm = stage.model[1]
    with torch.no_grad():
        z = stage.model[0](stage.x)
        norm.running_mean.copy_(z.mean(0))
        norm.running_var.copy_(z.var(0, unbiased=False))
    new = proposal(stage, GradMax())
    model = widened(stage, new).train()
    model[3].eval()
    (len(stage.x) * stage.loss(model(stage.x), stage.y)).backward()
    measured = model[0].weight.grad[-len(new) :].norm(dim=1)
    expected = new.fan_out[:, 0].norm(dim=1) * new.gains * len(stage.x)
    torch.testing.assert_close(measured, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", problems.ALL)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_gradmax_keeps_the_function(name, training):
    stage = problems.ALL[name]
    model = widened(stage, proposal(stage, GradMax()))
    torch.testing.assert_close(
        outputs(model, stage.x, training), outputs(stage.model, stage.x, training)
    )


def test_gradmaxs_gains_are_not_invariant_under_linear_maps():
    """Unlike TINY's (law 9)."""
    stage = problems.problem(1)
    units = torch.linspace(0.1, 10, 5, dtype=torch.float64)
    model = copy.deepcopy(stage.model)
    with torch.no_grad():
        model[0].weight /= units
    other = replace(stage, model=model, x=stage.x * units)
    gains = proposal(other, GradMax()).gains
    assert not torch.allclose(gains, proposal(stage, GradMax()).gains, rtol=0.1)


def test_gradmax_offers_no_more_than_the_rank():
    softmax = problems.problem(1, loss="cross_entropy", sizes=(8, 4, 4), samples=100)
    assert len(proposal(softmax, GradMax(), k=10)) == 3
    narrow = problems.problem(1, sizes=(2, 4, 6), samples=100)
    assert len(proposal(narrow, GradMax(), k=10)) == 2


def test_gradmax_has_nothing_for_a_next_layer_of_zeros():
    """Fan-outs are as large as its columns: with both sides zero no neuron would ever learn."""
    stage = own(problems.problem(0))
    nn.init.zeros_(stage.model[2].weight)
    after, (event,) = grown(stage, GradMax())
    assert event.status == "not possible"
    assert (event.proposed, event.added) == (0, 0)
    assert unchanged(stage, after)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6()], ids=str)
@pytest.mark.parametrize("normed", [False, True], ids=["plain", "batch norm"])
def test_gradmax_arranges_a_slope_where_modules_allow_it(activation, normed):
    head = problems.with_batch_norm if normed else None
    stage = problems.problem(1, activation=activation, head=head)
    after, (event,) = grown(stage, GradMax())
    assert event.added == 2
    torch.testing.assert_close(outputs(after.model, stage.x), outputs(stage.model, stage.x))
    model = after.model.eval()
    stage.loss(model(stage.x), stage.y).backward()
    gradient = model[0].weight.grad
    assert float(gradient[-2:].norm(dim=1).min()) > 1e-6
    values = torch.linspace(-9, 9, 37, dtype=torch.float64)
    index = 2 if normed else 1
    assert torch.equal(model[index](values), activation(values.clone()))


@pytest.mark.parametrize(
    "call",
    [functional.relu, torch.relu, lambda x: x.relu()],
    ids=["F.relu", "torch.relu", "x.relu"],
)
def test_gradmax_refuses_functional_relu_and_changes_nothing(call):
    model = problems.Functional(call, (5, 4, 3))
    stage = replace(problems.problem(0), model=model, site=("reading", "middle"))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(SiteError, match="derivative 0"):
        grow(model, stage.batches(), stage.loss, GradMax())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_gradmax_refuses_a_functional_relu_behind_a_module_and_replaces_neither():
    """The module alone could get a slope; behind it the function would still have none."""

    class Twofold(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.act, self.two = nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)

        def forward(self, x):
            return self.two(torch.relu(self.act(self.one(x))))

    stage = replace(problems.problem(0), model=Twofold().double(), site=("one", "two"))
    before = copy.deepcopy(stage)
    with pytest.raises(SiteError, match="derivative 0"):
        grow(stage.model, stage.batches(), stage.loss, GradMax())
    assert type(stage.model.act) is nn.ReLU
    assert unchanged(before, stage)


def test_a_refusal_at_one_site_changes_no_other():
    class Half(problems.Functional):
        def __init__(self):
            super().__init__(torch.relu, (5, 4, 3))
            self.act = nn.ReLU()

        def forward(self, x):
            return self.writing(torch.relu(self.middle(self.act(self.reading(x)))))

    model, stage = Half(), problems.problem(0)
    with pytest.raises(SiteError):
        grow(model, stage.batches(), stage.loss, GradMax())
    assert type(model.act) is nn.ReLU


@pytest.mark.parametrize(
    "call",
    [torch.tanh, functional.gelu, functional.selu, torch.selu_],
    ids=["tanh", "gelu", "selu", "selu in place"],
)  # fmt: skip
def test_gradmax_grows_where_the_slope_is_not_zero(call):
    model = problems.Functional(call, (5, 4, 3))
    stage = replace(problems.problem(0), model=model, site=("reading", "middle"))
    events = grow(model, stage.batches(), stage.loss, GradMax(), neurons=2, where="all")
    assert [event.added for event in events] == [2, 2]
    stage.loss(model(stage.x), stage.y).backward()
    assert float(model.reading.weight.grad[-2:].norm(dim=1).min()) > 0


def test_gradmax_grows_behind_clamps_only_if_this_torch_gives_them_a_slope():
    """The derivative of clamp_min at its bound is 1 in some versions of torch, 0 in others."""
    model = problems.Functional(lambda x: x.clamp_min(0), (5, 4, 3))
    stage = problems.problem(0)
    zero = torch.zeros(1, requires_grad=True)
    (slope,) = torch.autograd.grad(zero.clamp_min(0).sum(), zero)
    if float(slope) == 0:
        with pytest.raises(SiteError, match="derivative 0"):
            grow(model, stage.batches(), stage.loss, GradMax(), neurons=2, where="all")
        return
    grow(model, stage.batches(), stage.loss, GradMax(), neurons=2, where="all")
    stage.loss(model(stage.x), stage.y).backward()
    assert float(model.reading.weight.grad[-2:].norm(dim=1).min()) > 0


def test_gradmax_can_grow_again_where_it_arranged_the_slope():
    stage = own(problems.problem(1, activation=nn.ReLU()))
    for expected in (6, 8):
        (event,) = grow(stage.model, stage.batches(), stage.loss, GradMax(), neurons=2)
        assert event.added == 2
        assert width(stage) == expected
    assert torch.equal(stage.model.eval()[1](torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 2.0]))
