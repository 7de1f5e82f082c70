"""Arguments of `grow` that are none get one sentence, and nothing is changed."""

import numpy as np
import pytest
import torch
from torch import nn

from nas_bench.growth import find_sites, grow
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.methods.tiny import Tiny

EAGER = Tiny(significance=False)
CROSS_ENTROPY = nn.CrossEntropyLoss()


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))


def data():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(60, 6, generator=generator)
    return x, torch.randint(4, (60,), generator=generator)


def site():
    return find_sites(network(), data()[0][:2])[0]


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


KINDS = {
    "samples a number": ({"samples": 100}, "samples is 100, expected numbers by names of sites"),
    "neurons a fraction": ({"neurons": 2.5}, "neurons is 2.5, expected a whole number"),
    "neurons true": ({"neurons": True}, "neurons is True, expected a whole number"),
    "neurons text": ({"neurons": {"0": "3"}}, "neurons of site 0 is '3', expected a whole number"),
    "samples a fraction": ({"samples": {"0": 9.0}}, "samples of site 0 is 9.0, expected a whole"),
    "method a class": ({"method": Tiny}, "method is the class Tiny, not an instance, expected"),
    "method text": ({"method": "tiny"}, "method is 'tiny', expected a growth method"),
    "sites names": ({"sites": ["0"]}, "an element of sites is '0', expected a site, as find_sit"),
    "sites text": ({"sites": "0"}, "sites is '0', expected a list of sites"),
    "optimizer a list": ({"optimizer": [1]}, "optimizer is a list, expected one torch.optim"),
    "optimizer a class": ({"optimizer": torch.optim.SGD}, "optimizer is the class SGD, not an"),
    "seed text": ({"seed": "1"}, "seed is '1', expected a whole number"),
    "loss a number": ({"loss": 3}, "loss is 3, expected a function"),
    "loss a class": ({"loss": nn.MSELoss}, "loss is the class MSELoss, not an instance"),
    "batches a number": ({"batches": 5}, "batches is 5, expected batches of"),
    "model a class": ({"model": nn.Linear}, "model is the class Linear, not an instance"),
    "fill text": ({"fill": "no"}, "fill is 'no', expected True or False"),
    "grams a dict": ({"grams": {}}, "grams is a dict, expected the InputGrams of earlier growths"),
    "calibration": ({"calibrate_young": 1}, "calibrate_young is 1, expected True or False"),
}
VALUES = {
    "neurons negative": ({"neurons": -1}, "neurons is -1, expected at least 0"),
    "no samples": ({"samples": {"0": 0}}, "samples of site 0 is 0, expected at least 1"),
    "seed negative": ({"seed": -1}, "seed is -1, expected at least 0"),
    "seed too large": (
        {"seed": 2**64},
        "seed is 18446744073709551616, expected at least 0 and le",
    ),
    "samples elsewhere": ({"samples": {"7": 60}}, "samples: no site 7; sites: 0"),
    "neurons elsewhere": ({"neurons": {"7": 6}}, "neurons: no site 7; sites: 0"),
    "where": ({"where": "nowhere"}, "where is 'nowhere', expected one of each, all, best, predi"),
    "policy": (
        {"policy": "keep"},
        "policy is 'keep', expected one of transplant, zeros",
    ),
    "site twice": ({"sites": [site(), site()]}, "site 0 is given twice"),
    "site elsewhere": ({"model": nn.Linear(6, 4), "sites": [site()]}, "no module 0"),
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [*((TypeError, name) for name in KINDS), *((ValueError, name) for name in VALUES)],
)
def test_arguments_that_are_none_are_refused_in_one_sentence(kind, name):
    options, words = (KINDS | VALUES)[name]
    model = network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    given = {"model": model, "batches": [data()], "loss": CROSS_ENTROPY, "method": EAGER}
    with pytest.raises(kind) as error:
        grow(**(given | options))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())


def test_no_neurons_asked_for_are_none_added():
    assert grow(network(), [data()], CROSS_ENTROPY, EAGER, neurons=0) == []


@pytest.mark.parametrize("key", ["0.weight", "0.bias", "2.weight", "2.bias"])
@pytest.mark.parametrize("policy", ["transplant", "reset"])
def test_an_optimiser_of_half_a_layer_is_refused_by_name(key, policy):
    model = network()
    rest = [p for name, p in model.named_parameters() if name != key]
    optimizer = torch.optim.SGD(rest, lr=0.1)
    with pytest.raises(ValueError, match=f"SGD, does not train {key} but only the rest of its"):
        grow(model, [data()], CROSS_ENTROPY, EAGER, optimizer=optimizer, policy=policy)
    assert model[0].out_features == 5


@pytest.mark.parametrize("bias", [False, True])
def test_an_optimiser_that_missed_a_growth_is_refused_by_name(bias):
    model = nn.Sequential(nn.Linear(6, 5, bias), nn.ReLU(), nn.Linear(5, 4, bias), nn.Linear(4, 4))
    optimizer = sgd(model)
    grow(model, [data()], CROSS_ENTROPY, RandomGrowth(), neurons=1, sites=[site()], fill=True)
    with pytest.raises(ValueError, match=r"does not train 0\.weight .*build it anew") as error:
        grow(model, [data()], CROSS_ENTROPY, EAGER, optimizer=optimizer, sites=[site()])
    stale = 3 if bias else 2
    assert f"holds {stale} tensors that the model does not have" in str(error.value)


def test_an_optimiser_of_other_layers_or_of_more_than_the_model_will_do():
    model, scale = network(), nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([*model.parameters(), scale], lr=0.1)
    (event,) = grow(model, [data()], CROSS_ENTROPY, EAGER, neurons=1, optimizer=optimizer)
    assert event.added == 1
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in (*model.parameters(), scale)}
    model = nn.Sequential(*network(), nn.Linear(4, 4))
    optimizer = sgd(model[3])
    (event,) = grow(
        model, [data()], CROSS_ENTROPY, EAGER, neurons=1, sites=[site()], optimizer=optimizer
    )
    assert event.added == 1


class Numbered:
    """Batches by number, as a dataset has its samples."""

    def __init__(self, batches):
        self.batches = batches

    def __getitem__(self, index):
        return self.batches[index]


def test_batches_by_number_and_numbers_of_numpy_are_as_good_as_others():
    found = []
    for batches, seed in (([data()], 3), (Numbered([data()]), np.int64(3))):
        model = network()
        grow(model, batches, CROSS_ENTROPY, RandomGrowth(), neurons=np.int64(2), seed=seed)
        found.append(model.state_dict())
    for name, value in found[0].items():
        assert torch.equal(found[1][name], value)
