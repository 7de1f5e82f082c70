from dataclasses import replace

import pytest
from torch import nn
from torch.optim import SGD, Adam, AdamW

from nas_bench.training.optimizers import learning_rate, optimizer, set_learning_rate
from nas_bench.training.task import Recipe


def test_a_recipe_names_its_optimizer():
    recipe = Recipe("sgd", learning_rate=0.5, momentum=0.9, weight_decay=0.1)
    made = optimizer(recipe, nn.Linear(2, 2).parameters())
    assert isinstance(made, SGD)
    group = made.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.5, 0.9, 0.1)


@pytest.mark.parametrize(("name", "kind"), [("adam", Adam), ("adamw", AdamW)])
def test_adam_and_adamw_are_told_apart(name, kind):
    recipe = Recipe(name, learning_rate=0.5, weight_decay=0.1)
    made = optimizer(recipe, nn.Linear(2, 2).parameters())
    assert type(made) is kind
    assert made.param_groups[0]["weight_decay"] == 0.1


def test_an_unknown_optimizer_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'lion': choose sgd, adam or adamw"):
        optimizer(replace(Recipe(), optimizer="lion"), [])


@pytest.mark.parametrize(("spent", "rate"), [(-1, 1), (0, 1), (0.5, 0.5), (1, 0), (2, 0)])
def test_a_cosine_falls_from_the_first_rate_to_zero_over_the_budget(spent, rate):
    recipe = Recipe(learning_rate=1.0, decay="cosine")
    assert learning_rate(recipe, spent) == pytest.approx(rate)
    assert learning_rate(replace(recipe, decay="constant"), spent) == 1


def test_the_learning_rate_is_set_for_every_group():
    layers = nn.Linear(2, 2), nn.Linear(2, 2)
    made = SGD([{"params": layer.parameters()} for layer in layers], lr=1)
    set_learning_rate(made, 0.25)
    assert [group["lr"] for group in made.param_groups] == [0.25, 0.25]
