"""Optimisers and learning rates of a recipe."""

import math
from collections.abc import Iterable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from nas_bench.training.per_entry import PerEntryAdam
from nas_bench.training.task import Recipe


def optimizer(
    recipe: Recipe, parameters: Iterable[nn.Parameter], *, per_entry: bool = False
) -> Optimizer:
    """A fresh optimiser over the parameters, at the recipe's first learning rate.

    Fused: one kernel a tensor and step, on every device that computes.

    Args:
        recipe: names it.
        parameters: that it trains.
        per_entry: whether Adam is to count the steps of every entry.
    """
    parameters = list(parameters)
    if per_entry and recipe.optimizer != "sgd":
        return PerEntryAdam(
            parameters, recipe.learning_rate, weight_decay=recipe.weight_decay,
            decoupled=recipe.optimizer == "adamw",
        )  # fmt: skip
    fused = not any(parameter.is_meta for parameter in parameters)
    options = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay, "fused": fused}
    match recipe.optimizer:
        case "sgd":
            return SGD(parameters, momentum=recipe.momentum, **options)
        case "adam":
            return Adam(parameters, **options)
        case "adamw":
            return AdamW(parameters, **options)
    raise ValueError(f"unknown optimizer {recipe.optimizer!r}: choose sgd, adam or adamw")


def learning_rate(recipe: Recipe, spent: float) -> float:
    """The learning rate when this fraction of the budget is spent.

    Args:
        recipe: gives the first learning rate and its decay.
        spent: fraction of the budget, clipped to [0, 1].
    """
    spent = min(max(spent, 0.0), 1.0)
    match recipe.decay:
        case "constant":
            return recipe.learning_rate
        case "cosine":
            return recipe.learning_rate * (1 + math.cos(math.pi * spent)) / 2
    raise ValueError(f"unknown decay {recipe.decay!r}: choose constant or cosine")


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Let every parameter group take its next steps at this rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
