"""What would go wrong without a word is refused in one sentence, or made right."""

import copy

import pytest
import torch
from torch import distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import prune
from torch.utils.data import DataLoader, TensorDataset

from nas_bench.growth import SiteError, find_sites, grow, named_site, survey
from nas_bench.growth.sites import set_unit_slopes, unit_slopes
from nas_bench.methods.gradmax import GradMax
from nas_bench.methods.net2net import Net2Net
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.tiny import Tiny

EAGER = Tiny(significance=False)
SILENT = RandomGrowth(zero_fan_out=True)
METHODS = [EAGER, GradMax(), RandomGrowth(), Net2Net()]
CROSS_ENTROPY = nn.CrossEntropyLoss()


def network(activation=None, norm=False):
    torch.manual_seed(0)
    between = [nn.BatchNorm1d(4), activation or nn.ReLU()] if norm else [activation or nn.ReLU()]
    return nn.Sequential(nn.Linear(5, 4), *between, nn.Linear(4, 3))


def data(samples=90):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(samples, 5, generator=generator)
    return x, torch.randint(3, (samples,), generator=generator)


def refusal(model, batches=None, loss=CROSS_ENTROPY, method=EAGER, **options):
    """The one sentence with which growth is refused; the model then is as before."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError) as error:  # noqa: PT011
        grow(model, batches or [data()], loss, method, **({"where": "each"} | options))
    after = model.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=0, equal_nan=True)
    assert "\n" not in str(error.value)
    return str(error.value)


class Calling(nn.Module):
    """A network whose forward is given."""

    def __init__(self, forward, **modules):
        super().__init__()
        torch.manual_seed(0)
        self.call, self.one, self.two = forward, nn.Linear(5, 4), nn.Linear(4, 3)
        self.act = nn.ReLU()
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.call(self, x)


# Weights that are not to be changed, or not there


@pytest.mark.parametrize("key", ["0.weight", "0.bias", "2.weight", "2.bias"])
def test_a_site_with_a_frozen_layer_does_not_grow(key):
    model = network()
    model.get_parameter(key).requires_grad_(False)
    assert f"{key.replace('.', ' has a frozen ')}" in refusal(model)
    named = named_site(model, data()[0][:2], "0", "2", ["1"])
    assert "has a frozen" in refusal(model, sites=[named])


def test_sites_beside_a_frozen_layer_grow():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    model[0].requires_grad_(False)
    before = copy.deepcopy(model[0].state_dict())
    events = grow(model, [data()], CROSS_ENTROPY, EAGER, neurons=2, where="all")
    assert [event.site for event in events] == ["2"]
    assert all(torch.equal(model[0].state_dict()[k], v) for k, v in before.items())


@pytest.mark.parametrize("index", [0, 2])
@pytest.mark.parametrize("key", ["weight", "bias"])
def test_pruned_parameters_are_refused(index, key):
    model = network()
    prune.random_unstructured(model[index], key, amount=0.5)
    assert f"parametrised {key} (or a pruned one)" in refusal(model)


# Hooks


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("kind", ["register_forward_hook", "register_forward_pre_hook"])
@pytest.mark.parametrize("method", [EAGER, GradMax()], ids=lambda m: m.name)
def test_hooks_on_modules_of_a_site_are_refused(index, kind, method):
    model = network(nn.Tanh() if method is EAGER else None)
    (site,) = find_sites(model, data()[0][:2])
    getattr(model[index], kind)(lambda *_: None)
    assert "has forward hooks" in refusal(model, method=method)
    assert "has forward hooks" in refusal(model, method=method, sites=[site])


@pytest.mark.parametrize("key", ["0.weight", "0.bias", "2.weight"])
@pytest.mark.parametrize("kind", ["register_hook", "register_post_accumulate_grad_hook"])
def test_hooks_on_parameters_that_become_wider_are_refused(key, kind):
    model = network()
    getattr(model.get_parameter(key), kind)(lambda *_: None)
    assert "has hooks on its" in refusal(model)


@pytest.mark.parametrize("index", [1, 2, 3])
@pytest.mark.parametrize("kind", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_added_after_sites_were_found_are_refused(index, kind):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 2), nn.Dropout(), nn.Tanh(), nn.Flatten(), nn.Linear(4, 3)
    )
    x = torch.randn(90, 1, 2, 2)
    (site,) = find_sites(model, x[:2])
    assert site.modules == ("0", "4", "1", "2", "3")
    getattr(model[index], kind)(lambda *_: None)
    message = refusal(model, [(x, data()[1])], sites=[site])
    assert f"site 0 cannot grow: {index} has forward hooks" in message


@pytest.mark.parametrize("kind", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_around_a_part_of_a_site_are_refused(kind):
    model = nn.Sequential(nn.Linear(5, 4), nn.Sequential(nn.ReLU(), nn.Dropout()), nn.Linear(4, 3))
    (site,) = find_sites(model, data()[0][:2])
    getattr(model[1], kind)(lambda *_: None)
    assert "1 has forward hooks" in refusal(model, sites=[site])
    assert "1 has forward hooks" in refusal(model)


def test_hooks_elsewhere_do_no_harm():
    model = Calling(lambda s, x: s.two(s.act(s.one(s.stem(x)))), stem=nn.Tanh())
    model.stem.register_forward_hook(lambda _, __, output: 2 * output)
    (event,) = grow(model, [data()], CROSS_ENTROPY, EAGER, neurons=2)
    assert event.added > 0


def test_a_hook_around_a_whole_site_does_no_harm():
    model = nn.Sequential(nn.Tanh(), network())
    model[1].register_forward_hook(lambda _, __, output: 2 * output)
    before = float(CROSS_ENTROPY(model(data()[0]), data()[1]).detach())
    (event,) = grow(model, [data()], CROSS_ENTROPY, EAGER, neurons=2)
    after = float(CROSS_ENTROPY(model(data()[0]), data()[1]).detach())
    assert event.measured == pytest.approx(before - after, abs=1e-6)


# Randomness


@pytest.mark.parametrize("place", ["stem", "tail"])
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_what_stays_random_in_eval_mode_is_refused(place, method):
    def forward(self, x):
        x = functional.dropout(x, 0.5) if place == "stem" else x
        y = self.two(self.act(self.one(x)))
        return y if place == "stem" else functional.dropout(y, 0.5)

    assert "stays random" in refusal(Calling(forward), method=method)


def test_growing_twice_draws_other_neurons_and_the_same_after_the_same_seed_of_torch():
    def after(seed):
        model = network()
        torch.manual_seed(seed)
        for _ in range(2):
            grow(model, [data()], CROSS_ENTROPY, SILENT, neurons=2, where="each")
        return model[0].weight.detach()

    weight = after(3)
    assert float(functional.cosine_similarity(weight[4:6], weight[6:8]).abs().max()) < 0.999
    assert torch.equal(weight, after(3))
    assert not torch.equal(weight, after(4))


def test_a_seed_leaves_the_generator_of_torch_alone():
    state = torch.get_rng_state()
    model = network()
    torch.set_rng_state(state)
    grow(model, [data()], CROSS_ENTROPY, SILENT, neurons=2, where="each", seed=0)
    assert torch.equal(torch.get_rng_state(), state)


# Precision


@pytest.mark.parametrize("index", [0, 2])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_anywhere_is_refused(index, dtype):
    model = nn.Sequential(*network(), nn.ReLU(), nn.Linear(3, 3))
    model[index].to(dtype)
    site = named_site(nn.Sequential(*network()), data()[0][:2], "0", "2", ["1"])
    assert "too coarse to grow" in refusal(model, sites=[site])


def test_sites_in_single_and_in_double_precision_are_refused():
    model = nn.Sequential(*network(), nn.ReLU(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
    sites = find_sites(model, data()[0][:2])
    model[4].double()
    message = "float32 (0.weight) and float64 (4.weight), expected one precision"
    assert message in refusal(model, sites=sites)


def test_what_does_not_grow_may_be_in_another_precision():
    model = Calling(lambda s, x: s.tail(s.two(s.act(s.one(x))).double()), tail=nn.Linear(3, 3))
    model.tail.double()
    model.temperature = nn.Parameter(torch.ones((), dtype=torch.float64))
    sites = [site for site in find_sites(model, data()[0][:2]) if site.name == "one"]
    before = model(data()[0])
    (event,) = grow(model, [data()], CROSS_ENTROPY, SILENT, neurons=2, sites=sites)
    assert event.added == 2
    torch.testing.assert_close(model(data()[0]), before)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_autocast_inside_forward_is_refused(method, norm):
    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.two(self.act(self.norm(self.one(self.stem(x))))).float()

    between = nn.BatchNorm1d(4) if norm else nn.Identity()
    model = Calling(forward, stem=nn.Linear(5, 5), norm=between)
    sites = [site for site in find_sites(model, data()[0][:2]) if site.name == "one"]
    message = refusal(model, method=method, sites=sites, where="best")
    assert "switches autocast on" in message


def test_inference_mode_is_refused():
    with torch.inference_mode():
        assert "torch.inference_mode" in refusal(network())
    with torch.inference_mode():
        model = network()
    with pytest.raises(ValueError, match="inference_mode"):
        grow(model, [data()], CROSS_ENTROPY, EAGER)


def test_parameters_without_values_are_refused_with_the_cure():
    lazy = nn.Sequential(nn.LazyLinear(3), nn.ReLU(), nn.Linear(3, 2))
    for model, cure in ((lazy, "pass one batch through"), (network().to("meta"), "meta device")):
        with pytest.raises(ValueError, match=cure):
            grow(model, [data()], CROSS_ENTROPY, EAGER)


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel])
def test_a_wrapped_model_is_refused_with_the_cure(wrap):
    with pytest.raises(SiteError, match="grow the module that it wraps, and wrap that anew"):
        grow(wrap(network()), [data()], CROSS_ENTROPY, EAGER)


def test_data_made_in_inference_mode_is_as_good_as_any():
    with torch.inference_mode():
        batches = [tuple(x + 0 for x in data())]
    (event,) = grow(network(), batches, CROSS_ENTROPY, EAGER, neurons=2, seed=0)
    (expected,) = grow(network(), [data()], CROSS_ENTROPY, EAGER, neurons=2, seed=0)
    assert event.gains == expected.gains


# Data


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_a_sample_that_is_not_finite_is_named(method, norm, value):
    (x, y), (search, wanted) = data(), data()
    x[77, 2] = value
    batches = list(zip(x.split(30), y.split(30), strict=True))
    options = {"where": "best", "fill": True, "search_batch": (search, wanted)}
    if method.needs(find_sites(network(), x[:2])[0]):
        message = refusal(network(norm=norm), batches, method=method, **options)
        assert "nan or inf" in message
        if not norm:
            assert "batch 3" in message
            assert "number 17" in message
    message = refusal(network(), batches, method=method, where="best", fill=True)
    assert "nan or inf" in message


def test_a_loss_that_is_not_finite_is_named():
    x, y = data()[0], torch.ones(90, 3)
    y[40] = float("nan")
    batches = list(zip(x.split(30), y.split(30), strict=True))
    message = refusal(network(), batches, nn.MSELoss(), search_batch=(x[:30], y[:30]))
    assert "the loss of batch 2 is nan" in message


def test_an_empty_batch_is_named():
    x, y = data()
    assert "batch 2 is empty" in refusal(network(), [(x, y), (x[:0], y[:0])])
    model = network()
    message = refusal(model, [(x, y), (x[:0], y[:0])], search_batch=(x, y))
    assert "batch 2 is empty" in message


def test_a_batch_of_one_sample_is_as_good_as_any():
    x, y = data(31)
    batches = list(zip(x.split(30), y.split(30), strict=True))
    (event,) = grow(network(), batches, CROSS_ENTROPY, EAGER, neurons=2)
    assert event.added > 0


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ((*data(), torch.ones(90)), r"batch 1 is 3 parts, .*\(inputs, \(targets, weights\)\)"),
        ({"x": 1}, "batch 1 is a dict"),
        (((data()[0],), data()[1]), "batch 1 has a tuple as inputs"),
        ((data()[0], 3), "batch 1 has a int among its targets"),
        ((data()[0], data()[1][:5]), r"90 samples and targets of shape \(5,\)"),
    ],
    ids=["weights", "dict", "tuple", "number", "too few"],
)
def test_batches_that_are_no_pairs_are_refused(batch, words):
    with pytest.raises(ValueError, match=words):
        grow(network(), [batch], CROSS_ENTROPY, EAGER)


def test_a_loader_of_batches_that_adds_a_dimension_is_refused():
    loader = DataLoader([data()], batch_size=1)
    assert "needs batch_size=None" in refusal(network(), loader)


def test_a_loader_that_is_not_the_cause_is_not_blamed():
    x, y = data()
    for batches in ([(x, y + 7)], DataLoader(TensorDataset(x, y + 7), batch_size=40)):
        message = refusal(network(), batches)
        assert "the loss cannot be taken" in message
        assert "batch_size" not in message


@pytest.mark.parametrize("kind", ["plain", "drop last", "none"])
def test_loaders_that_read_the_same_twice_will_do(kind):
    loader = {
        "plain": DataLoader(TensorDataset(*data()), batch_size=40),
        "drop last": DataLoader(TensorDataset(*data()), batch_size=40, drop_last=True),
        "none": DataLoader([data()], batch_size=None),
    }[kind]
    (event,) = grow(network(), loader, CROSS_ENTROPY, EAGER, neurons=2)
    assert event.added > 0


@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_targets_may_be_tuples_and_dicts(kind):
    (x, y), weight = data(), torch.arange(90) % 4 / 2

    def weighted(outputs, targets):
        y, w = targets.values() if isinstance(targets, dict) else targets
        return (w * functional.cross_entropy(outputs, y, reduction="none")).mean()

    targets = (y, weight) if kind == "tuple" else {"class": y, "weight": weight}
    model = network()
    before = float(weighted(model(x), targets).detach())
    (event,) = grow(model, [(x, targets)], weighted, EAGER, neurons=2)
    after = float(weighted(model(x), targets).detach())
    assert event.measured == pytest.approx(before - after, abs=1e-6)
    assert event.measured > 0


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ((data()[0].double(), data()[1]), "cannot read .*float64"),
        ((data()[0][:, :3], data()[1]), r"cannot read .*\(2, 3\)"),
        ((data()[0], data()[1] + 7), "the loss cannot be taken of outputs of"),
    ],
    ids=["type", "shape", "classes"],
)
def test_data_that_does_not_fit_is_refused_in_one_sentence(batch, words, capfd):
    with pytest.raises(ValueError, match=words) as error:
        grow(network(), [batch], CROSS_ENTROPY, EAGER)
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


# Losses: see also `test_losses`


def test_a_loss_for_every_sample_is_refused():
    assert 'use reduction="mean"' in refusal(network(), loss=nn.CrossEntropyLoss(reduction="none"))


@pytest.mark.parametrize(
    "loss",
    [
        lambda outputs, targets: functional.cross_entropy(outputs, targets, reduction="sum"),
        lambda outputs, targets: functional.cross_entropy(
            outputs, targets, weight=torch.tensor([0.1, 1.0, 5.0])
        ),
        lambda outputs, targets: functional.cross_entropy(
            outputs, targets, reduction="none"
        ).max(),
    ],
    ids=["sum", "weights", "maximum"],
)
def test_a_function_that_is_no_mean_over_samples_is_refused(loss):
    assert "expected the mean over samples" in refusal(network(), loss=loss)


@pytest.mark.parametrize(
    "loss", [lambda outputs, _: outputs.detach().mean(), lambda *_: torch.tensor(1.0)]
)
def test_a_loss_that_does_not_depend_on_the_model_is_refused(loss):
    assert "does not depend on the model's weights" in refusal(network(), loss=loss)


def test_a_loss_of_one_entry_will_do():
    def loss(outputs, targets):
        return functional.cross_entropy(outputs, targets)[None]

    (event,) = grow(network(), [data()], loss, EAGER, neurons=2)
    assert event.added > 0


# Batch norms


@pytest.mark.parametrize("method", [GradMax(), Net2Net(), SILENT], ids=lambda m: m.name)
def test_trained_batch_norms_without_a_count_keep_their_statistics(method):
    model, (x, y) = network(norm=True), data()
    for _ in range(30):
        model(2 * x - 1)
    model[1].num_batches_tracked.zero_()
    before = model.eval()(x)
    (event,) = grow(model, [(3 * x[:40] + 1, y[:40])], CROSS_ENTROPY, method, neurons=2)
    assert event.added == 2
    torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-5)


def test_young_batch_norms_are_calibrated_on_request():
    model, (x, y) = network(norm=True), data()
    model(x)
    kept, calibrated = copy.deepcopy(model), copy.deepcopy(model)
    grow(kept, [(x, y)], CROSS_ENTROPY, SILENT, neurons=1)
    grow(calibrated, [(x, y)], CROSS_ENTROPY, SILENT, neurons=1, calibrate_young=True)
    assert torch.equal(kept[1].running_var[:4], model[1].running_var)
    expected = model[0](x).var(0).detach()
    torch.testing.assert_close(calibrated[1].running_var[:4], expected)


# Optimisers and wrappers


@pytest.mark.parametrize("policy", ["transplant", "zeros", "reset"])
def test_lbfgs_is_refused(policy):
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters())
    assert "build it anew" in refusal(model, optimizer=optimizer, policy=policy)


def test_the_optimiser_of_another_model_is_refused():
    optimizer = torch.optim.SGD(network().parameters(), lr=0.1)
    assert "trains no parameter" in refusal(network(), optimizer=optimizer)


def test_a_model_without_parameters_is_refused():
    assert "no parameters" in refusal(nn.Sequential(nn.ReLU()))


def test_a_model_inside_distributed_data_parallel_is_refused():
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        wrapper = DistributedDataParallel(network())
        assert "DistributedDataParallel" in refusal(wrapper.module)
        (event,) = grow(network(), [data()], CROSS_ENTROPY, EAGER, neurons=2)
        assert event.added > 0
    finally:
        distributed.destroy_process_group()


# Tracing


class Optional(nn.Module):
    """Arguments with defaults, of which tensors and branches depend."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.act, self.two = nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)

    def forward(self, x, mask=None, features=False, *, scale=1):
        h = self.act(self.one(x))
        if mask is not None:
            h = h * mask
        if features:
            return h
        return scale * self.two(h)


def test_optional_arguments_of_forward_keep_their_defaults():
    (site,) = find_sites(Optional(), data()[0][:2])
    assert (site.grown, site.next) == ("one", "two")
    (event,) = grow(Optional(), [data()], CROSS_ENTROPY, EAGER, neurons=2)
    assert event.added > 0


@pytest.mark.parametrize("example", [torch.zeros(2, 3), torch.zeros(2, 5, dtype=torch.long)])
def test_an_example_that_does_not_fit_is_refused_in_one_sentence(example, capfd):
    with pytest.raises(SiteError, match="cannot read an example of") as error:
        survey(network(), example)
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


# Memory format


def test_channels_last_is_kept():
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 3)
    model = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    x, y = torch.randn(60, 2, 6, 6), torch.arange(60) % 3
    grow(model, [(x, y)], CROSS_ENTROPY, EAGER, neurons=2, where="all")
    for index in (0, 2):
        assert model[index].weight.is_contiguous(memory_format=torch.channels_last)
        assert not model[index].weight.is_contiguous()


# GradMax


LEAKY = {
    "LeakyReLU": lambda: nn.LeakyReLU(),
    "LeakyReLU in place": lambda: nn.LeakyReLU(0.2, inplace=True),
    "PReLU": lambda: nn.PReLU(init=0.01),
    "PReLU of channels": lambda: nn.PReLU(4, init=0.01),
    "ELU": lambda: nn.ELU(0.05),
}


@pytest.mark.parametrize("name", LEAKY)
@pytest.mark.parametrize("norm", [False, True])
def test_gradmax_arranges_the_slope_of_activations_that_leak(name, norm):
    """As for ReLU: new neurons behind it get the gradients of the right side's slope, 1."""
    (x, y), sizes = data(), []
    for activation in (LEAKY[name](), nn.Identity()):
        model = network(activation, norm)
        if norm:
            model(x)
        model.eval()
        before = model(x)
        parameters = {id(p) for p in activation.parameters()}
        (event,) = grow(model, [(x, y)], CROSS_ENTROPY, GradMax(), neurons=2, seed=0)
        torch.testing.assert_close(model(x), before)
        CROSS_ENTROPY(model(x), y).backward()
        sizes.append(model[0].weight.grad[4:].norm(dim=1) / torch.tensor(event.gains).sqrt())
        if activation is model[-2] and "channels" not in name:
            assert {id(p) for p in activation.parameters()} == parameters
    assert float((sizes[0] / sizes[1]).min()) > 0.3


@pytest.mark.parametrize("name", LEAKY)
def test_activations_with_a_slope_arranged_are_the_same_functions(name):
    model, (x, y) = network(LEAKY[name]()), data()
    original = copy.deepcopy(model[1])
    grow(model, [(x, y)], CROSS_ENTROPY, GradMax(), neurons=2)
    z = torch.randn(7, 4).requires_grad_()
    z6 = torch.cat((z, z[:, :2]), 1) if "channels" in name else z
    torch.testing.assert_close(model[1](z6)[:, :4], original(z.clone()))
    assert model[1].training == original.training


@pytest.mark.parametrize("name", LEAKY)
def test_growth_goes_on_behind_activations_with_a_slope_arranged(name):
    model, (x, y) = network(LEAKY[name]()), data()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for method in (GradMax(), EAGER, Net2Net(), GradMax()):
        grow(model, [(x, y)], CROSS_ENTROPY, method, neurons=2, optimizer=optimizer)
        optimizer.zero_grad()
        CROSS_ENTROPY(model(x), y).backward()
        optimizer.step()
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in model.parameters()}
    assert len(model[0].weight) >= 10


@pytest.mark.parametrize("name", LEAKY)
def test_slopes_arranged_are_restored_from_their_names_and_the_state(name):
    model, (x, y) = network(LEAKY[name]()), data()
    grow(model, [(x, y)], CROSS_ENTROPY, GradMax(), neurons=2)
    slopes = nn.PReLU(6) if "channels" in name else LEAKY[name]()
    again = nn.Sequential(nn.Linear(5, 6), slopes, nn.Linear(6, 3))
    set_unit_slopes(again, unit_slopes(model))
    again.load_state_dict(model.state_dict())
    assert type(again[1]) is type(model[1])
    assert torch.equal(again(x), model(x))


@pytest.mark.parametrize(
    "call",
    [functional.leaky_relu, functional.leaky_relu_, lambda x: functional.elu(x, 0.05)],
    ids=["leaky", "leaky in place", "elu"],
)
def test_gradmax_refuses_functions_that_leak(call):
    model = Calling(lambda self, x: self.two(call(self.one(x))))
    assert "times too long" in refusal(model, method=GradMax())


def test_gradmax_leaves_activations_alone_where_the_slope_is_right():
    for activation in (nn.SELU(), nn.ELU(), nn.PReLU(init=1.5), nn.Tanh(), nn.CELU(0.5)):
        model, kind = network(activation), type(activation)
        grow(model, [data()], CROSS_ENTROPY, GradMax(), neurons=2)
        assert type(model[1]) is kind


def test_a_place_that_is_none_is_refused_with_the_choices():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    x, y = torch.randn(40, 6), torch.randint(4, (40,))
    with pytest.raises(ValueError, match="where is 'Best', expected one of each, all, best, pred"):
        grow(model, [(x, y)], nn.CrossEntropyLoss(), Tiny(), where="Best")


def test_a_weighted_mean_is_refused_on_sorted_data_too():
    """The first samples have one class, and one weight."""
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    x, y, weight = torch.randn(600, 6), torch.randint(4, (600,)), torch.tensor([0.1, 1, 5, 1])
    x, y = x[y.argsort()], y.sort().values

    def loss(outputs, targets):
        return nn.functional.cross_entropy(outputs, targets, weight=weight)

    with pytest.raises(ValueError, match="expected the mean over samples"):
        grow(model, [(x, y)], loss, Tiny())
