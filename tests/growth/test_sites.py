"""Sites are found in unmodified modules, and every other layer has a reason."""

import operator

import pytest
import torch
from growth import problems
from torch import nn
from torch.nn import functional

from nas_bench.growth.tracing import find_sites, survey

SIZES = (5, 4, 3)


def pairs(model, example):
    return [(site.grown, site.next) for site in find_sites(model, example)]


def reasons(model, example):
    return {refusal.layer: refusal.reason for refusal in survey(model, example).refusals}


def linears(model):
    return {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}


def accounted(model, example):
    found = survey(model, example)
    names = [site.grown for site in found.sites] + [r.layer for r in found.refusals]
    assert len(names) == len(set(names))
    return set(names)


@pytest.mark.parametrize("name", problems.ALL)
def test_sites_of_every_stage_are_found(name):
    stage = problems.ALL[name]
    example = stage.x[:2]
    assert stage.site in pairs(stage.model, example)
    assert accounted(stage.model, example) == linears(stage.model)
    positions = example.flatten(1, -2).shape[1] if example.dim() > 2 else 1
    positions = 1 if "flatten" in name else positions
    assert all(site.positions == positions for site in find_sites(stage.model, example))


@pytest.mark.parametrize(
    "call",
    [
        functional.relu,
        torch.relu,
        torch.tanh,
        functional.gelu,
        lambda x: x.relu(),
        lambda x: x.clamp_min(0),
        lambda x: x.clamp(min=0),
        lambda x: torch.clamp(x, min=0.0),
        lambda x: functional.dropout(functional.selu(x), 0.2, training=False),
        lambda x: functional.leaky_relu(x, negative_slope=0.2),
        lambda x: x,
    ],
    ids=["F.relu", "torch.relu", "torch.tanh", "F.gelu", "x.relu", "clamp_min", "clamp",
         "torch.clamp", "dropout selu", "leaky", "nothing"],
)  # fmt: skip
def test_paths_made_of_calls_are_found(call):
    model = problems.Functional(call, SIZES)
    example = torch.randn(2, 5, dtype=torch.float64)
    assert pairs(model, example) == [("reading", "middle"), ("middle", "writing")]
    assert "no next layer" in reasons(model, example)["writing"]


@pytest.mark.parametrize(
    "activation",
    [nn.ReLU(), nn.ReLU(inplace=True), nn.PReLU(), nn.PReLU(4), nn.SELU(), nn.LeakyReLU(0.1),
     nn.Dropout(0.5), nn.Identity(), nn.Hardtanh(), nn.Softsign()],
    ids=str,
)  # fmt: skip
def test_paths_made_of_modules_are_found(activation):
    model = nn.Sequential(nn.Linear(5, 4), activation, nn.Linear(4, 3))
    assert pairs(model, torch.randn(2, 5)) == [("0", "2")]


class Residual(nn.Module):
    def __init__(self, add):
        super().__init__()
        self.add = add
        self.reading, self.inner = nn.Linear(5, 4), nn.Linear(4, 6)
        self.outer, self.writing = nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, x):
        x = self.reading(x)
        return self.writing(self.add(x, self.outer(torch.tanh(self.inner(x)))))


@pytest.mark.parametrize("add", [operator.add, torch.add, lambda a, b: a.add(b)])
def test_only_the_middle_of_a_residual_block_grows(add):
    model = Residual(add)
    assert pairs(model, torch.randn(2, 5)) == [("inner", "outer")]
    given = reasons(model, torch.randn(2, 5))
    assert set(given) == {"reading", "outer", "writing"}
    assert "residual" in given["outer"]


def path_model(*path):
    return nn.Sequential(nn.Linear(5, 4), *path, nn.Linear(4, 3))


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ([nn.Sigmoid()], "at 0"),
        ([nn.Softplus()], "at 0"),
        ([nn.Hardsigmoid()], "at 0"),
        ([nn.Softmax(dim=-1)], "neuron"),
        ([nn.RReLU()], "RReLU (1) in the path is not known"),
        ([nn.LayerNorm(4)], "couples"),
        ([nn.GroupNorm(2, 4)], "couples"),
        ([nn.BatchNorm1d(4, affine=False)], "affine"),
        ([nn.BatchNorm1d(4, track_running_stats=False)], "running"),
        ([nn.Tanh(), nn.LayerNorm(4), nn.Tanh()], "couples"),
    ],
    ids=str,
)
def test_paths_that_do_not_fit_are_refused_with_a_reason(path, word):
    model = path_model(*path)
    given = reasons(model, torch.randn(3, 5))
    assert pairs(model, torch.randn(3, 5)) == []
    assert word in given["0"]
    assert accounted(model, torch.randn(3, 5)) == linears(model)


class Shared(nn.Module):
    """A layer, batch norm or activation used twice."""

    def __init__(self, between):
        super().__init__()
        self.between = between
        self.one, self.two, self.three = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.three(self.between(self.two(self.between(self.one(x)))))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.two(torch.relu(self.one(torch.relu(self.one(x)))))


def test_layers_used_twice_are_refused():
    assert pairs(Twice(), torch.randn(3, 4)) == []
    assert accounted(Twice(), torch.randn(3, 4)) == {"one", "two"}


@pytest.mark.parametrize("between", [nn.BatchNorm1d(4), nn.PReLU(4)], ids=str)
def test_channelwise_modules_used_at_two_sites_are_refused(between):
    assert pairs(Shared(between), torch.randn(3, 4)) == []


def test_a_stateless_activation_used_at_two_sites_is_no_obstacle():
    assert len(pairs(Shared(nn.ReLU()), torch.randn(3, 4))) == 2


def test_a_norm_under_two_names_is_refused():
    norm = nn.BatchNorm1d(4)
    model = nn.Sequential(nn.Linear(4, 4), norm, nn.Linear(4, 4), norm, nn.Linear(4, 3))
    assert pairs(model, torch.randn(3, 4)) == []


def test_a_layer_under_two_names_is_refused():
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(4, 3))
    assert pairs(model, torch.randn(3, 4)) == []
    assert accounted(model, torch.randn(3, 4)) >= {"0", "4"}


def test_tied_weights_are_refused_on_either_side():
    tied = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 4))
    tied[4].weight = tied[0].weight
    assert pairs(tied, torch.randn(3, 5)) == []
    given = reasons(tied, torch.randn(3, 5))
    assert "weight" in given["0"]
    assert "weight" in given["2"]


def test_weights_read_outside_their_layer_are_refused():
    class Peeking(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(5, 4), nn.Linear(4, 5)

        def forward(self, x):
            return self.two(torch.relu(self.one(x))) @ self.one.weight.T

    assert pairs(Peeking(), torch.randn(3, 5)) == []


def test_parametrised_weights_are_refused():
    model = path_model(nn.Tanh())
    nn.utils.parametrizations.weight_norm(model[0])
    assert pairs(model, torch.randn(3, 5)) == []


def test_weights_made_by_a_hook_are_refused():
    model = path_model(nn.Tanh())
    nn.utils.spectral_norm(model[0])
    assert pairs(model, torch.randn(3, 5)) == []
    assert "0" in reasons(model, torch.randn(3, 5))


def test_branches_and_returned_hidden_layers_are_refused():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.other = nn.Linear(5, 4), nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x):
            hidden = self.one(x)
            return self.two(hidden) + self.other(hidden)

    assert pairs(Branching(), torch.randn(3, 5)) == []
    assert accounted(Branching(), torch.randn(3, 5)) == {"one", "two", "other"}


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.softmax(-1),
        lambda x: x * x.mean(-1, keepdim=True),
        lambda x: x + 1,
        lambda x: torch.sigmoid(x),
        lambda x: x.flip(-1),
        lambda x: functional.layer_norm(x, x.shape[-1:]),
        lambda x: x.clamp(min=0.5),
    ],
    ids=["softmax", "gate", "plus one", "sigmoid", "flip", "layer norm", "clamp at half"],
)
def test_calls_that_do_not_fit_are_refused(call):
    model = problems.Functional(call, SIZES)
    example = torch.randn(2, 5, dtype=torch.float64)
    assert pairs(model, example) == []
    assert accounted(model, example) == linears(model)


def test_a_flatten_of_tokens_in_the_path_is_refused_until_fields_come():
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3))
    assert pairs(model, torch.randn(2, 3, 5)) == []


def test_batch_norm_and_slopes_over_tokens_are_refused():
    """On (n, T, features) dimension 1 of BatchNorm1d and PReLU is the token, not the neuron."""
    for between in (nn.BatchNorm1d(4), nn.PReLU(4)):
        model = nn.Sequential(nn.Linear(5, 4), between, nn.Linear(4, 3))
        assert pairs(model, torch.randn(2, 4, 5)) == []


def test_layers_that_are_never_called_and_convolutions_are_accounted_for():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.idle = nn.Linear(5, 4), nn.Linear(4, 3), nn.Linear(9, 9)

        def forward(self, x):
            return self.two(torch.relu(self.one(x)))

    assert pairs(Idle(), torch.randn(2, 5)) == [("one", "two")]
    assert accounted(Idle(), torch.randn(2, 5)) == {"one", "two", "idle"}


def test_surveying_changes_nothing_of_the_model():
    stage = problems.ALL["batch norm"]
    model = stage.model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    survey(model, stage.x[:4])
    assert all(module.training for module in model.modules())
    assert torch.equal(state, torch.get_rng_state())
    for key, value in model.state_dict().items():
        assert torch.equal(before[key], value)


def test_an_untraceable_model_is_refused_in_one_sentence():
    class Undecided(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(5, 4), nn.Linear(4, 3)

        def forward(self, x):
            return self.two(self.one(x)) if x.sum() > 0 else self.two(torch.relu(self.one(x)))

    with pytest.raises(ValueError, match="traced"):
        survey(Undecided(), torch.randn(2, 5))


@pytest.mark.parametrize("obeys", [True, False], ids=["obeys eval mode", "always random"])
def test_functional_dropout_must_obey_eval_mode(obeys):
    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(5, 4), nn.Linear(4, 3)

        def forward(self, x):
            hidden = torch.relu(self.one(x))
            training = self.training if obeys else True
            return self.two(functional.dropout(hidden, 0.3, training))

    assert len(pairs(Dropping(), torch.randn(3, 5))) == int(obeys)


class Between(nn.Module):
    """A convolution, a function of its map, and another layer."""

    def __init__(self, call, following):
        super().__init__()
        self.call, self.one, self.two = call, nn.Conv2d(3, 4, 3), following

    def forward(self, x):
        return self.two(self.call(torch.relu(self.one(x))))


IMAGES = torch.randn(2, 3, 6, 6)
"""The map behind a 3 × 3 convolution has 4 × 4 positions."""


@pytest.mark.parametrize(
    ("call", "following", "positions", "taps"),
    [
        (lambda x: x.view(x.size(0), -1), nn.Linear(64, 2), 16, 16),
        (lambda x: x.view((x.size(0), -1)), nn.Linear(64, 2), 16, 16),
        (lambda x: x.reshape(x.shape[0], -1), nn.Linear(64, 2), 16, 16),
        (lambda x: torch.reshape(x, (x.shape[0], -1)), nn.Linear(64, 2), 16, 16),
        (lambda x: torch.flatten(x, 1), nn.Linear(64, 2), 16, 16),
        (lambda x: x.flatten(start_dim=1), nn.Linear(64, 2), 16, 16),
        (lambda x: functional.max_pool2d(x, 2), nn.Conv2d(4, 2, 2), 4, 4),
        (
            lambda x: functional.max_pool2d(x, 3, stride=2, ceil_mode=True),
            nn.Conv2d(4, 2, 1),
            4,
            1,
        ),
        (lambda x: functional.avg_pool2d(x, kernel_size=2), nn.Conv2d(4, 2, 1), 4, 1),
        (lambda x: functional.adaptive_avg_pool2d(x, 1).flatten(1), nn.Linear(4, 2), 1, 1),
        (lambda x: functional.adaptive_max_pool2d(x, (2, 1)).flatten(1), nn.Linear(8, 2), 2, 2),
        (lambda x: x.mean([2, 3]), nn.Linear(4, 2), 1, 1),
        (lambda x: torch.mean(x, dim=(-1, -2)), nn.Linear(4, 2), 1, 1),
        (lambda x: x.mean((2, 3), keepdim=True), nn.Conv2d(4, 2, 1), 1, 1),
    ],
)
def test_calls_on_maps_are_found(call, following, positions, taps):
    (site,) = find_sites(Between(call, following), IMAGES)
    assert (site.grown, site.next) == ("one", "two")
    assert (site.positions, site.taps) == (positions, taps)


@pytest.mark.parametrize(
    ("call", "following", "words"),
    [
        (lambda x: x.view(-1, 64), nn.Linear(64, 2), "fixes the number of features (64)"),
        (lambda x: x.view(x.size(0), 64), nn.Linear(64, 2), "fixes the number of features"),
        (lambda x: x.view(x.size(1), -1), nn.Linear(32, 2), "view"),
        (lambda x: x.flatten(2), nn.Linear(16, 2), "mixes positions and neurons"),
        (lambda x: x, nn.Linear(4, 2), "flatten"),
        (lambda x: x.mean(3).flatten(1), nn.Linear(16, 2), "rows and columns"),
        (lambda x: x.permute(0, 2, 3, 1), nn.Linear(4, 2), "permute"),
        (lambda x: x.chunk(2, 1)[0], nn.Conv2d(2, 2, 1), "chunk"),
        (lambda x: torch.cat([x, x], 1), nn.Conv2d(8, 2, 1), "cat"),
        (lambda x: x * x.mean((2, 3), keepdim=True), nn.Conv2d(4, 2, 1), "2 places"),
        (lambda x: functional.pad(x, (1, 1, 1, 1)), nn.Conv2d(4, 2, 1), "pad"),
    ],
)
def test_calls_on_maps_that_do_not_fit_are_refused(call, following, words):
    model = Between(call, following)
    assert pairs(model, IMAGES) == []
    assert words in reasons(model, IMAGES)["one"]


@pytest.mark.parametrize(
    ("path", "positions"),
    [
        ([nn.Dropout2d(0.3)], 16),
        ([nn.BatchNorm2d(4), nn.ReLU(inplace=True)], 16),
        ([nn.PReLU(4)], 16),
        ([nn.PReLU()], 16),
        ([nn.MaxPool2d(2), nn.Hardswish()], 4),
        ([nn.Conv2d(4, 4, 2, 2, groups=4), nn.BatchNorm2d(4)], 4),
        ([nn.Conv2d(4, 4, 3, padding="same", groups=4)], 16),
    ],
    ids=str,
)
def test_modules_between_convolutions_are_found(path, positions):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), *path, nn.Conv2d(4, 2, 2))
    (site,) = find_sites(model, IMAGES)
    assert (site.grown, site.next) == ("0", str(len(path) + 1))
    assert (site.positions, site.taps) == (positions, 4)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ([nn.GroupNorm(2, 4)], "GroupNorm (1) in the path couples"),
        ([nn.LayerNorm([4, 4, 4])], "LayerNorm (1) in the path couples"),
        ([nn.BatchNorm2d(4, affine=False)], "no affine parameters"),
        ([nn.BatchNorm2d(4, track_running_stats=False)], "no running statistics"),
        ([nn.SyncBatchNorm(4)], "not nn.BatchNorm1d or nn.BatchNorm2d"),
        ([nn.InstanceNorm2d(4)], "InstanceNorm2d (1) in the path"),
        ([nn.Conv2d(4, 4, 1, groups=2)], "in 2 groups"),
        ([nn.Conv2d(4, 4, 3, groups=4, padding=1, padding_mode="circular")], "'circular'"),
        ([nn.MaxPool2d(2, dilation=2)], "dilated"),
        ([nn.Upsample(scale_factor=2)], "Upsample (1) in the path is not known"),
        ([nn.Softmax2d()], "Softmax2d (1) in the path is not known"),
    ],
    ids=str,
)
def test_modules_between_convolutions_that_do_not_fit_are_refused(path, words):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), *path, nn.Conv2d(4, 2, 1))
    assert pairs(model, IMAGES) == []
    assert words in reasons(model, IMAGES)["0"]


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        (nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), nn.Conv2d(4, 2, 1), "'circular'"),
        (nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect"), "'reflect'"),
        (nn.Conv2d(3, 3, 1, groups=3), nn.Conv2d(3, 2, 1), "depthwise"),
        (nn.Conv2d(3, 6, 1, groups=3), nn.Conv2d(6, 2, 1), "in 3 groups"),
        (nn.ConvTranspose2d(3, 4, 1), nn.Conv2d(4, 2, 1), "ConvTranspose2d"),
        (nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 2, 1), "ConvTranspose2d"),
    ],
    ids=str,
)
def test_convolutions_that_cannot_grow_are_refused(one, two, words):
    model = nn.Sequential(one, nn.ReLU(), two)
    assert pairs(model, IMAGES) == []
    assert words in reasons(model, IMAGES)["0"]


def test_every_hidden_layer_of_lenet_is_a_site():
    class LeNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding="same"), nn.Conv2d(6, 16, 5)
            self.fc1, self.fc2, self.fc3 = (
                nn.Linear(400, 120),
                nn.Linear(120, 84),
                nn.Linear(84, 9),
            )

        def forward(self, x):
            x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
            x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
            x = functional.relu(self.fc1(x.view(x.size(0), -1)))
            return self.fc3(functional.relu(self.fc2(x)))

    found = find_sites(LeNet(), torch.randn(2, 1, 28, 28))
    assert [(s.grown, s.next) for s in found] == [
        ("conv1", "conv2"), ("conv2", "fc1"), ("fc1", "fc2"), ("fc2", "fc3")
    ]  # fmt: skip
    assert [(s.positions, s.taps) for s in found] == [(196, 25), (25, 25), (1, 1), (1, 1)]


@pytest.mark.parametrize(
    "between",
    [
        [nn.BatchNorm2d(4)],
        [nn.PReLU(4)],
        [nn.AvgPool2d(1)],
        [nn.Flatten(1, 2), nn.Flatten()],
    ],
    ids=str,
)
def test_linear_layers_on_maps_with_channels_last_go_through_nothing_spatial(between):
    """Dimension 1 of (n, rows, columns, features) is not the neuron."""
    last = nn.LazyLinear(2)
    model = nn.Sequential(nn.Linear(5, 4), *between, last)
    model(torch.randn(2, 4, 4, 5))
    assert pairs(model, torch.randn(2, 4, 4, 5)) == []


def test_linear_layers_on_maps_with_channels_last_are_found():
    model = nn.Sequential(nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 2))
    (site,) = find_sites(model, torch.randn(2, 3, 6, 5))
    assert (site.positions, site.map, site.taps) == (18, None, 1)


def test_an_image_without_a_batch_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
    assert "batch" in reasons(model, IMAGES[0])["0"]
