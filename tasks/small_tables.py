"""Iris, wine, breast cancer, diabetes: scikit-learn's embedded tables; they work offline."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Generator, nn

from nas_bench.training.data import split
from nas_bench.training.mlp import Activation, mlp
from nas_bench.training.task import Recipe, Samples, Task

_TEST_FRACTION, _TEST_SEED = 0.2, 20240529


@dataclass(frozen=True)
class SmallTable(Task):
    """A fifth of the rows, always the same, are the test set; classes in equal shares.

    Each feature is normalised with mean and deviation of the training rows; so is the target of a
    regression, whose loss is then 1 for the mean and 1 − R² in general.

    Attributes:
        activation: of the hidden layer.
    """

    source: ClassVar[str]
    """The loader of scikit-learn."""
    features: ClassVar[int]
    classes: ClassVar[int]
    """1 for a regression."""
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=1e-2, batch_size=16)

    seed_widths: tuple[int, ...] = (1,)
    target_widths: tuple[int, ...] = (16,)
    activation: Activation = "relu"

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class; nothing is read from the folder."""
        from sklearn import datasets

        rows, answers = getattr(datasets, self.source)(return_X_y=True)
        inputs, targets = torch.tensor(rows).double(), torch.tensor(answers)
        regression = self.classes == 1
        strata = torch.zeros(len(targets), dtype=torch.long) if regression else targets
        train, test = split(strata, _TEST_FRACTION, Generator().manual_seed(_TEST_SEED))
        inputs = (inputs - inputs[train].mean(0)) / inputs[train].std(0)
        if regression:
            targets = (targets - targets[train].mean()) / targets[train].std(correction=0)
            targets = targets.float()[:, None]
        parts = (Samples(inputs[part].float(), targets[part]) for part in (train, test))
        return next(parts), next(parts)

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class."""
        return mlp(self.features, widths, self.classes, self.activation)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.MSELoss() if self.classes == 1 else nn.CrossEntropyLoss()


@dataclass(frozen=True)
class Iris(SmallTable):
    """150 flowers of three species.

    References:
        The use of multiple measurements in taxonomic problems, Fisher, 1936,
        https://doi.org/10.24432/C56C76.
    """

    name: ClassVar[str] = "iris"
    summary: ClassVar[str] = "150 flowers of three species, 4 features, embedded, MLP"
    source: ClassVar[str] = "load_iris"
    features: ClassVar[int] = 4
    classes: ClassVar[int] = 3


@dataclass(frozen=True)
class Wine(SmallTable):
    """178 wines of three growers.

    References:
        Wine, Aeberhard, Forina, 1992, https://doi.org/10.24432/C5PC7J.
    """

    name: ClassVar[str] = "wine"
    summary: ClassVar[str] = "178 wines of three growers, 13 features, embedded, MLP"
    source: ClassVar[str] = "load_wine"
    features: ClassVar[int] = 13
    classes: ClassVar[int] = 3


@dataclass(frozen=True)
class BreastCancer(SmallTable):
    """569 tumours, benign or malignant.

    References:
        Breast Cancer Wisconsin (Diagnostic), Wolberg, Mangasarian, Street, 1993,
        https://doi.org/10.24432/C5DW2B.
    """

    name: ClassVar[str] = "breast_cancer"
    summary: ClassVar[str] = "569 tumours of two kinds, 30 features, embedded, MLP"
    source: ClassVar[str] = "load_breast_cancer"
    features: ClassVar[int] = 30
    classes: ClassVar[int] = 2


@dataclass(frozen=True)
class Diabetes(SmallTable):
    """Progression of the disease in 442 patients, a regression.

    References:
        Least angle regression, Efron, Hastie, Johnstone, Tibshirani, 2004,
        https://doi.org/10.1214/009053604000000067.
    """

    name: ClassVar[str] = "diabetes"
    summary: ClassVar[str] = "regression of 442 patients' progression, 10 features, embedded"
    metric: ClassVar[Literal["accuracy", "loss"]] = "loss"
    source: ClassVar[str] = "load_diabetes"
    features: ClassVar[int] = 10
    classes: ClassVar[int] = 1
